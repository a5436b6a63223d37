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
    Aoi,
    Bands,
    Data,
    From,
    Index,
    Json,
    MaxCloud,
    MinClear,
    MinClearOf,
    MinCoverage,
    OrderLevel,
    Project,
    Repair,
    To,
    data_folder,
    open_backend,
    parse_end,
    parse_start,
    project_of,
    read_aoi,
    read_clear_base,
    read_level_choice,
    split_indices,
    split_names,
    url_builder,
)
from revisit.cli.results import print_jobs
from revisit.errors import InvalidInputError, TransientError

if TYPE_CHECKING:
    from revisit.domain.order import Order
    from revisit.ports.backend import Backend

Id = Annotated[str, typer.Argument(help="Id of an order.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(order)
    group = typer.Typer(help="List, show and cancel orders.", no_args_is_help=True)
    for command, name in ((list_, "list"), (show, "show"), (cancel, "cancel")):
        group.command(name)(command)
    app.add_typer(group, name="orders")


def list_(json: Json = False, data: Data = None, project: Project = None) -> None:
    """List orders, newest first."""
    from revisit.presenters import documents
    from revisit.services.orders.create import list_orders

    rows = [documents.order_summary(record) for record in list_orders(open_backend(data, project))]
    if json:
        print_json({"orders": rows})
    else:
        print_table(
            ("ORDER", "STATE", "JOBS", "DONE", "SKIPPED", "FAILED", "OPEN", "CREATED", "RECIPE"),
            [
                (
                    row["order"],
                    row["state"],
                    row["total"],
                    *(_format_count(row[name]) for name in ("done", "skipped", "failed", "open")),
                    format_minute(row["created"]),
                    _format_recipe(row),
                )
                for row in rows
            ],
            ("JOBS", "DONE", "SKIPPED", "FAILED", "OPEN"),
        )


def show(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show the progress, estimate and usage of an order."""
    from revisit.services.orders.create import get_order

    backend = open_backend(data, project)
    _print_order(_order_details(backend, get_order(backend, id)), json)


def cancel(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Cancel an order; finished results are kept."""
    from revisit.services.orders.cancel import cancel_order

    backend = open_backend(data, project)
    cancelled = cancel_order(backend, id)
    _print_order(_order_details(backend, cancelled), json)
    if not cancelled.cancelled:
        print_message(f"order {id} was already finished; nothing was cancelled")


def _order_details(backend: "Backend", record: "Order") -> dict[str, Any]:
    from revisit.presenters import orders
    from revisit.services.subscriptions.results import list_jobs

    return orders.order_details(record, list_jobs(backend, record.id), backend.now(), url_builder(backend))


def _print_order(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    progress, estimate, usage = document["progress"], document["estimate"] or {}, document["actual"]
    print_table(
        ("", ""),
        [
            ("order", document["order"]),
            ("state", document["state"]),
            *([("reason", document["reason"])] if document["reason"] else []),
            ("created", format_minute(document["created"])),
            ("age in seconds", document["age_s"]),
            ("done", progress["done"]),
            ("skipped", progress["skipped"]),
            ("failed", progress["failed"]),
            ("open", progress["open"]),
            ("processed", format_percent(progress["share"])),
        ],
    )
    print_table(
        ("", "ESTIMATE", "USAGE"),
        [
            (name.replace("_", " "), _format_count(estimate.get(name)), _format_count(usage[name]))
            for name in ("pixels", "bytes_read", "bytes_written", "seconds")
        ],
        ("ESTIMATE", "USAGE"),
    )
    for note in document["notes"]:
        print_message(note)
    for job in document["jobs"]:
        if job["reason"]:
            print_message(f"{job['acquisition']} {job['state']}: {job['reason']}")


def _format_count(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def _format_recipe(document: dict[str, Any]) -> str:
    from revisit.domain.recipe import index_name

    recipe = document["recipe"]
    return ",".join((*map(index_name, recipe["indices"]), *recipe["bands"]))


POLL_INTERVAL_S = 2.0
"""Seconds between two reads of an order in a deployment; each read is billed."""


def order(
    aoi: Aoi = "",
    tile: Annotated[
        str,
        typer.Option(
            "--tile",
            help="A whole MGRS tile, such as 32TQM, instead of an area.",
            metavar="TILE",
            show_default=False,
        ),
    ] = "",
    product: Annotated[
        list[str] | None,
        typer.Option("--product", help="Only this product; repeatable.", metavar="ID", show_default=False),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="Only products of this source: folder:PATH, google-index:PATH-or-URL "
            "or stac:URL#collection.",
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
            help="Pixel size of the result in metres; default: that of the finest band.",
            metavar="M",
            show_default=False,
        ),
    ] = None,
    resampling: Annotated[
        str, typer.Option("--resampling", help="bilinear or nearest.", metavar="METHOD")
    ] = "bilinear",
    level: OrderLevel = "",
    max_cloud: MaxCloud = None,
    min_clear: MinClear = None,
    min_clear_of: MinClearOf = "",
    min_coverage: MinCoverage = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Estimate only; don't start.")] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait",
            help="Wait for the results; process the order here if no server or deployment does.",
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", help="Longest wait in seconds.", metavar="S", show_default=False),
    ] = None,
    per_tile: Annotated[
        bool, typer.Option("--per-tile", help="A result for each tile, instead of one for each pass.")
    ] = False,
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Process every pass over an area in a date range."""
    from revisit.embedded.lock import server_url
    from revisit.presenters import orders
    from revisit.services.orders.create import create_order, estimate_order
    from revisit.services.orders.resolve_recipe import build_recipe
    from revisit.services.orders.selection import OrderRequest

    if not (aoi or tile or product):
        raise InvalidInputError(
            "an order needs an area: give --aoi FILE, --tile such as 32TQM, or --product ID"
        )
    request = OrderRequest(
        build_recipe(split_indices(index), split_names(bands), resolution, resampling),
        read_aoi(aoi, repair) if aoi else None,
        tile,
        tuple(product or ()),
        source,
        parse_start(start),
        parse_end(until),
        read_level_choice(level),
        max_cloud,
        min_clear,
        min_coverage=min_coverage,
        min_clear_of=read_clear_base(min_clear_of) or "aoi",
        per_tile=per_tile,
    )
    backend = open_backend(data, project)
    if estimate:
        with show_status("Finding products"):
            document = orders.estimate(estimate_order(backend, request))
        _print_estimate(document, json)
        return
    with show_status("Finding products"):
        created = create_order(backend, request)
    if not created.jobs:
        print_message(
            "no products match; check --from, --to and --source, or update the catalog with `revisit refresh`"
        )
    for note in created.notes:
        print_message(note)
    folder = None if project_of(data, project) else data_folder(data)
    if wait and created.is_active:
        _wait_until_done(backend, folder, created.id, timeout)
    current = backend.get_record(type(created), created.id)
    value = _order_details(backend, current)
    if json:
        print_json(value)
    else:
        print(current.id)
        if wait:
            print_jobs(value["jobs"])
            print_message(orders.progress_text(value["progress"]))
        elif current.jobs:
            print_message(
                f"{len(current.jobs)} passes, {current.open} still to process; --wait waits for them, "
                f"`revisit results {current.id}` shows them"
            )
            if current.open and folder is not None and server_url(folder) is None:
                print_message(
                    "no server is running for this data folder: "
                    "start `revisit serve`, or order again with --wait"
                )
    if current.is_active and wait:
        raise TransientError(
            f"{current.open} of {len(current.jobs)} jobs of order {current.id} are "
            f"unfinished after {timeout:g} s"
        )
    if current.state == "failed":
        print_message(f"order {current.id} failed: {current.reason}")
        raise typer.Exit(1)
    if any(job["state"] == "failed" for job in value["jobs"]):
        raise typer.Exit(1)


def _print_estimate(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    rows = [
        ("products", document["products"]),
        ("passes", document["jobs"]),
        ("pixels", f"{document['pixels']:,}"),
        ("bytes read", f"{document['bytes_read']:,}"),
        ("bytes written", f"{document['bytes_written']:,}"),
        ("processing seconds", document["seconds"]),
    ]
    print_table(
        ("", ""),
        rows if document["cost_usd"] is None else [*rows, ("US dollars", f"{document['cost_usd']:.4f}")],
    )
    for line in (*document["notes"], *document["assumptions"]):
        print_message(line)
    if document["refused"]:
        raise InvalidInputError(document["refused"])


def _wait_until_done(backend: "Backend", data: Path | None, id: str, timeout: float | None) -> None:
    """Wait until an order has ended, or the time is over.

    A running server reports the progress by server-sent events. Without one, or if its events break off, the
    order is polled.

    Args:
        data: Data folder, in which the order is processed here if no server runs; None for a deployment.
        timeout: Longest wait in seconds; None waits without limit.
    """
    from revisit.cli.order_events import follow_order
    from revisit.domain.order import Order
    from revisit.embedded.lock import server_url

    deadline_s = math.inf if timeout is None else time.monotonic() + timeout
    with show_progress("Processing", len(backend.get_record(Order, id).jobs)) as bar:

        def show(total: int, open_jobs: int) -> None:
            if bar is not None:
                bar.update(bar.task_ids[0], total=total, completed=total - open_jobs)

        def done() -> bool:
            record = backend.get_record(Order, id)
            show(len(record.jobs), record.open)
            return not record.is_active

        if data is None:
            _poll_until_done(done, deadline_s)
            return
        url = server_url(data) or ""
        if url.startswith("http") and follow_order(
            url,
            id,
            data,
            lambda event: show(event["progress"]["total"], event["progress"]["open"]),
            deadline_s,
        ):
            return
        from revisit.embedded.server import run_until

        run_until(backend, data, done, max(0.0, deadline_s - time.monotonic()))


def _poll_until_done(done: Callable[[], bool], deadline_s: float) -> None:
    while not done() and time.monotonic() < deadline_s:
        time.sleep(min(POLL_INTERVAL_S, max(deadline_s - time.monotonic(), 0)))
