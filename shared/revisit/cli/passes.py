"""`revisit passes`: when the satellites come next."""

import sys
from typing import Annotated

import typer

from revisit.cli.console import minute, print_json, print_table, say
from revisit.cli.options import Data, Json, Project, Repair, names, opened, read_aoi
from revisit.errors import BadInput


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(passes)


def passes(
    aoi: Annotated[str, typer.Option("--aoi", help="GeoJSON file of the area of interest; - reads standard input.", metavar="FILE", show_default=False)] = "",
    tile: Annotated[str, typer.Option("--tile", help="Tiles, separated by commas, in place of an area.", metavar="A,B", show_default=False)] = "",
    days: Annotated[int, typer.Option("--days", help="How far ahead.", metavar="N")] = 30,
    ics: Annotated[bool, typer.Option("--ics", help="Print a calendar (iCalendar).")] = False,
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Show when the satellites are expected next, learnt from the catalog."""
    from revisit.presenters.documents import seen
    from revisit.services.products.passes import passes_of

    if json and ics:
        raise BadInput("--json and --ics exclude each other; choose one")
    backend = opened(data, project)
    coming = passes_of(backend, read_aoi(aoi, repair) if aoi else None, names(tile), days)
    if ics:
        from revisit.delivery.icalendar import calendar

        sys.stdout.buffer.write(calendar(coming, f"Sentinel-2 over {tile or aoi}", backend.now()))
    elif json:
        print_json({"passes": [seen(one) for one in coming]})
    else:
        print_table(("EXPECTED", "PLATFORM", "ORBIT", "TILES", "LEARNT FROM"),
                    [(minute(seen(one)["expected"]), one.platform, one.relative_orbit, ",".join(one.tiles), one.learnt_from) for one in coming],
                    ("ORBIT", "LEARNT FROM"))
    if not coming:
        say("the catalog knows no platform that passed here lately; see `revisit status`")
