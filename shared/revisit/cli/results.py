"""Commands `revisit results` and `revisit series`: the jobs of an order or subscription, and an index over
time."""

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
from revisit.cli.options import Csv, Data, Json, Project, open_backend, url_builder
from revisit.errors import InvalidInputError

Id = Annotated[
    str,
    typer.Argument(help="Id of an order, subscription or job, or the name of a subscription.", metavar="ID"),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(results)
    app.command()(series)


def print_jobs(jobs: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for job in jobs for name in (*job["indices"], *job["bands"])))
    print_table(
        ("SENSED", "STATE", "CLEAR", "COVERED", *names, "ACQUISITION", "JOB"),
        [
            (
                format_minute(job["datetime"]),
                job["state"],
                format_percent(job["clear_fraction"]),
                format_percent(job["coverage"]),
                *(
                    format_value((job["indices"].get(name) or job["bands"].get(name) or {}).get("mean"))
                    for name in names
                ),
                job["acquisition"],
                job["job"],
            )
            for job in jobs
        ],
        ("CLEAR", "COVERED", *names),
        optional=("ACQUISITION", "COVERED"),
    )
    for job in jobs:
        for sentence in (job["reason"], *job["notes"]):
            if sentence:
                print_message(f"{job['acquisition']} {job['state']}: {sentence}")


def results(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show what came of an order, a subscription or a job."""
    from revisit.presenters import documents
    from revisit.services.subscriptions.results import list_jobs as jobs_of

    backend = open_backend(data, project)
    jobs = [documents.job(job, url_builder(backend)) for job in jobs_of(backend, id)]
    if json:
        print_json({"jobs": jobs})
        return
    print_jobs(jobs)
    if len(jobs) == 1:
        print_table(("ASSET", "FILE"), [(name, asset["href"]) for name, asset in jobs[0]["assets"].items()])


def series(
    id: Id,
    index: Annotated[
        str,
        typer.Option("--index", help="Spectral index, or a band that was asked for by name.", metavar="NAME"),
    ] = "NDVI",
    csv: Csv = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Show an index through time."""
    from revisit.presenters import documents
    from revisit.services.subscriptions.results import get_series as through_time

    if json and csv:
        raise InvalidInputError("--json and --csv exclude each other; choose one")
    rows = [documents.observation(seen) for seen in through_time(open_backend(data, project), id, index)]
    if json:
        print_json({"id": id, "index": index, "observations": rows})
    elif csv:
        print_csv(documents.to_csv(rows, documents.OBSERVATION_COLUMNS))
    else:
        columns = ("count", "mean", "std", "min", "max", "median")
        print_table(
            ("SENSED", *(name.upper() for name in columns), "CLEAR", "ACQUISITION"),
            [
                (
                    format_minute(row["datetime"]),
                    row["count"],
                    *(format_value(row[name]) for name in columns[1:]),
                    format_percent(row["clear_fraction"]),
                    row["acquisition"],
                )
                for row in rows
            ],
            (*(name.upper() for name in columns), "CLEAR"),
            optional=("ACQUISITION",),
        )
    if not rows:
        print_message("no clear observation yet")
