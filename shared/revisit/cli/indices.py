"""Commands `revisit indices`: the spectral indices, their formulas, bands and constants."""

from typing import Annotated

import typer

from revisit.cli.console import format_cell, print_json, print_message, print_table
from revisit.cli.options import Json

Search = Annotated[
    str,
    typer.Option(
        "--search",
        help="Only indices whose name, title, use or bands hold each of these words.",
        metavar="TEXT",
        show_default=False,
    ),
]
Name = Annotated[
    str,
    typer.Argument(help="Name of an index, or a formula such as 'wet=(B8A-B11)/(B8A+B11)'.", metavar="NAME"),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="List and show spectral indices.", invoke_without_command=True)
    group.callback()(list_without_command)
    for command, name in ((list_, "list"), (show, "show")):
        group.command(name)(command)
    app.add_typer(group, name="indices")


def list_without_command(context: typer.Context, search: Search = "", json: Json = False) -> None:
    """List and show spectral indices."""
    if context.invoked_subcommand is None:
        list_(search, json)


def list_(search: Search = "", json: Json = False) -> None:
    """List spectral indices, those in most use first."""
    from revisit.presenters import spectral_indices

    rows = spectral_indices.documents(search)
    if json:
        print_json({"indices": rows})
        return
    print_table(
        ("NAME", "USE", "BANDS", "TITLE", "FORMULA"),
        [
            (row["name"], row["application"], " ".join(row["bands"]), row["title"], row["formula_in_bands"])
            for row in rows
        ],
        optional=("FORMULA", "BANDS"),
    )
    if not rows:
        print_message(f"no index matches {search!r}; `revisit indices` lists all")


def show(name: Name, json: Json = False) -> None:
    """Show an index, or check a formula of your own."""
    from revisit.presenters import spectral_indices
    from revisit.services.orders.resolve_recipe import find_index, read_formula

    row = spectral_indices.document(read_formula(name) if "=" in name else find_index(name))
    if json:
        print_json(row)
        return
    low, high = row["domain"]
    fields = {
        "name": row["name"],
        "title": row["title"],
        "formula": row["formula"],
        "in bands": row["formula_in_bands"],
        "bands": ", ".join(f"{letter} = {band}" for letter, band in row["letters"].items()),
        "constants": ", ".join(f"{key} = {value:g}" for key, value in row["constants"].items()),
        "range": "not stated"
        if low is None and high is None
        else f"{format_cell(low)} to {format_cell(high)}",
        "high value": row["meaning"],
        "use": row["application"],
        "other names": ", ".join(row["aliases"]),
        "source": row["reference"] or "",
    }
    print_table(("", ""), [(key, value) for key, value in fields.items() if value])
