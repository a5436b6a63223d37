"""`revisit serve` and `revisit demo`: the whole suite on this computer."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from revisit.cli.console import format_percent, print_json, print_message, print_table
from revisit.cli.options import Data, Json, local_data_folder

if TYPE_CHECKING:
    from threading import Event

Port = Annotated[
    int, typer.Option("--port", help="On 127.0.0.1; 0 takes a free one.", min=0, max=65535, metavar="N")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(demo)


def serve(
    data: Data = None,
    port: Port = 8787,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            help="folder:PATH, google-index:PATH-or-URL or stac:URL#collection; repeat "
            "for several. Else those the data folder remembers.",
            metavar="SPEC",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", help="Processes for raster work.", min=1, max=64, metavar="N")
    ] = 2,
) -> None:
    """Watch, work and answer until stopped: the chain, the API and the page."""
    from revisit.adapters.local.backend import remember_sources
    from revisit.adapters.sources import open_source
    from revisit.embedded.server import EmbeddedServer

    stop = _stop_on_signals()
    folder: Path = local_data_folder(data, "serve")
    if source:
        remember_sources(folder, tuple(open_source(spec).spec for spec in source))
    with EmbeddedServer(folder, port=port, workers=workers) as suite:
        print_message(f"Revisit serves {folder} at {suite.url} (stop with Ctrl-C)")
        suite.wait(stop)
    print_message("stopped; what was under way goes on with the next start")


def demo(
    data: Data = None,
    port: Port = 8787,
    once: Annotated[bool, typer.Option("--once", help="End when the archive has been worked.")] = False,
    json: Json = False,
) -> None:
    """Make a small realistic archive and watch it: nothing is downloaded."""
    from revisit.demo.runner import run_live, run_once

    folder = local_data_folder(data, "demo")
    if not once:
        run_live(folder, port, print_message, _stop_on_signals())
        return
    made = run_once(folder, print_message)
    if json:
        print_json(made)
    else:
        print_table(
            ("SENSED", "STATE", "CLEAR", "NDVI", "REASON"),
            [
                (
                    row["datetime"],
                    row["state"],
                    format_percent(row["clear_fraction"]),
                    row["NDVI"],
                    row["reason"],
                )
                for row in made["dates"]
            ],
        )
        print_message(
            f"{made['alerts']} alerts; the numbers {'equal' if made['right'] else 'DIFFER FROM'} what the season was made of"
        )
    raise typer.Exit(0 if made["right"] else 1)


def _stop_on_signals() -> "Event":
    """Set by Ctrl-C or a request to end."""
    from threading import Event

    stop = Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop
