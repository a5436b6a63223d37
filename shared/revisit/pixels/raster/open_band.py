"""Opens the band files of products: with a stated driver, from a checked address, within a checked size."""

import threading
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from revisit.domain.bands import BandFile
from revisit.errors import PermanentError
from revisit.net import signed_buckets
from revisit.pixels.raster.band_reader import BandReader
from revisit.pixels.raster.clean_band import clean_band
from revisit.pixels.raster.errors import classify_error
from revisit.pixels.raster.gdal import gdal_errors, load_rasterio
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.http_settings import HttpSettings
from revisit.pixels.raster.limits import MAX_BLOCK_BYTES, MAX_PIXELS
from revisit.pixels.raster.remote_cog import RemoteBand, RemoteCogReader
from revisit.pixels.raster.urls import is_remote, redact_url

DRIVERS = {"GTiff": (".tif", ".tiff"), "JP2OpenJPEG": (".jp2",)}
"""Drivers that may be used, and the suffixes of their files."""
DTYPES = ("uint8", "uint16", "int16")
CLASS_DTYPES = (*DTYPES, "int8", "uint32", "int32", "uint64", "int64")


@dataclass(frozen=True, slots=True)
class GdalBand:
    """A band open in GDAL; implements `BandReader`."""

    file: BandFile
    grid: Grid
    dtype: str
    block: tuple[int, int]
    dataset: Any
    read_sizes: list[int] = field(default_factory=list, compare=False, repr=False)

    @property
    def nodata(self) -> float | None:
        """Nodata that the file itself states."""
        stated: float | None = self.dataset.nodata
        return stated

    @property
    def bytes_read(self) -> int | None:
        """Of a TIFF, the blocks decoded; None for JPEG 2000, whose driver does not say where its tiles
        are."""
        return sum(self.read_sizes) if self.dataset.driver == "GTiff" else None

    def read(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        """As `BandReader.read`."""
        try:
            pixels = self.dataset.read(1, window=((rows.start, rows.stop), (columns.start, columns.stop)))
        except gdal_errors() as error:
            raise classify_error(self.file, error, self.dataset) from None
        if self.dataset.driver == "GTiff":
            self.read_sizes.append(self._compressed_size(rows, columns))
        return np.asarray(pixels)

    def _compressed_size(self, rows: slice, columns: slice) -> int:
        """Bytes of the blocks that a window touches."""
        height, width = self.block
        return sum(
            int(self.dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", 1) or 0)
            for row in range(rows.start // height, -(-rows.stop // height))
            for column in range(columns.start // width, -(-columns.stop // width))
        )

    def close(self) -> None:
        """Close the dataset."""
        self.dataset.close()


def open_band(file: BandFile, remote: RemoteCogReader | None = None) -> BandReader:
    """Open one band; its address, size, dtype, blocks and CRS are checked, no pixel is read.

    What is read has 0 where there are no data, whatever the file has (`clean_band`); scale, offset and nodata
    of the reader's `file` are those of its numbers.

    Args:
        remote: Reads COGs over HTTP; the process's shared reader if None.

    Raises:
        PermanentError: The address is not allowed, the file does not exist, or it is no Sentinel-2 band.
        TransientError: The server does not answer, fails, or breaks off.
    """
    path = _gdal_path(file)
    band: GdalBand | RemoteBand | None = None
    if is_remote(file.href) and file.driver == "GTiff":
        band = (remote or _shared_reader()).open(file)
    if band is None:
        library = load_rasterio()
        signed = signed_buckets.sign(file.href, keep_suffix=True)
        try:
            dataset = library.open(path.replace(file.href, signed), driver=file.driver, sharing=False)
        except gdal_errors() as error:
            raise classify_error(file, error) from None
        band = _wrap_dataset(file, dataset)
    try:
        _check_header(file, band)
    except PermanentError:
        band.close()
        raise
    return clean_band(band, band.nodata, file.band == "SCL")


_shared_reader_lock = threading.Lock()


def _shared_reader() -> RemoteCogReader:
    """The reader of this process: connections and headers are used again by later reads."""
    with _shared_reader_lock:
        return _make_shared_reader()


@cache
def _make_shared_reader() -> RemoteCogReader:
    return RemoteCogReader(HttpSettings.from_environment())


def _wrap_dataset(file: BandFile, dataset: Any) -> GdalBand:
    """Check what GDAL opened; closes it if it is refused."""
    label = f"band {file.band} ({redact_url(file.href)})"
    try:
        if dataset.driver != file.driver:
            raise PermanentError(f"{label} was opened as {dataset.driver}, not as {file.driver}")
        if dataset.count != 1:
            raise PermanentError(f"{label} holds {dataset.count} layers; a file of one band is expected")
        code = dataset.crs.to_epsg() if dataset.crs else None
        if code is None or not dataset.crs.is_projected:
            raise PermanentError(f"{label} is not in a projected CRS with an EPSG code")
        a, b, c, d, e, f = dataset.transform[:6]
        try:
            grid = Grid(f"EPSG:{code}", (a, b, c, d, e, f), dataset.width, dataset.height)
        except PermanentError as error:
            raise PermanentError(f"{label}: {error}") from None
    except PermanentError:
        dataset.close()
        raise
    return GdalBand(file, grid, dataset.dtypes[0], tuple(dataset.block_shapes[0]), dataset)


def _gdal_path(file: BandFile) -> str:
    """The path under which GDAL opens a band file.

    Raises:
        PermanentError: The address is neither an absolute path nor an HTTP URL of a raster, or the driver is
            not allowed.
    """
    href = file.href
    if file.driver not in DRIVERS:
        raise PermanentError(
            f"band {file.band} needs the driver {file.driver!r}; only {' and '.join(DRIVERS)} are opened"
        )
    if is_remote(href):
        parts = urlsplit(href)
        if parts.username or parts.password or not parts.hostname or any(ord(c) <= 32 for c in href):
            raise PermanentError(
                f"band {file.band} has a URL with a user name, with a space or without a host: "
                f"{redact_url(href)}"
            )
        name, path = parts.path, f"/vsicurl/{href}"
    elif href.startswith("/") and not href.startswith(("/vsi", "//")) and not any(c in href for c in "\0\n"):
        name, path = href, href
    else:
        raise PermanentError(
            f"band {file.band} is neither an absolute local path nor an HTTP URL: {href[:100]!r}"
        )
    if not name.lower().endswith(DRIVERS[file.driver]):
        raise PermanentError(
            f"band {file.band} is to be read as {file.driver}, but its name does not end in "
            f"{DRIVERS[file.driver][0]}: {redact_url(href)}"
        )
    return path


def _check_header(file: BandFile, band: BandReader) -> None:
    """Refuse by the header, before anything is decoded."""
    label = f"band {file.band} ({redact_url(file.href)})"
    if band.grid.width * band.grid.height > MAX_PIXELS:
        raise PermanentError(
            f"{label} declares {band.grid.width} x {band.grid.height} pixels; "
            "a Sentinel-2 band has at most 10980 x 10980"
        )
    dtypes = CLASS_DTYPES if file.band == "SCL" else DTYPES
    if band.dtype not in dtypes:
        raise PermanentError(f"{label} holds {band.dtype} values; {', '.join(dtypes)} are read")
    rows, columns = band.block
    if rows * columns * np.dtype(band.dtype).itemsize > MAX_BLOCK_BYTES:
        raise PermanentError(
            f"{label} has blocks of {columns} x {rows} pixels; write it again with blocks of 512 or 1024"
        )
