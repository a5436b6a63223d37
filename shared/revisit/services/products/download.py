"""Download and listing of the files of products."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from revisit.domain.bands import BANDS, SourceFile
from revisit.domain.product import Product
from revisit.domain.product_name import id_of_file_name
from revisit.errors import InvalidInputError, NotFoundError
from revisit.ports.backend import Backend

type Fetch = Callable[[SourceFile, Path, Callable[[int], None]], bool]
"""Downloads a file to a path and reports the bytes received; returns whether it had to be downloaded."""


@dataclass(frozen=True, slots=True)
class DownloadResult:
    """Result of the download of one product."""

    product: str
    folder: Path
    files: int
    downloaded: int
    """Number of files downloaded; others existed already."""
    missing: tuple[str, ...] = ()
    """Paths that the product lists and the source does not have; manifests of some products of 2018 list
    files of another product.
    """


def get_product(backend: Backend, id: str, source: str = "") -> Product:
    """A product by its id.

    Raises:
        NotFoundError: The catalog does not have it.
    """
    found = backend.catalog().get(id_of_file_name(id), source)
    if found is None:
        raise NotFoundError(
            f"the catalog knows no product {id[:200]!r}; `revisit search` finds those it knows"
        )
    return found


def list_files(backend: Backend, product: Product, bands: Iterable[str] = ()) -> list[SourceFile]:
    """The files of a product.

    Args:
        backend: The backend.
        product: The product.
        bands: Only the images of these bands, in their native resolution; empty means all files.

    Raises:
        InvalidInputError: The product has no such band.
    """
    found = backend.source(product.source).files(product)
    wanted = list(dict.fromkeys(bands))
    if not wanted:
        return found
    chosen = {
        band: min(
            (file for file in found if file.band == band),
            key=lambda file: _resolution_distance(file, band),
            default=None,
        )
        for band in wanted
    }
    if missing := [band for band, file in chosen.items() if file is None]:
        there = ", ".join(band for band in BANDS if any(file.band == band for file in found))
        raise InvalidInputError(
            f"{product.id} has no {', '.join(missing)}; it has {there or 'no band at all'}"
        )
    return [file for file in chosen.values() if file]


def download_product(
    backend: Backend,
    product: Product,
    folder: Path,
    fetch: Fetch,
    bands: Iterable[str] = (),
    on_progress: Callable[[SourceFile, int], None] = lambda *_: None,
) -> DownloadResult:
    """Download the files of a product; complete files stay, interrupted ones are resumed.

    Args:
        backend: The backend.
        product: The product.
        folder: Target; the product gets its own subfolder.
        fetch: Downloads one file.
        bands: Only the images of these bands; empty means all files.
        on_progress: Called with a file and the number of bytes received since the last call.

    Raises:
        TransientError: The source does not answer; received data is kept.
        PermanentError: A file differs from what the source states, or cannot be written.
    """
    wanted = list_files(backend, product, bands)
    place = folder / (product.id if product.source.startswith("stac:") else f"{product.id}.SAFE")
    files = [file for file in wanted if not file.is_folder]
    brought, missing = 0, []
    for folder_entry in (file for file in wanted if file.is_folder):
        fetch(folder_entry, place / folder_entry.path, lambda _: None)
    for file in files:
        try:
            brought += fetch(file, place / file.path, lambda more, file=file: on_progress(file, more))  # type: ignore[misc]
        except NotFoundError:
            if file.band and bands:
                raise
            missing.append(file.path)
    return DownloadResult(product.id, place, len(files), brought, tuple(missing))


def _resolution_distance(file: SourceFile, band: str) -> tuple[int, str]:
    """Distance of a file's resolution, by its name, from the band's native one."""
    native = BANDS[band].resolution_m
    stated = next((int(text) for text in ("10", "20", "60") if f"_{text}m." in file.path), native)
    return abs(stated - native), file.path
