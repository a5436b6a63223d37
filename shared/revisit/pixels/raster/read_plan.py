"""Reads bands of a product over an AOI, all on one grid."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from revisit.domain.bands import SPECTRAL_BANDS, BandFile
from revisit.errors import PermanentError
from revisit.pixels.masks import is_clear
from revisit.pixels.raster.band_reader import BandReader
from revisit.pixels.raster.classes import resample_classes
from revisit.pixels.raster.grid import Bounds, Grid, preload_projection, project_aoi
from revisit.pixels.raster.limits import MAX_DECODED_BYTES, MAX_PIXELS
from revisit.pixels.raster.open_band import open_band
from revisit.pixels.raster.remote_cog import RemoteCogReader
from revisit.pixels.raster.resample import ClearMasks, resample_pixels, source_window

_CONTINUOUS_LAYERS = ("AOT", "WVP")
"""Layers that are no reflectance and hold quantities, not classes."""
_MAX_THREADS = 16


@dataclass(frozen=True, slots=True)
class BandArrays:
    """The pixels of bands over an AOI."""

    grid: Grid
    dn: dict[str, npt.NDArray[Any]]
    """Digital numbers by band name: shape (height, width) of the grid, dtype of the file (uint8, uint16 or
    int16).

    Pixels without data hold the file's `nodata`, 0 in most products. Pixels outside the AOI but inside the
    grid are read like the others.
    """


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Open bands and the grid they will be read on; a context manager that closes the bands."""

    grid: Grid
    resampling: str
    _bands: dict[str, BandReader] = field(repr=False)
    _classes: list[Future[tuple[npt.NDArray[Any], Grid] | None]] = field(
        default_factory=list, repr=False, compare=False
    )
    """The scene classification around the grid in its own pixels, once needed; None if there is none."""
    _clear: dict[Grid, npt.NDArray[np.bool_]] = field(default_factory=dict, repr=False, compare=False)
    """Where the grids of the bands, and that of the plan, are clear."""
    _lock: Any = field(default_factory=Lock, repr=False, compare=False)
    """Held by the thread that adds to `_clear`."""

    @classmethod
    def open(
        cls,
        files: Mapping[str, BandFile],
        aoi_geometry: dict[str, Any],
        bands: Iterable[str] | None = None,
        resolution_m: float | None = None,
        resampling: str = "bilinear",
        remote: RemoteCogReader | None = None,
        extent: Callable[[str], Bounds] | None = None,
    ) -> Self:
        """Open the bands and choose the grid; no pixel is read.

        The grid is that of the finest band among `bands` that holds reflectance, with its origin, cropped to
        the AOI's bounds and to the product's extent. With `resolution_m`, pixels are counted from the same
        origin.

        Args:
            files: By band name; files of other bands than `bands` are not opened.
            aoi_geometry: GeoJSON Polygon or MultiPolygon, lon/lat degrees.
            bands: Names to open; all files if None. SCL decides the grid only if it is the only band.
            resolution_m: Pixel size in metres; the finest band's if None.
            resampling: "bilinear" or "nearest", for bands coarser than the grid; bands finer than the grid
                are averaged. Classes go to a finer grid by nearest neighbour, to a coarser one by area.
            remote: Reads COGs over HTTP; the process's shared reader if None.
            extent: Takes a CRS and returns bounds in it, over which the grid extends beyond the product.

        Raises:
            PermanentError: A band is missing or unreadable, the CRSs differ, or the AOI is outside the
                product or takes too many pixels.
            TransientError: A server does not answer, fails, or breaks off.
        """
        names = list(dict.fromkeys(files if bands is None else bands))
        if missing := [name for name in names if name not in files]:
            raise PermanentError(f"the product has no band {', '.join(missing)}; it has {', '.join(files)}")
        if not names:
            raise PermanentError("no band is named; name at least one")
        opened = open_bands(files, names, remote)
        plan = None
        try:
            plan = cls._build(opened, aoi_geometry, resolution_m, resampling, extent)
        finally:
            if plan is None:
                _close_all(opened.values())
        return plan

    @classmethod
    def _build(
        cls,
        opened: dict[str, BandReader],
        aoi_geometry: dict[str, Any],
        resolution_m: float | None,
        resampling: str,
        extent: Callable[[str], Bounds] | None,
    ) -> Self:
        reflectance = [band for name, band in opened.items() if not is_classification(name)] or list(
            opened.values()
        )
        native = min(reflectance, key=lambda band: band.grid.resolution_m).grid
        for band in opened.values():
            if band.grid.crs != native.crs:
                raise PermanentError(
                    f"band {band.file.band} is in {band.grid.crs}, the others are in {native.crs}"
                )
        whole = native if resolution_m is None else native.with_resolution(resolution_m)
        if extent is not None:
            whole = whole.covering(extent(whole.crs))
        aoi = project_aoi(native if extent is None else whole, aoi_geometry)
        grid = None if aoi.is_empty else whole.crop(aoi.bounds)
        if grid is None:
            raise PermanentError(
                f"the AOI is outside the product, which covers {native.bounds} in {native.crs}"
            )
        if grid.width * grid.height > MAX_PIXELS:
            raise PermanentError(
                f"the AOI takes {grid.width} x {grid.height} pixels of {grid.resolution_m:g} m, "
                f"more than {MAX_PIXELS:,}; ask for a smaller AOI or a coarser resolution_m"
            )
        return cls(grid, resampling, opened)

    @property
    def bands(self) -> Mapping[str, BandReader]:
        """The open bands by name."""
        return self._bands

    def with_bands(self, bands: Mapping[str, BandReader]) -> "ReadPlan":
        """A plan that reads other bands on the same grid."""
        return ReadPlan(self.grid, self.resampling, dict(bands))

    def read(self, bands: Sequence[str] | None = None) -> BandArrays:
        """Read bands on the grid, in parallel.

        Where the plan has a scene classification, a clear pixel is averaged or interpolated from clear pixels
        only.

        Args:
            bands: Names among those opened; all of them if None.

        Raises:
            PermanentError: A file is corrupt, a band was not opened, or the pixels exceed MAX_DECODED_BYTES.
            TransientError: A server does not answer, fails, or breaks off.
        """
        names = list(dict.fromkeys(self._bands if bands is None else bands))
        if unopened := [name for name in names if name not in self._bands]:
            raise PermanentError(
                f"band {', '.join(unopened)} is not part of the plan, which has {', '.join(self._bands)}"
            )
        self._check_size([self._bands[name] for name in names])
        mixed = "SCL" in self._bands and any(self._is_mixed(self._bands[name]) for name in names)
        if (mixed or "SCL" in names) and not self._classes:
            # Submitted before the bands, which wait for it once they have read their own files.
            self._classes.append(_thread_pool().submit(self._read_classes))
        try:
            found = _run_all(lambda name: self._read_band(self._bands[name]), names)
        finally:
            if self._classes and self._classes[0].exception():
                self._classes.clear()
        return BandArrays(self.grid, dict(zip(names, found, strict=True)))

    def _check_size(self, bands: list[BandReader]) -> None:
        """Refuse before decoding what does not fit: the source window and the result are held together."""
        total = 0
        for band in bands:
            rows, columns = source_window(band.grid, self.grid)
            total += (
                self.grid.width * self.grid.height + (rows.stop - rows.start) * (columns.stop - columns.start)
            ) * np.dtype(band.dtype).itemsize
        if total > MAX_DECODED_BYTES:
            raise PermanentError(
                f"{len(bands)} bands of {self.grid.width} x {self.grid.height} pixels "
                f"need {total / 1e9:.1f} GB, more than {MAX_DECODED_BYTES / 1e9:.0f} GB; "
                "ask for a smaller AOI, fewer bands or a coarser resolution_m"
            )

    def _is_mixed(self, band: BandReader) -> bool:
        """Whether pixels of a band on the grid are averaged or interpolated from several of the file."""
        return (
            not is_classification(band.file.band)
            and band.grid.resolution_m != self.grid.resolution_m
            and self._resampling_for(band) != "nearest"
        )

    def _read_classes(self) -> tuple[npt.NDArray[Any], Grid] | None:
        """The pixels of the scene classification around the grid, and their grid."""
        band, mixed = self._bands["SCL"], [each for each in self._bands.values() if self._is_mixed(each)]
        margin = max((2 * each.grid.resolution_m for each in mixed), default=0.0)
        west, south, east, north = self.grid.bounds
        near = band.grid.crop((west - margin, south - margin, east + margin, north + margin))
        if near is None:
            return None
        top, left = (round(offset) for offset in band.grid.offset_of(near))
        return band.read(slice(top, top + near.height), slice(left, left + near.width)), near

    def _clear_on(self, grid: Grid) -> npt.NDArray[np.bool_]:
        """Where a grid is clear by `_classes_on`; found once."""
        with self._lock:
            if grid not in self._clear:
                self._clear[grid] = is_clear(self._classes_on(grid))
            return self._clear[grid]

    def _classes_on(self, grid: Grid) -> npt.NDArray[Any]:
        """The scene classification on the grid of the plan, or on one of a band."""
        loaded = self._classes[0].result()
        if loaded is None:
            return np.zeros(grid.shape, np.uint8)
        pixels, source = loaded
        finest = source.resolution_m
        if grid is self.grid:
            finest = min(band.grid.resolution_m for band in self._bands.values())
        return resample_classes(pixels, source, grid, grid.resolution_m > finest * (1 + 1e-6))

    def _read_band(self, band: BandReader) -> npt.NDArray[Any]:
        if band.file.band == "SCL":
            return self._classes_on(self.grid)
        source, target = band.grid, self.grid
        rows, columns = source_window(source, target)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return np.full(target.shape, band.file.nodata, band.dtype)
        pixels = band.read(rows, columns)
        a, b, x, d, e, y = source.transform
        read = Grid(
            source.crs,
            (a, b, x + a * columns.start, d, e, y + e * rows.start),
            pixels.shape[1],
            pixels.shape[0],
        )
        if read == target:
            return pixels
        clear = None
        if "SCL" in self._bands and self._is_mixed(band):
            clear = ClearMasks(self._clear_on(read), self._clear_on(target))
        return resample_pixels(pixels, read, target, band.file.nodata, self._resampling_for(band), clear)

    def _resampling_for(self, band: BandReader) -> str:
        if is_classification(band.file.band):
            return "nearest"
        return "average" if self.grid.resolution_m > band.grid.resolution_m else self.resampling

    @property
    def bytes_read(self) -> int | None:
        """Compressed bytes read from the files so far; None if one of the readers cannot tell."""
        total = 0
        for band in self._bands.values():
            if band.bytes_read is None:
                return None
            total += band.bytes_read
        return total

    def close(self) -> None:
        """Close the files."""
        _close_all(self._bands.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_bands(
    files: Mapping[str, BandFile], names: Sequence[str], remote: RemoteCogReader | None = None
) -> dict[str, BandReader]:
    """Open bands by name, in parallel; errors as for `open_band`."""
    opened = _run_all(lambda name: open_band(files[name], remote), names, preload_projection)
    return dict(zip(names, opened, strict=True))


def is_classification(band: str) -> bool:
    """Whether a band holds classes, which are never interpolated."""
    return band not in SPECTRAL_BANDS and band not in _CONTINUOUS_LAYERS


@cache
def _thread_pool() -> ThreadPoolExecutor:
    """Threads that wait for files. They are kept between reads: each new thread pages in memory of its
    own."""
    return ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="band")


def _run_all[T](
    work: Callable[[str], T], names: Sequence[str], meanwhile: Callable[[], None] | None = None
) -> list[T]:
    """Run the work for every name in parallel, and `meanwhile` on this thread.

    Once all have ended, raises the first failure in the order of the names.
    """
    if len(names) == 1:
        return [work(names[0])]
    futures = [_thread_pool().submit(work, name) for name in names]
    if meanwhile:
        meanwhile()
    wait(futures)
    return [future.result() for future in futures]


def _close_all(bands: Iterable[BandReader]) -> None:
    for band in bands:
        band.close()
