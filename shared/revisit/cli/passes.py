"""`revisit passes`: when the satellites come next."""

import sys
from typing import Annotated

import typer

from revisit.cli.console import format_minute, print_json, print_message, print_table
from revisit.cli.options import Data, Json, Project, Repair, open_backend, read_aoi, split_names
from revisit.errors import InvalidInputError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(passes)


def passes(
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
            help="Tiles, separated by commas, in place of an area.",
            metavar="A,B",
            show_default=False,
        ),
    ] = "",
    days: Annotated[int, typer.Option("--days", help="How far ahead.", metavar="N")] = 30,
    ics: Annotated[bool, typer.Option("--ics", help="Print a calendar (iCalendar).")] = False,
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Show when the satellites are expected next, learnt from the catalog."""
    from revisit.presenters.documents import expected_pass
    from revisit.services.products.passes import upcoming_passes

    if json and ics:
        raise InvalidInputError("--json and --ics exclude each other; choose one")
    backend = open_backend(data, project)
    coming = upcoming_passes(backend, read_aoi(aoi, repair) if aoi else None, split_names(tile), days)
    if ics:
        from revisit.delivery.icalendar import render_calendar

        sys.stdout.buffer.write(render_calendar(coming, f"Sentinel-2 over {tile or aoi}", backend.now()))
    elif json:
        print_json({"passes": [expected_pass(one) for one in coming]})
    else:
        print_table(
            ("EXPECTED", "PLATFORM", "ORBIT", "TILES", "LEARNT FROM"),
            [
                (
                    format_minute(expected_pass(one)["expected"]),
                    one.platform,
                    one.relative_orbit,
                    ",".join(one.tiles),
                    one.learnt_from,
                )
                for one in coming
            ],
            ("ORBIT", "LEARNT FROM"),
        )
    if not coming:
        print_message("the catalog knows no platform that passed here lately; see `revisit status`")
