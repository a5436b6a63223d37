"""`revisit order`, `results` and `series`: a period worked once, and the numbers of it."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revisit.cli import coming, orders
from revisit.cli.options import (
    Bands,
    Csv,
    Data,
    From,
    Index,
    Json,
    LevelName,
    MaxCloud,
    MinClear,
    Project,
    Repair,
    To,
    begin,
    data_folder,
    end,
    names,
    opened,
    places,
    project_of,
    read_aoi,
    read_level,
)
from revisit.cli.screen import counting, measured, minute, percent, print_csv, print_json, print_table, say, working
from revisit.errors import BadInput, Retry

if TYPE_CHECKING:
    from revisit.backend import Backend

Id = Annotated[str, typer.Argument(help="Id of an order, subscription or job, or the name of a subscription.", metavar="ID")]

LOOKS_S = 2.0
"""Between two looks at an order that a deployment works: each is a read that is paid for."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (order, results, series):
        app.command()(command)
    orders.register(app)
    coming.register(app)


def order(
    aoi: Annotated[str, typer.Option("--aoi", help="GeoJSON file of the area of interest; - reads standard input.", metavar="FILE", show_default=False)] = "",
    tile: Annotated[str, typer.Option("--tile", help="The whole of a tile, such as 32TQM, in place of an area.", metavar="TILE", show_default=False)] = "",
    product: Annotated[list[str] | None, typer.Option("--product", help="Exactly this product; may be given again and again.", metavar="ID", show_default=False)] = None,
    source: Annotated[str, typer.Option("--source", help="The only source to take products from: folder:PATH, google-index:PATH-or-URL or "
                                        "stac:URL#collection. Else all that are known.", metavar="SPEC", show_default=False)] = "",
    start: From = "",
    until: To = "",
    index: Index = "",
    bands: Bands = "",
    resolution: Annotated[float | None, typer.Option("--resolution", help="Pixel size of the result in metres; else that of the finest band.", metavar="M", show_default=False)] = None,
    resampling: Annotated[str, typer.Option("--resampling", help="bilinear or nearest.", metavar="HOW")] = "bilinear",
    level: LevelName = "",
    max_cloud: MaxCloud = None,
    min_clear: MinClear = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Say what it would take, and begin nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is finished, working it here if nothing serves the data folder; a deployment works it itself.")] = False,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Longest wait in seconds.", metavar="S", show_default=False)] = None,
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Work every acquisition over an area in a period, once."""
    from revisit.commands import recipe_of, shown_orders
    from revisit.commands.choosing import Wish
    from revisit.commands.estimating import foresee
    from revisit.commands.ordering import fulfil
    from revisit.commands.reading import results as jobs_of
    from revisit.embedded.lock import server_of

    if not (aoi or tile or product):
        raise BadInput("an order needs a place: give --aoi FILE, --tile such as 32TQM, or --product ID")
    wish = Wish(recipe_of(names(index), names(bands), resolution, resampling), read_aoi(aoi, repair) if aoi else None, tile, tuple(product or ()),
                source, begin(start), end(until), read_level(level), max_cloud, min_clear)
    backend = opened(data, project)
    if estimate:
        with working("Finding products"):
            _print_estimate(shown_orders.estimate(foresee(backend, wish)), json)
        return
    with working("Finding products"):
        placed = fulfil(backend, wish)
    if not placed.jobs:
        say("no product is known over this area in this period; check --from, --to and --source, or `revisit refresh`")
    if wait and placed.open:
        _wait(backend, None if project_of(data, project) else data_folder(data), placed.id, timeout)
    now = backend.record(type(placed), placed.id)
    value = shown_orders.order(now, jobs_of(backend, now.id), backend.now(), places(backend))
    if json:
        print_json(value)
    else:
        print(placed.id)
        if wait:
            _print_jobs(value["jobs"])
        elif now.jobs:
            say(f"{len(now.jobs)} acquisitions, {now.open} still to be worked; --wait waits for them, `revisit results {now.id}` shows them")
            if now.open and project_of(data, project) is None and server_of(data_folder(data)) is None:
                say("nothing is serving this data folder: order again with --wait, or start `revisit serve`")
    if now.open and wait:
        raise Retry(f"order {now.id} has {now.open} of {len(now.jobs)} jobs unfinished after {timeout:g} s")
    if any(job["state"] == "failed" for job in value["jobs"]):
        raise typer.Exit(1)


def _print_estimate(told: dict[str, Any], json: bool) -> None:
    if json:
        print_json(told)
        return
    rows = [("products", told["products"]), ("acquisitions", told["jobs"]), ("pixels", f"{told['pixels']:,}"),
            ("bytes read", f"{told['bytes_read']:,}"), ("bytes written", f"{told['bytes_written']:,}"), ("seconds of work", told["seconds"])]
    print_table(("", ""), rows if told["cost_usd"] is None else [*rows, ("US dollars", f"{told['cost_usd']:.4f}")])
    for sentence in told["assumptions"]:
        say(sentence)
    if told["refused"]:
        raise BadInput(told["refused"])


def _wait(backend: "Backend", data: Path | None, id: str, timeout: float | None) -> None:
    """Until an order has no open job, or the time is over.

    Args:
        data: Where it is worked here if nothing serves it; None where a deployment works it.
    """
    from revisit.order import Order

    total = len(backend.record(Order, id).jobs)
    with counting("Working", total) as bar:
        def done() -> bool:
            open_jobs = backend.record(Order, id).open
            if bar is not None:
                bar.update(bar.task_ids[0], completed=total - open_jobs)
            return open_jobs == 0

        if data is None:
            _wait_for_others(done, timeout)
            return
        from revisit.embedded.suite import run_until

        run: Callable[..., bool] = run_until
        run(backend, data, done, *([timeout] if timeout is not None else []))


def _wait_for_others(done: Callable[[], bool], timeout: float | None) -> None:
    until = math.inf if timeout is None else time.monotonic() + timeout
    while not done() and time.monotonic() < until:
        time.sleep(min(LOOKS_S, max(until - time.monotonic(), 0)))


def _print_jobs(jobs: list[dict[str, Any]]) -> None:
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
    from revisit.commands import results as jobs_of
    from revisit.commands import shown

    backend = opened(data, project)
    jobs = [shown.job(job, places(backend)) for job in jobs_of(backend, id)]
    if json:
        print_json({"jobs": jobs})
        return
    _print_jobs(jobs)
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
    from revisit.commands import series as through_time
    from revisit.commands import shown

    if json and csv:
        raise BadInput("--json and --csv exclude each other; choose one")
    rows = [shown.observation(seen) for seen in through_time(opened(data, project), id, index)]
    if json:
        print_json({"id": id, "index": index, "observations": rows})
    elif csv:
        print_csv(shown.table(rows, shown.OBSERVATION))
    else:
        columns = ("count", "mean", "std", "min", "max", "median")
        print_table(("SENSED", *(name.upper() for name in columns), "CLEAR", "ACQUISITION"),
                    [(minute(row["datetime"]), row["count"], *(measured(row[name]) for name in columns[1:]), percent(row["clear_fraction"]), row["acquisition"]) for row in rows],
                    (*(name.upper() for name in columns), "CLEAR"), spare=("ACQUISITION",))
    if not rows:
        say("no clear observation yet")
