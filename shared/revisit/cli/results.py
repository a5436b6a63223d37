"""Commands `revisit results` and `revisit series`: jobs with their statistics, and an index over time."""

from typing import Annotated, Any

import typer

from revisit.cli.console import (
    format_minute,
    format_percent,
    format_value,
    print_csv,
    print_json,
    print_message,
    print_table,
)
from revisit.cli.options import Csv, Data, Json, Project, open_backend, reject_both, url_builder

Id = Annotated[
    str,
    typer.Argument(help="Id of an order, subscription or job, or the name of a subscription.", metavar="ID"),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(results)
    app.command()(series)


def results(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show the results of an order, a subscription or a job."""
    from revisit.presenters import documents
    from revisit.services.subscriptions.results import list_jobs

    backend = open_backend(data, project)
    jobs = [documents.job(record, url_builder(backend)) for record in list_jobs(backend, id)]
    if json:
        print_json({"jobs": jobs})
        return
    print_jobs(jobs)
    if len(jobs) == 1:
        print_table(("ASSET", "FILE"), [(name, asset["href"]) for name, asset in jobs[0]["assets"].items()])


def print_jobs(jobs: list[dict[str, Any]]) -> None:
    """Print jobs as a table on stdout, and the reason and notes of each on stderr."""
    names = list(dict.fromkeys(name for job in jobs for name in (*job["indices"], *job["bands"])))
    print_table(
        ("SENSED", "LEVEL", "STATE", "COVERAGE", "CLEAR", *names, "ACQUISITION", "JOB"),
        [
            (
                format_minute(job["datetime"]),
                job["level"],
                job["state"],
                format_percent(job["coverage"]),
                format_percent(job["clear_fraction"]),
                *(
                    format_value((job["indices"].get(name) or job["bands"].get(name) or {}).get("mean"))
                    for name in names
                ),
                job["acquisition"],
                job["job"],
            )
            for job in jobs
        ],
        ("COVERAGE", "CLEAR", *names),
        optional=("ACQUISITION", "LEVEL"),
    )
    for job in jobs:
        for note in (job["reason"], *job["notes"]):
            if note:
                print_message(f"{job['acquisition']} {job['state']}: {note}")


def series(
    id: Id,
    index: Annotated[
        str, typer.Option("--index", help="Spectral index, or a band of the recipe.", metavar="NAME")
    ] = "NDVI",
    csv: Csv = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Show an index over time."""
    from revisit.presenters import documents
    from revisit.presenters.csv_table import OBSERVATION_COLUMNS, to_csv
    from revisit.services.subscriptions.results import get_series

    reject_both("--json", json, "--csv", csv)
    rows = [documents.observation(value) for value in get_series(open_backend(data, project), id, index)]
    if json:
        print_json({"id": id, "index": index, "observations": rows})
    elif csv:
        print_csv(to_csv(rows, OBSERVATION_COLUMNS))
    else:
        columns = ("count", "mean", "std", "min", "max", "median")
        print_table(
            ("SENSED", "LEVEL", *(name.upper() for name in columns), "COVERAGE", "CLEAR", "ACQUISITION"),
            [
                (
                    format_minute(row["datetime"]),
                    row["level"],
                    row["count"],
                    *(format_value(row[name]) for name in columns[1:]),
                    format_percent(row["coverage"]),
                    format_percent(row["clear_fraction"]),
                    row["acquisition"],
                )
                for row in rows
            ],
            (*(name.upper() for name in columns), "COVERAGE", "CLEAR"),
            optional=("ACQUISITION", "STD"),
        )
    if not rows:
        print_message("no clear observation yet")
