"""`revisit download`: files of products, whole or by bands."""

from pathlib import Path
from typing import Annotated

import typer

from revisit.cli.console import print_json, print_message, print_table, show_transfer
from revisit.cli.options import Bands, Data, Json, Project, open_backend, split_names
from revisit.errors import PermanentError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(download)


def download(
    product: Annotated[list[str], typer.Argument(help="Ids of products, as `revisit search` prints them.")],
    to: Annotated[
        Path, typer.Option("--to", help="Folder that they go into, each in one of its own.", metavar="DIR")
    ] = Path(),
    bands: Bands = "",
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="SPEC of the source to take them from, where several know them.",
            metavar="SPEC",
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Bring products to this computer: the whole tree, or the bands named. Said again, it goes on where it
    was cut off."""
    from revisit.adapters.sources.download import download_file
    from revisit.domain.bands import band_name
    from revisit.services.products.download import download_product as bring
    from revisit.services.products.download import get_product

    backend = open_backend(data, project)
    wanted = [band_name(band) for band in split_names(bands)]
    found = []
    for known in [get_product(backend, id, source) for id in product]:
        with show_transfer(known.id) as told:
            found.append(bring(backend, known, to, download_file, wanted, told))
    if json:
        print_json(
            {
                "products": [
                    {
                        "product": one.product,
                        "folder": str(one.folder),
                        "files": one.files,
                        "brought": one.downloaded,
                        "missing": list(one.missing),
                    }
                    for one in found
                ]
            }
        )
    else:
        print_table(
            ("PRODUCT", "FILES", "BROUGHT", "FOLDER"),
            [(one.product, one.files, one.downloaded, one.folder) for one in found],
            ("FILES", "BROUGHT"),
        )
    for one in found:
        for path in one.missing[:5]:
            print_message(f"{one.product} names {path}, which its source does not have")
    if any(one.missing for one in found):
        raise PermanentError(
            "not all files that the products name are at their source; the others are there in full"
        )
