"""The files of one product, as its source lists them."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from revisit.domain.bands import BandFile, SourceFile
from revisit.domain.product import Product
from revisit.errors import PermanentError
from revisit.ports.sources import Source

_PREVIEW_NAME = re.compile(r"(-ql|preview|thumbnail|quicklook)[^/]*\.(jpe?g|png)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ProductFiles:
    """The files and bands of one product."""

    files: tuple[SourceFile, ...]
    bands: dict[str, BandFile]
    """By name; the href of a band on a local disk is its path among the files."""
    preview: SourceFile | None = None

    @classmethod
    def from_source(cls, files: Iterable[SourceFile], bands: Mapping[str, BandFile]) -> Self:
        """Combine files and bands; a local band that is not among the files is left out, since it is not
        served."""
        files = tuple(file for file in files if not file.is_folder)
        paths = {file.href: file.path for file in files if not is_url(file.href)}
        located = {
            band: file
            if is_url(file.href)
            else replace(file, href=paths.get(file.href) or paths.get(os.path.realpath(file.href), ""))
            for band, file in bands.items()
        }
        return cls(
            files,
            {band: file for band, file in located.items() if file.href},
            next((file for file in files if _PREVIEW_NAME.search(file.path)), None),
        )


def fetch_product_files(source: Source, product: Product) -> ProductFiles:
    """List the files of a product.

    Raises:
        TransientError, PermanentError: As the source raises them.
    """
    files = source.files(product)
    try:
        return ProductFiles.from_source(files, source.bands(product))
    except PermanentError:
        # The product may have files although none of them is a readable band.
        return ProductFiles.from_source(files, {})


def is_url(href: str) -> bool:
    """Whether a file is reached over HTTP, rather than on a local disk."""
    return href.startswith("http")
