"""The Typer app with all commands.

Commands import what they need when they run, so that --help is fast.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from revisit import __version__
from revisit.cli import (
    download,
    indices,
    keys,
    operations,
    orders,
    passes,
    results,
    search,
    serve,
    subscriptions,
)
from revisit.cli.options import project_of

app = typer.Typer(
    name="revisit",
    help="Watch areas with Sentinel-2: alerts, maps, indices and statistics for each clear acquisition.",
    epilog="Start with: revisit demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(requested: bool) -> None:
    if requested:
        print(f"revisit {__version__}")
        raise typer.Exit


@app.callback()
def _common_options(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Data folder for the command that follows.", metavar="DIR", show_default=False
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            help="Google Cloud project for the command that follows.",
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    del version
    if data is not None or project is not None:
        project_of(data, project)
    for value, name, other in (
        (data, "REVISIT_DATA", "REVISIT_PROJECT"),
        (project, "REVISIT_PROJECT", "REVISIT_DATA"),
    ):
        if value is not None:
            os.environ[name] = str(value)
            os.environ.pop(other, None)


for module in (serve, search, download, subscriptions, orders, indices, results, passes, keys, operations):
    module.register(app)
