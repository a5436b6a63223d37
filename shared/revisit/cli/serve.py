"""Commands `revisit serve` and `revisit demo`: all functions, the API and the page in one process."""

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
    int, typer.Option("--port", help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535, metavar="N")
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
            help="folder:PATH, google-index:PATH-or-URL or stac:URL#collection; repeatable. "
            "Default: the sources of the last run.",
            metavar="SPEC",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", help="Processes for raster jobs.", min=1, max=64, metavar="N")
    ] = 2,
) -> None:
    """Run the service (processing, API, web page) until stopped."""
    from revisit.adapters.local.backend import remember_sources
    from revisit.adapters.sources import open_source
    from revisit.embedded.server import EmbeddedServer

    stop = _stop_on_signals()
    folder: Path = local_data_folder(data, "serve")
    if source:
        remember_sources(folder, tuple(open_source(spec).spec for spec in source))
    with EmbeddedServer(folder, port=port, workers=workers) as server:
        print_message(f"Revisit serves {folder} at {server.url} (stop with Ctrl-C)")
        server.wait(stop)
    print_message("stopped; unfinished jobs continue at the next start")


def demo(
    data: Data = None,
    port: Port = 8787,
    once: Annotated[bool, typer.Option("--once", help="Exit when the archive is processed.")] = False,
    json: Json = False,
) -> None:
    """Generate a small realistic archive and watch it; downloads nothing."""
    from revisit.demo.runner import run_live, run_once

    folder = local_data_folder(data, "demo")
    if not once:
        run_live(folder, port, print_message, _stop_on_signals())
        return
    outcome = run_once(folder, print_message)
    if json:
        print_json(outcome)
    else:
        print_table(
            ("SENSED", "STATE", "COVERAGE", "CLEAR", "NDVI", "REASON"),
            [
                (
                    row["datetime"],
                    row["state"],
                    format_percent(row["coverage"]),
                    format_percent(row["clear_fraction"]),
                    row["NDVI"],
                    row["reason"],
                )
                for row in outcome["dates"]
            ],
        )
        verdict = "equal" if outcome["right"] else "DIFFER FROM"
        print_message(
            f"{outcome['alerts']} alerts; the values {verdict} those that the archive was made from"
        )
    raise typer.Exit(0 if outcome["right"] else 1)


def _stop_on_signals() -> "Event":
    """An event that SIGINT (Ctrl-C) and SIGTERM set."""
    from threading import Event

    stop = Event()

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return stop
