"""Commands `revisit refresh` and `revisit search`: the catalog of products."""

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
    reject_both,
)
from revisit.errors import InvalidInputError

if TYPE_CHECKING:
    from revisit.chain.refresh import RefreshResult


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(refresh)
    app.command()(search)


_MAX_REJECTIONS_PRINTED = 3
"""Rejections printed per source; --json lists more."""


def refresh(
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            help="folder:PATH, google-index:PATH-or-URL or stac:URL#collection; repeatable. "
            "Default: all known sources.",
            metavar="SPEC",
        ),
    ] = None,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """List the sources and add new products to the catalog."""
    from revisit.chain.refresh import refresh_source

    backend = open_backend(data, project)
    specs = tuple(source or backend.sources)
    if not specs:
        raise InvalidInputError("no source is configured; give one with --source, such as folder:PATH")
    results = []
    for spec in specs:
        with show_status(f"Listing {spec}"):
            results.append(refresh_source(backend, spec))
    if json:
        print_json({"sources": [_refresh_document(result) for result in results]})
        return
    print_table(
        ("SOURCE", "READ", "NEW", "REMOVED", "REJECTED"),
        [
            (result.source, result.rows, result.new, result.removed, result.rejection_count)
            for result in results
        ],
        ("READ", "NEW", "REMOVED", "REJECTED"),
    )
    for result in results:
        for name, reason in result.rejection_examples[:_MAX_REJECTIONS_PRINTED]:
            print_message(f"rejected {name}: {reason}")
        more = result.rejection_count - _MAX_REJECTIONS_PRINTED
        if more > 0:
            print_message(f"and {more:,} more rejected products of {result.source}; --json lists more")
        for name, missing in list(result.incomplete.items())[:_MAX_REJECTIONS_PRINTED]:
            print_message(f"incomplete {name}: {missing}")
        for name, remark in result.remarks[:_MAX_REJECTIONS_PRINTED]:
            print_message(f"listed {name} {remark}")
        more = len(result.remarks) - _MAX_REJECTIONS_PRINTED
        if more > 0:
            print_message(f"and {more:,} more products of {result.source} that lack bands; --json lists more")
        if result.unfinished:
            print_message(f"the listing of {result.source} is incomplete; the next refresh continues it")


def _refresh_document(result: "RefreshResult") -> dict[str, Any]:
    return {
        "source": result.source,
        "read": result.rows,
        "new": result.new,
        "removed": result.removed,
        "rejected": result.rejection_count,
        "unchanged": result.unchanged,
        "unfinished": result.unfinished,
        "incomplete": [
            {"product": name, "missing": missing} for name, missing in list(result.incomplete.items())[:20]
        ],
        "rejections": [{"row": name, "reason": reason} for name, reason in result.rejection_examples[:20]],
        "remarks": [{"product": name, "remark": remark} for name, remark in result.remarks[:20]],
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
    limit: Annotated[int, typer.Option("--limit", help="Maximum number of products.")] = 100,
    repair: Repair = False,
    json: Json = False,
    csv: Csv = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Search the catalog by area, date and cloud cover; a product of several sources is listed once."""
    from revisit.presenters import documents
    from revisit.presenters.csv_table import PRODUCT_COLUMNS, to_csv
    from revisit.services.products.search import search_products

    reject_both("--json", json, "--csv", csv)
    area = read_aoi(aoi, repair) if aoi else None
    products = search_products(
        open_backend(data, project),
        area,
        tile,
        parse_start(start),
        parse_end(until),
        max_cloud,
        read_level(level),
        limit=limit,
    )
    rows = [documents.product(found.product, found.sources) for found in products]
    if json:
        print_json({"products": rows})
    elif csv:
        flat = [row | {"sources": " ".join(row["sources"])} for row in rows]
        print_csv(to_csv(flat, PRODUCT_COLUMNS))
    else:
        print_table(
            ("SENSED", "TILE", "LEVEL", "CLOUD %", "PRODUCT", "SOURCES"),
            [
                (
                    format_minute(row["datetime"]),
                    row["tile"],
                    row["level"],
                    None if row["cloud_cover"] is None else f"{row['cloud_cover']:.1f}",
                    row["product"],
                    ", ".join(row["sources"]),
                )
                for row in rows
            ],
            ("CLOUD %",),
        )
    if not rows:
        print_message("no products match; `revisit refresh` updates the catalog from the sources")
    elif len(rows) == limit:
        print_message(f"{limit} shown; raise --limit for more")
