"""`revisit serve` and `revisit demo`: the whole suite on this computer."""

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from revisit.cli.options import Data, Json, data_folder
from revisit.cli.screen import say

Port = Annotated[int, typer.Option("--port", help="On 127.0.0.1; 0 takes a free one.", min=0, max=65535, metavar="N")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(demo)


def serve(
    data: Data = None,
    port: Port = 8787,
    source: Annotated[list[str] | None, typer.Option("--source", help="folder:PATH, google-index:PATH-or-URL or stac:URL#collection; repeat "
                                                     "for several. Else those the data folder remembers.", metavar="SPEC")] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes for raster work.", min=1, max=64, metavar="N")] = 2,
) -> None:
    """Watch, work and answer until stopped: the chain, the API and the page."""
    from threading import Event

    from revisit.embedded import Suite

    stop = Event()

    def stopped(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopped)
    folder: Path = data_folder(data)
    with Suite(folder, tuple(source or ()), port=port, workers=workers) as suite:
        say(f"Revisit serves {folder} at {suite.url} (stop with Ctrl-C)")
        stop.wait()
    say("stopped; what was under way goes on with the next start")


def demo(
    data: Data = None,
    port: Port = 8787,
    once: Annotated[bool, typer.Option("--once", help="End when the archive has been worked.")] = False,
    json: Json = False,
) -> None:
    """Make a small realistic archive and watch it: nothing is downloaded."""
    from revisit.demo.play import play

    raise typer.Exit(play(data_folder(data), port, once, json, say))
