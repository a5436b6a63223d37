"""Command `revisit download`: whole products, or some of their bands."""

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
    product: Annotated[list[str], typer.Argument(help="Product ids, from `revisit search`.")],
    to: Annotated[
        Path, typer.Option("--to", help="Target folder; each product gets its own subfolder.", metavar="DIR")
    ] = Path(),
    bands: Bands = "",
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="Source to download from, if several have the product.",
            metavar="SPEC",
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Download whole products or some bands; run again to resume."""
    from revisit.adapters.sources.download import download_file
    from revisit.domain.bands import band_name
    from revisit.services.products.download import download_product, get_product

    backend = open_backend(data, project)
    band_names = [band_name(band) for band in split_names(bands)]
    results = []
    for record in [get_product(backend, id, source) for id in product]:
        with show_transfer(record.id) as on_progress:
            results.append(download_product(backend, record, to, download_file, band_names, on_progress))
    if json:
        print_json(
            {
                "products": [
                    {
                        "product": result.product,
                        "folder": str(result.folder),
                        "files": result.files,
                        "brought": result.downloaded,
                        "missing": list(result.missing),
                    }
                    for result in results
                ]
            }
        )
    else:
        print_table(
            ("PRODUCT", "FILES", "DOWNLOADED", "FOLDER"),
            [(result.product, result.files, result.downloaded, result.folder) for result in results],
            ("FILES", "DOWNLOADED"),
        )
    for result in results:
        for path in result.missing[:5]:
            print_message(f"{result.product} lists {path}, which its source does not have")
    if any(result.missing for result in results):
        raise PermanentError("some files are missing at the source; all other files are complete")
