"""`revisit refresh` and `revisit search`: what products there are."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from revisit.cli.console import minute, print_csv, print_json, print_table, say, working
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
    begin,
    end,
    opened,
    read_aoi,
    read_level,
)
from revisit.errors import BadInput

if TYPE_CHECKING:
    from revisit.chain.refresh import Refreshed


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(refresh)
    app.command()(search)


_TOLD = 3
"""Rejections told in words."""


def refresh(
    source: Annotated[list[str] | None, typer.Option("--source", help="folder:PATH, google-index:PATH-or-URL or stac:URL#collection; "
                                                     "repeat for several. Else all that the data folder remembers.", metavar="SPEC")] = None,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Ask the sources what is new."""
    from revisit.chain.refresh import refresh_source

    backend = opened(data, project)
    specs = tuple(source or backend.sources)
    if not specs:
        raise BadInput("no source is remembered; name one with --source, such as folder:PATH")
    found = []
    for spec in specs:
        with working(f"Listing {spec}"):
            found.append(refresh_source(backend, spec))
    if json:
        print_json({"sources": [_told(one) for one in found]})
        return
    print_table(("SOURCE", "READ", "NEW", "REJECTED"), [(one.source, one.rows, one.new, one.rejected) for one in found], ("READ", "NEW", "REJECTED"))
    for one in found:
        for name, reason in one.rejections[:_TOLD]:
            say(f"rejected {name}: {reason}")
        if one.rejected > _TOLD:
            say(f"and {one.rejected - _TOLD:,} more of {one.source}; --json lists more of them")
        if one.unfinished:
            say(f"{one.source} is not read to the end yet; the next refresh goes on with it")


def _told(one: "Refreshed") -> dict[str, Any]:
    return {"source": one.source, "read": one.rows, "new": one.new, "rejected": one.rejected, "unchanged": one.unchanged, "unfinished": one.unfinished,
            "rejections": [{"row": name, "reason": reason} for name, reason in one.rejections[:20]]}


def search(
    aoi: Aoi = "",
    tile: Annotated[str, typer.Option("--tile", help="MGRS tile, such as 32TQM.", metavar="ID", show_default=False)] = "",
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
    from revisit.services import search as find

    if json and csv:
        raise BadInput("--json and --csv exclude each other; choose one")
    area = read_aoi(aoi, repair) if aoi else None
    products = find(opened(data, project), area, tile, begin(start), end(until), max_cloud, read_level(level), limit=limit)
    rows = [documents.product(product) for product in products]
    if json:
        print_json({"products": rows})
    elif csv:
        print_csv(documents.table(rows, documents.PRODUCT))
    else:
        print_table(("SENSED", "TILE", "LEVEL", "CLOUD %", "PRODUCT"),
                    [(minute(row["datetime"]), row["tile"], row["level"], None if row["cloud_cover"] is None else f"{row['cloud_cover']:.1f}", row["product"])
                     for row in rows], ("CLOUD %",))
    if not rows:
        say("no product is known there; `revisit refresh` asks the sources")
    elif len(rows) == limit:
        say(f"the first {limit} are shown; --limit shows more")
