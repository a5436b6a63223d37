"""Commands `revisit results` and `revisit series`: the jobs of an order or subscription, and an index over time."""

from typing import Annotated, Any

import typer

from revisit.cli.console import measured, minute, percent, print_csv, print_json, print_table, say
from revisit.cli.options import Csv, Data, Json, Project, opened, places
from revisit.errors import BadInput

Id = Annotated[str, typer.Argument(help="Id of an order, subscription or job, or the name of a subscription.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(results)
    app.command()(series)


def print_jobs(jobs: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for job in jobs for name in (*job["indices"], *job["bands"])))
    print_table(("SENSED", "STATE", "CLEAR", "COVERED", *names, "ACQUISITION", "JOB"),
                [(minute(job["datetime"]), job["state"], percent(job["clear_fraction"]), percent(job["coverage"]),
                  *(measured((job["indices"].get(name) or job["bands"].get(name) or {}).get("mean")) for name in names), job["acquisition"], job["job"])
                 for job in jobs], ("CLEAR", "COVERED", *names), spare=("ACQUISITION", "COVERED"))
    for job in jobs:
        for sentence in (job["reason"], *job["notes"]):
            if sentence:
                say(f"{job['acquisition']} {job['state']}: {sentence}")


def results(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show what came of an order, a subscription or a job."""
    from revisit.presenters import documents
    from revisit.services import results as jobs_of

    backend = opened(data, project)
    jobs = [documents.job(job, places(backend)) for job in jobs_of(backend, id)]
    if json:
        print_json({"jobs": jobs})
        return
    print_jobs(jobs)
    if len(jobs) == 1:
        print_table(("ASSET", "FILE"), [(name, asset["href"]) for name, asset in jobs[0]["assets"].items()])


def series(
    id: Id,
    index: Annotated[str, typer.Option("--index", help="Spectral index, or a band that was asked for by name.", metavar="NAME")] = "NDVI",
    csv: Csv = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Show an index through time."""
    from revisit.presenters import documents
    from revisit.services import series as through_time

    if json and csv:
        raise BadInput("--json and --csv exclude each other; choose one")
    rows = [documents.observation(seen) for seen in through_time(opened(data, project), id, index)]
    if json:
        print_json({"id": id, "index": index, "observations": rows})
    elif csv:
        print_csv(documents.table(rows, documents.OBSERVATION))
    else:
        columns = ("count", "mean", "std", "min", "max", "median")
        print_table(("SENSED", *(name.upper() for name in columns), "CLEAR", "ACQUISITION"),
                    [(minute(row["datetime"]), row["count"], *(measured(row[name]) for name in columns[1:]), percent(row["clear_fraction"]), row["acquisition"]) for row in rows],
                    (*(name.upper() for name in columns), "CLEAR"), spare=("ACQUISITION",))
    if not rows:
        say("no clear observation yet")
