"""`revisit refresh` and `revisit search`: what products there are."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from revisit.cli.console import format_minute, print_csv, print_json, print_message, print_table, show_status
from revisit.cli.options import (
    Aoi,
    Csv,
    Data,
    From,
    Json,
    LevelName,
    MaxCloud,
    Project,
    Repair,
    To,
    open_backend,
    parse_end,
    parse_start,
    read_aoi,
    read_level,
)
from revisit.errors import InvalidInputError

if TYPE_CHECKING:
    from revisit.chain.refresh import RefreshResult


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(refresh)
    app.command()(search)


_MAX_REJECTIONS_PRINTED = 3
"""Rejections told in words."""


def refresh(
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            help="folder:PATH, google-index:PATH-or-URL or stac:URL#collection; "
            "repeat for several. Else all that the data folder remembers.",
            metavar="SPEC",
        ),
    ] = None,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Ask the sources what is new."""
    from revisit.chain.refresh import refresh_source

    backend = open_backend(data, project)
    specs = tuple(source or backend.sources)
    if not specs:
        raise InvalidInputError("no source is remembered; name one with --source, such as folder:PATH")
    found = []
    for spec in specs:
        with show_status(f"Listing {spec}"):
            found.append(refresh_source(backend, spec))
    if json:
        print_json({"sources": [_refreshed_document(one) for one in found]})
        return
    print_table(
        ("SOURCE", "READ", "NEW", "REJECTED"),
        [(one.source, one.rows, one.new, one.rejection_count) for one in found],
        ("READ", "NEW", "REJECTED"),
    )
    for one in found:
        for name, reason in one.rejection_examples[:_MAX_REJECTIONS_PRINTED]:
            print_message(f"rejected {name}: {reason}")
        if one.rejection_count > _MAX_REJECTIONS_PRINTED:
            print_message(
                f"and {one.rejection_count - _MAX_REJECTIONS_PRINTED:,} more of {one.source}; --json lists more of them"
            )
        if one.unfinished:
            print_message(f"{one.source} is not read to the end yet; the next refresh goes on with it")


def _refreshed_document(refreshed: "RefreshResult") -> dict[str, Any]:
    return {
        "source": refreshed.source,
        "read": refreshed.rows,
        "new": refreshed.new,
        "rejected": refreshed.rejection_count,
        "unchanged": refreshed.unchanged,
        "unfinished": refreshed.unfinished,
        "rejections": [{"row": name, "reason": reason} for name, reason in refreshed.rejection_examples[:20]],
    }


def search(
    aoi: Aoi = "",
    tile: Annotated[
        str, typer.Option("--tile", help="MGRS tile, such as 32TQM.", metavar="ID", show_default=False)
    ] = "",
    start: From = "",
    until: To = "",
    max_cloud: MaxCloud = None,
    level: LevelName = "",
    limit: Annotated[int, typer.Option("--limit", help="Products at most.")] = 100,
    repair: Repair = False,
    json: Json = False,
    csv: Csv = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Find products by place, time and cloud."""
    from revisit.presenters import documents
    from revisit.services.products.search import search_products as find

    if json and csv:
        raise InvalidInputError("--json and --csv exclude each other; choose one")
    area = read_aoi(aoi, repair) if aoi else None
    products = find(
        open_backend(data, project),
        area,
        tile,
        parse_start(start),
        parse_end(until),
        max_cloud,
        read_level(level),
        limit=limit,
    )
    rows = [documents.product(product) for product in products]
    if json:
        print_json({"products": rows})
    elif csv:
        print_csv(documents.to_csv(rows, documents.PRODUCT_COLUMNS))
    else:
        print_table(
            ("SENSED", "TILE", "LEVEL", "CLOUD %", "PRODUCT"),
            [
                (
                    format_minute(row["datetime"]),
                    row["tile"],
                    row["level"],
                    None if row["cloud_cover"] is None else f"{row['cloud_cover']:.1f}",
                    row["product"],
                )
                for row in rows
            ],
            ("CLOUD %",),
        )
    if not rows:
        print_message("no product is known there; `revisit refresh` asks the sources")
    elif len(rows) == limit:
        print_message(f"the first {limit} are shown; --limit shows more")
