"""Opening the band files of products: with a stated driver, from an address that was looked at, and of a size
that was checked."""

from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from revisit.domain.bands import BandFile
from revisit.errors import PermanentError
from revisit.pixels.raster.errors import classify_error, is_remote, redact_url
from revisit.pixels.raster.gdal import configure_gdal, load_rasterio
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.remote_cog import open_remote

MAX_PIXELS = 12_000**2
"""Of one band: a Sentinel-2 band has at most 10,980 x 10,980."""
MAX_BLOCK_BYTES = 64 * 2**20
"""Of one tile or strip: it is decoded whole."""
DRIVERS = {"GTiff": (".tif", ".tiff"), "JP2OpenJPEG": (".jp2",)}
"""Drivers allowed and the file names that belong to them."""
DTYPES = ("uint8", "uint16", "int16")


class BandReader(Protocol):
    """A band whose header has been read and checked."""

    @property
    def file(self) -> BandFile: ...

    @property
    def grid(self) -> Grid:
        """All of its pixels."""
        ...

    @property
    def dtype(self) -> str: ...

    @property
    def block(self) -> tuple[int, int]:
        """Height and width of what is decoded at once."""
        ...

    @property
    def bytes_read(self) -> int | None:
        """Taken of the file so far, as it lies there, compressed; None where what reads it does not tell."""
        ...

    def read(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        """The numbers of a window within the grid.

        Raises:
            PermanentError: The file is broken.
            TransientError: The server does not answer, or not well.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class GdalBand:
    """One band, open in GDAL."""

    file: BandFile
    grid: Grid
    dtype: str
    block: tuple[int, int]
    dataset: Any
    read_sizes: list[int] = field(default_factory=list, compare=False, repr=False)

    @property
    def bytes_read(self) -> int | None:
        """The blocks decoded of a TIFF; of JPEG 2000 the driver does not tell where its tiles lie."""
        return sum(self.read_sizes) if self.dataset.driver == "GTiff" else None

    def read(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        library = load_rasterio()
        try:
            read = self.dataset.read(1, window=((rows.start, rows.stop), (columns.start, columns.stop)))
        except (library.errors.RasterioError, library._err.CPLE_BaseError) as error:
            raise classify_error(self.file, error, self.dataset) from None
        if self.dataset.driver == "GTiff":
            self.read_sizes.append(self._compressed_size(rows, columns))
        return np.asarray(read)

    def _compressed_size(self, rows: slice, columns: slice) -> int:
        """Bytes of the blocks that a window touches."""
        high, wide = self.block
        return sum(
            int(self.dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", 1) or 0)
            for row in range(rows.start // high, -(-rows.stop // high))
            for column in range(columns.start // wide, -(-columns.stop // wide))
        )

    def close(self) -> None:
        self.dataset.close()


def open_band(file: BandFile) -> BandReader:
    """Open one band for reading; its address, size, type, blocks and CRS have been checked, no pixel has been
    read.

    Raises:
        PermanentError: The address is not one of ours, nothing is there, or it is not a band of Sentinel-2.
        TransientError: The server does not answer, or not well.
    """
    path = _gdal_path(file)
    configure_gdal()
    band: BandReader | None = None
    if is_remote(file.href) and file.driver == "GTiff":
        band = open_remote(file)
    if band is None:
        library = load_rasterio()
        try:
            dataset = library.open(path, driver=file.driver, sharing=False)
        except (library.errors.RasterioError, library._err.CPLE_BaseError) as error:
            raise classify_error(file, error) from None
        band = _wrap_dataset(file, dataset)
    try:
        _check_header(file, band)
    except PermanentError:
        band.close()
        raise
    return band


def _wrap_dataset(file: BandFile, dataset: Any) -> GdalBand:
    where = f"band {file.band} ({redact_url(file.href)})"
    try:
        if dataset.driver != file.driver:
            raise PermanentError(f"{where} was opened as {dataset.driver}, not as {file.driver}")
        if dataset.count != 1:
            raise PermanentError(f"{where} holds {dataset.count} layers; a file of one band is expected")
        code = dataset.crs.to_epsg() if dataset.crs else None
        if code is None or not dataset.crs.is_projected:
            raise PermanentError(f"{where} is not in a projected CRS with an EPSG code")
        a, b, c, d, e, f = dataset.transform[:6]
        try:
            grid = Grid(f"EPSG:{code}", (a, b, c, d, e, f), dataset.width, dataset.height)
        except PermanentError as error:
            raise PermanentError(f"{where}: {error}") from None
    except PermanentError:
        dataset.close()
        raise
    return GdalBand(file, grid, dataset.dtypes[0], tuple(dataset.block_shapes[0]), dataset)


def _gdal_path(file: BandFile) -> str:
    """What GDAL is given for a band file.

    Raises:
        PermanentError: It is neither an absolute path nor an http address of a raster, or the driver is not
            one of ours.
    """
    href = file.href
    if file.driver not in DRIVERS:
        raise PermanentError(
            f"band {file.band} wants the driver {file.driver!r}; only {' and '.join(DRIVERS)} are opened"
        )
    if is_remote(href):
        parts = urlsplit(href)
        if parts.username or parts.password or not parts.hostname or any(ord(c) <= 32 for c in href):
            raise PermanentError(
                f"band {file.band} has an address with a user name or without a host: {redact_url(href)}"
            )
        name, path = parts.path, f"/vsicurl/{href}"
    elif (
        href.startswith("/") and not href.startswith(("/vsi", "//")) and not any(c in href for c in "<>\0\n")
    ):
        name, path = href, href
    else:
        raise PermanentError(
            f"band {file.band} is neither an absolute local path nor an http address: {href[:100]!r}"
        )
    if not name.lower().endswith(DRIVERS[file.driver]):
        raise PermanentError(
            f"band {file.band} is to be read as {file.driver} but its name does not end in {DRIVERS[file.driver][0]}: {redact_url(href)}"
        )
    return path


def _check_header(file: BandFile, band: BandReader) -> None:
    """Refuse what its header declares before anything is decoded."""
    where = f"band {file.band} ({redact_url(file.href)})"
    if band.grid.width * band.grid.height > MAX_PIXELS:
        raise PermanentError(
            f"{where} declares {band.grid.width} x {band.grid.height} pixels; a Sentinel-2 band has at most 10980 x 10980"
        )
    if band.dtype not in DTYPES:
        raise PermanentError(f"{where} holds {band.dtype} values; {', '.join(DTYPES)} are read")
    rows, columns = band.block
    if rows * columns * np.dtype(band.dtype).itemsize > MAX_BLOCK_BYTES:
        raise PermanentError(
            f"{where} has blocks of {columns} x {rows} pixels; write it again with blocks of 512 or 1024"
        )
