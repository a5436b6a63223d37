"""Commands `revisit order` and `revisit orders`: create, list, show and cancel orders."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revisit.cli.console import (
    format_minute,
    format_percent,
    print_json,
    print_message,
    print_table,
    show_progress,
    show_status,
)
from revisit.cli.options import (
    Bands,
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
    data_folder,
    open_backend,
    parse_end,
    parse_start,
    project_of,
    read_aoi,
    read_level,
    split_names,
    url_builder,
)
from revisit.cli.results import print_jobs
from revisit.errors import InvalidInputError, TransientError

if TYPE_CHECKING:
    from revisit.ports.backend import Backend

Id = Annotated[str, typer.Argument(help="Id of an order.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(order)
    many = typer.Typer(help="Show orders, or take one back.", no_args_is_help=True)
    for command, name in ((list_, "list"), (show, "show"), (cancel, "cancel")):
        many.command(name)(command)
    app.add_typer(many, name="orders")


def list_(json: Json = False, data: Data = None, project: Project = None) -> None:
    """List orders, the newest first."""
    from revisit.presenters import documents
    from revisit.services.orders.create import list_orders

    placed = [documents.order_summary(one) for one in list_orders(open_backend(data, project))]
    if json:
        print_json({"orders": placed})
    else:
        print_table(
            ("ORDER", "STATE", "OPEN", "OF", "PLACED", "RECIPE"),
            [
                (
                    one["order"],
                    one["state"],
                    one["open"],
                    one["total"],
                    format_minute(one["created"]),
                    _format_recipe(one),
                )
                for one in placed
            ],
            ("OPEN", "OF"),
        )


def show(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show how far an order is, what was expected of it and what it took."""
    from revisit.presenters import orders
    from revisit.services.orders.create import get_order
    from revisit.services.subscriptions.results import list_jobs

    backend = open_backend(data, project)
    placed = get_order(backend, id)
    _print_order(
        orders.order_details(placed, list_jobs(backend, id), backend.now(), url_builder(backend)), json
    )


def cancel(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Take an order back: what of it has not ended is not worked."""
    from revisit.presenters import orders
    from revisit.services.orders.cancel import cancel_order as take_back
    from revisit.services.subscriptions.results import list_jobs

    backend = open_backend(data, project)
    over = take_back(backend, id)
    _print_order(
        orders.order_details(over, list_jobs(backend, id), backend.now(), url_builder(backend)), json
    )
    if not over.cancelled:
        print_message(f"order {id} had finished before; nothing of it was left to take back")


def _print_order(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    far, expected, took = document["progress"], document["estimate"] or {}, document["actual"]
    print_table(
        ("", ""),
        [
            ("order", document["order"]),
            ("state", document["state"]),
            ("placed", format_minute(document["created"])),
            ("age in seconds", document["age_s"]),
            ("done", far["done"]),
            ("skipped", far["skipped"]),
            ("failed", far["failed"]),
            ("open", far["open"]),
            ("worked", format_percent(far["share"])),
        ],
    )
    print_table(
        ("", "EXPECTED", "SO FAR"),
        [
            (name.replace("_", " "), _format_count(expected.get(name)), _format_count(took[name]))
            for name in ("pixels", "bytes_read", "bytes_written", "seconds")
        ],
        ("EXPECTED", "SO FAR"),
    )
    for job in document["jobs"]:
        if job["reason"]:
            print_message(f"{job['acquisition']} {job['state']}: {job['reason']}")


def _format_count(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def _format_recipe(document: dict[str, Any]) -> str:
    return ",".join((*document["recipe"]["indices"], *document["recipe"]["bands"]))


POLL_INTERVAL_S = 2.0
"""Between two looks at an order that a deployment works: each is a read that is paid for."""


def order(
    aoi: Annotated[
        str,
        typer.Option(
            "--aoi",
            help="GeoJSON file of the area of interest; - reads standard input.",
            metavar="FILE",
            show_default=False,
        ),
    ] = "",
    tile: Annotated[
        str,
        typer.Option(
            "--tile",
            help="The whole of a tile, such as 32TQM, in place of an area.",
            metavar="TILE",
            show_default=False,
        ),
    ] = "",
    product: Annotated[
        list[str] | None,
        typer.Option(
            "--product",
            help="Exactly this product; may be given again and again.",
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="The only source to take products from: folder:PATH, google-index:PATH-or-URL or "
            "stac:URL#collection. Else all that are known.",
            metavar="SPEC",
            show_default=False,
        ),
    ] = "",
    start: From = "",
    until: To = "",
    index: Index = "",
    bands: Bands = "",
    resolution: Annotated[
        float | None,
        typer.Option(
            "--resolution",
            help="Pixel size of the result in metres; else that of the finest band.",
            metavar="M",
            show_default=False,
        ),
    ] = None,
    resampling: Annotated[
        str, typer.Option("--resampling", help="bilinear or nearest.", metavar="HOW")
    ] = "bilinear",
    level: LevelName = "",
    max_cloud: MaxCloud = None,
    min_clear: MinClear = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it would take, and parse_start nothing.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait",
            help="Wait until it is finished, show_status it here if nothing serves the data folder; a deployment works it itself.",
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", help="Longest wait in seconds.", metavar="S", show_default=False),
    ] = None,
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Work every acquisition over an area in a period, once."""
    from revisit.embedded.lock import server_url
    from revisit.presenters import orders as shown_orders
    from revisit.services.orders.create import create_order, estimate_order
    from revisit.services.orders.resolve_recipe import build_recipe
    from revisit.services.orders.selection import OrderRequest
    from revisit.services.subscriptions.results import list_jobs as jobs_of

    if not (aoi or tile or product):
        raise InvalidInputError(
            "an order needs a place: give --aoi FILE, --tile such as 32TQM, or --product ID"
        )
    wish = OrderRequest(
        build_recipe(split_names(index), split_names(bands), resolution, resampling),
        read_aoi(aoi, repair) if aoi else None,
        tile,
        tuple(product or ()),
        source,
        parse_start(start),
        parse_end(until),
        read_level(level),
        max_cloud,
        min_clear,
    )
    backend = open_backend(data, project)
    if estimate:
        with show_status("Finding products"):
            _print_estimate(shown_orders.estimate(estimate_order(backend, wish)), json)
        return
    with show_status("Finding products"):
        placed = create_order(backend, wish)
    if not placed.jobs:
        print_message(
            "no product is known over this area in this period; check --from, --to and --source, or `revisit refresh`"
        )
    if wait and placed.open:
        _wait_until_done(
            backend, None if project_of(data, project) else data_folder(data), placed.id, timeout
        )
    now = backend.get_record(type(placed), placed.id)
    value = shown_orders.order_details(now, jobs_of(backend, now.id), backend.now(), url_builder(backend))
    if json:
        print_json(value)
    else:
        print(placed.id)
        if wait:
            print_jobs(value["jobs"])
        elif now.jobs:
            print_message(
                f"{len(now.jobs)} acquisitions, {now.open} still to be worked; --wait waits for them, `revisit results {now.id}` shows them"
            )
            if now.open and project_of(data, project) is None and server_url(data_folder(data)) is None:
                print_message(
                    "nothing is serving this data folder: order again with --wait, or start `revisit serve`"
                )
    if now.open and wait:
        raise TransientError(
            f"order {now.id} has {now.open} of {len(now.jobs)} jobs unfinished after {timeout:g} s"
        )
    if any(job["state"] == "failed" for job in value["jobs"]):
        raise typer.Exit(1)


def _print_estimate(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    rows = [
        ("products", document["products"]),
        ("acquisitions", document["jobs"]),
        ("pixels", f"{document['pixels']:,}"),
        ("bytes read", f"{document['bytes_read']:,}"),
        ("bytes written", f"{document['bytes_written']:,}"),
        ("seconds of work", document["seconds"]),
    ]
    print_table(
        ("", ""),
        rows if document["cost_usd"] is None else [*rows, ("US dollars", f"{document['cost_usd']:.4f}")],
    )
    for sentence in document["assumptions"]:
        print_message(sentence)
    if document["refused"]:
        raise InvalidInputError(document["refused"])


def _wait_until_done(backend: "Backend", data: Path | None, id: str, timeout: float | None) -> None:
    """Until an order has no open job, or the time is over.

    Args:
        data: Where it is worked here if nothing serves it; None where a deployment works it.
    """
    from revisit.domain.order import Order

    total = len(backend.get_record(Order, id).jobs)
    with show_progress("Working", total) as bar:

        def done() -> bool:
            open_jobs = backend.get_record(Order, id).open
            if bar is not None:
                bar.update(bar.task_ids[0], completed=total - open_jobs)
            return open_jobs == 0

        if data is None:
            _poll_until_done(done, timeout)
            return
        from revisit.embedded.server import run_until

        run: Callable[..., bool] = run_until
        run(backend, data, done, *([timeout] if timeout is not None else []))


def _poll_until_done(done: Callable[[], bool], timeout: float | None) -> None:
    until = math.inf if timeout is None else time.monotonic() + timeout
    while not done() and time.monotonic() < until:
        time.sleep(min(POLL_INTERVAL_S, max(until - time.monotonic(), 0)))
