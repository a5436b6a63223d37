"""Bands of further products on the grid, and in the DN, of the first product's band."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.domain.bands import BandFile
from revisit.pixels.raster.band_reader import BandReader
from revisit.pixels.raster.band_wrapper import BandWrapper
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.product_classes import ProductClasses, read_around
from revisit.pixels.raster.reproject import REACH, reproject_pixels

_ALIGNED = 1e-3
"""Share of a pixel within which two grids of one CRS count as aligned."""

Pixels = npt.NDArray[Any]


@dataclass(slots=True)
class AlignedBand(BandWrapper):
    """A band of one product on the grid of another; implements `BandReader`.

    It keeps the window that it read, so that a smaller or equal one costs nothing.
    """

    band: BandReader
    file: BandFile
    """File of the band whose scale, offset and nodata the pixels have."""
    grid: Grid
    """Its grid, extended as far as needed."""
    dtype: str
    classes: bool
    """Whether the pixels are classes, which are not interpolated."""
    scene: ProductClasses | None = None
    """The scene classification of the product; without one, reprojected pixels are interpolated from all."""
    _held: tuple[slice, slice, Pixels] | None = field(default=None, repr=False)

    @property
    def is_aligned(self) -> bool:
        """Whether pixels of the band are pixels of the grid, so that they are copied."""
        if self.band.grid.crs != self.grid.crs or self.band.grid.resolution_m != self.grid.resolution_m:
            return False
        return all(abs(offset - round(offset)) < _ALIGNED for offset in self.band.grid.offset_of(self.grid))

    def read(self, rows: slice, columns: slice) -> Pixels:
        """As `BandReader.read`; pixels beyond the band are nodata."""
        if self._held is None or not (_is_within(rows, self._held[0]) and _is_within(columns, self._held[1])):
            self._held = rows, columns, self._read(self.grid.window(rows, columns))
        return self.held(rows, columns)

    def held(self, rows: slice, columns: slice) -> Pixels:
        """What was read of a window; nodata elsewhere."""
        shape = rows.stop - rows.start, columns.stop - columns.start
        if self._held is None:
            return np.full(shape, self.file.nodata, self.dtype)
        top, left, pixels = self._held
        if _is_within(rows, top) and _is_within(columns, left):
            return pixels[
                rows.start - top.start : rows.stop - top.start,
                columns.start - left.start : columns.stop - left.start,
            ]
        out = np.full(shape, self.file.nodata, self.dtype)
        _paste(pixels, top.start - rows.start, left.start - columns.start, out)
        return out

    def close(self) -> None:
        """Close the band and release what was read."""
        self._held = None
        self.band.close()

    def _read(self, window: Grid) -> Pixels:
        return self._copy(window) if self.is_aligned else self._reproject(window)

    def _copy(self, window: Grid) -> Pixels:
        top, left = (round(offset) for offset in self.band.grid.offset_of(window))
        rows = _clip(top, top + window.height, self.band.grid.height)
        columns = _clip(left, left + window.width, self.band.grid.width)
        out = np.full(window.shape, self.file.nodata, self.dtype)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return out
        pixels = convert_dn(self.band.read(rows, columns), self.band.file, self.file, self.dtype)
        if pixels.shape == window.shape:
            return pixels
        _paste(pixels, rows.start - top, columns.start - left, out)
        return out

    def _reproject(self, window: Grid) -> Pixels:
        found = read_around(self.band, window, REACH)
        if found is None:
            return np.full(window.shape, self.file.nodata, self.dtype)
        pixels, near = found
        clear = None if self.classes or self.scene is None else self.scene.clear_masks(near, window)
        method = "nearest" if self.classes else "bilinear"
        moved = reproject_pixels(pixels, near, window, self.band.file.nodata, method, clear)
        return convert_dn(moved, self.band.file, self.file, self.dtype)


@dataclass(slots=True)
class MergedBand:
    """A band put together from several products, pixel by pixel; implements `BandReader`."""

    first: AlignedBand
    others: list[tuple[AlignedBand, npt.NDArray[np.bool_]]]
    """Further products in their order, and the pixels of `target` that each of them gives."""
    complete: npt.NDArray[np.bool_]
    """Pixels of `target` that one of the products gives in every band."""
    target: Grid

    @property
    def file(self) -> BandFile:
        """As `BandReader.file`."""
        return self.first.file

    @property
    def grid(self) -> Grid:
        """As `BandReader.grid`."""
        return self.first.grid

    @property
    def dtype(self) -> str:
        """As `BandReader.dtype`."""
        return self.first.dtype

    @property
    def block(self) -> tuple[int, int]:
        """As `BandReader.block`."""
        return self.first.block

    @property
    def bytes_read(self) -> int | None:
        """As `BandReader.bytes_read`; only of the first product."""
        return self.first.bytes_read

    def read(self, rows: slice, columns: slice) -> Pixels:
        """As `BandReader.read`.

        A pixel that a further product gives is that product's. Where the first has none, pixels of others
        complete it, so that interpolations and averages at the seam have the neighbours of both.
        """
        window, nodata = self.grid.window(rows, columns), self.file.nodata
        pixels = self.first.read(rows, columns).copy()
        layers = [(band.held(rows, columns), taken) for band, taken in self.others]
        for values, taken in layers:
            given = _touching(window, taken, self.target) & (values != nodata)
            pixels[given] = values[given]
        complete = _touching(window, self.complete, self.target)
        for values, _ in layers:
            given = complete & (pixels == nodata) & (values != nodata)
            pixels[given] = values[given]
        return pixels

    def close(self) -> None:
        """Close all of the bands."""
        self.first.close()
        for band, _ in self.others:
            band.close()


def convert_dn(pixels: Pixels, source: BandFile, target: BandFile, dtype: str) -> Pixels:
    """Convert DN of one file to the scale, offset and nodata of another.

    Args:
        pixels: DN of `source`, any shape.
        source: Scale, offset and nodata of the pixels.
        target: Those of the result.
        dtype: dtype of the result, an integer.

    Returns:
        Same shape. Reflectances that `target` cannot express become its smallest or largest DN; the largest
        DN of a dtype, which means saturated, stays the largest.
    """
    same_scale = (source.scale, source.offset) == (target.scale, target.offset)
    if same_scale and source.nodata == target.nodata and pixels.dtype == np.dtype(dtype):
        return pixels
    limits, largest = np.iinfo(dtype), np.iinfo(pixels.dtype).max
    values = pixels.astype(np.float64)
    if not same_scale:
        values = np.rint(
            values * (source.scale / target.scale) + (source.offset - target.offset) / target.scale
        )
        values[pixels == largest] = limits.max
    values = values.clip(limits.min, limits.max)
    # No value may turn into nodata.
    values[values == target.nodata] += 1 if target.nodata < limits.max else -1
    return np.where(pixels == source.nodata, target.nodata, values).astype(dtype)


def _touching(window: Grid, mask: npt.NDArray[np.bool_], target: Grid) -> npt.NDArray[np.bool_]:
    """Pixels of `window` that share area with a True pixel of `mask`, which lies on `target`.

    Pixels of the window beyond the target take the nearest row and column.
    """
    if window.resolution_m == target.resolution_m and window == target:
        return mask
    top, left = target.offset_of(window)
    step = window.resolution_m / target.resolution_m
    first_row, last_row = _spans(top, step, window.height, target.height)
    first_column, last_column = _spans(left, step, window.width, target.width)
    counts = np.zeros((target.height + 1, target.width + 1), np.int32)
    counts[1:, 1:] = mask.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
    down = counts[last_row] - counts[first_row]
    return np.asarray(down[:, last_column] - down[:, first_column] > 0)


def _spans(offset: float, step: float, count: int, size: int) -> tuple[Any, Any]:
    edges = offset + np.arange(count + 1) * step
    first = np.floor(edges[:-1] + _ALIGNED).astype(int).clip(0, size - 1)
    last = np.ceil(edges[1:] - _ALIGNED).astype(int).clip(1, size)
    return first, np.maximum(last, first + 1)


def _paste(pixels: Pixels, top: int, left: int, out: Pixels) -> None:
    """Copy pixels into `out` at a row and column, which may lie partly outside of it."""
    rows, columns = (
        _clip(top, top + pixels.shape[0], out.shape[0]),
        _clip(left, left + pixels.shape[1], out.shape[1]),
    )
    if rows.start < rows.stop and columns.start < columns.stop:
        out[rows, columns] = pixels[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]


def _clip(start: int, stop: int, size: int) -> slice:
    return slice(max(start, 0), min(stop, size))


def _is_within(inner: slice, outer: slice) -> bool:
    return bool(outer.start <= inner.start and inner.stop <= outer.stop)
