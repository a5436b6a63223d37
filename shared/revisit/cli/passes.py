"""Command `revisit passes`: predicted passes of the satellites over an area."""

import sys
from typing import Annotated

import typer

from revisit.cli.console import format_minute, print_json, print_message, print_table
from revisit.cli.options import (
    Aoi,
    Data,
    Json,
    Project,
    Repair,
    open_backend,
    read_aoi,
    reject_both,
    split_names,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(passes)


def passes(
    aoi: Aoi = "",
    tile: Annotated[
        str,
        typer.Option(
            "--tile",
            help="MGRS tiles instead of an area, comma-separated.",
            metavar="A,B",
            show_default=False,
        ),
    ] = "",
    days: Annotated[int, typer.Option("--days", help="Days to look ahead.", metavar="N")] = 30,
    ics: Annotated[bool, typer.Option("--ics", help="Print a calendar (iCalendar).")] = False,
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Predict the next passes from the products in the catalog."""
    from revisit.presenters.documents import expected_pass
    from revisit.services.products.passes import upcoming_passes

    reject_both("--json", json, "--ics", ics)
    backend = open_backend(data, project)
    predicted = upcoming_passes(backend, read_aoi(aoi, repair) if aoi else None, split_names(tile), days)
    if ics:
        from revisit.delivery.icalendar import render_calendar

        sys.stdout.buffer.write(render_calendar(predicted, f"Sentinel-2 over {tile or aoi}", backend.now()))
    elif json:
        print_json({"passes": [expected_pass(item) for item in predicted]})
    else:
        print_table(
            ("EXPECTED", "PLATFORM", "ORBIT", "TILES", "BASED ON"),
            [
                (
                    format_minute(expected_pass(item)["expected"]),
                    item.platform,
                    item.relative_orbit,
                    ",".join(item.tiles),
                    item.learnt_from,
                )
                for item in predicted
            ],
            ("ORBIT", "BASED ON"),
        )
    if not predicted:
        print_message("the catalog has no recent pass over this area to predict from; see `revisit status`")
