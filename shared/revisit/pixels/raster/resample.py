"""Resamples pixels between grids of one CRS; pixels without data, saturated or masked are never mixed in.

Weights are whole twelfths, or are rounded to fractions of a power of two. Sums are then exact, so a pixel has
the same value in whichever window it is computed: an AOI read alone equals the same AOI cut from a larger
read (test_pixels_do_not_depend_on_the_window_they_are_read_in). GDAL's resampling does not promise this, and
its values differ by up to 1 DN; reading through WarpedVRT takes 1.7 to 2.1 times as long (bench/window).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.pixels.masks import SATURATED_DN
from revisit.pixels.raster.area_sums import AreaSum, make_area_sum
from revisit.pixels.raster.grid import Grid

Pixels = npt.NDArray[Any]
_TOLERANCE = 1e-6
_INTERPOLATION_PRECISION = 2.0**12
_TWELFTHS = 12.0
_CHUNK_ROWS = 256
"""Target rows computed at a time, which bounds the memory needed beside source and target."""
_SLAB_PIXELS = 2**19
"""Source pixels averaged at a time, which the processor's cache holds."""


def source_window(source: Grid, target: Grid) -> tuple[slice, slice]:
    """The window of the source that target pixels depend on; its slices are empty if the grids are
    disjoint."""
    spans = []
    for offset, count, size in zip(source.offset_of(target), target.shape, source.shape, strict=True):
        step = target.resolution_m / source.resolution_m
        reach = 1 if step < 1 else 0
        first = int(np.floor(offset + _TOLERANCE)) - reach
        last = int(np.ceil(offset + count * step - _TOLERANCE)) + reach
        spans.append(slice(min(max(first, 0), size), min(max(last, 0), size)))
    return spans[0], spans[1]


@dataclass(frozen=True, slots=True)
class ClearMasks:
    """Which pixels are clear: the clear pixels of the target are mixed of clear pixels of the source only."""

    source: npt.NDArray[np.bool_]
    """Shape (height, width) of the source grid."""
    target: npt.NDArray[np.bool_]
    """Shape (height, width) of the target grid."""


def resample_pixels(
    pixels: Pixels, source: Grid, target: Grid, nodata: int, method: str, clear: ClearMasks | None = None
) -> Pixels:
    """Resample pixels from the grid `source` to the grid `target`.

    Args:
        pixels: Shape (height, width) of `source`, an integer dtype.
        nodata: The value of pixels without data; it is never mixed into other values.
        method: "nearest": the source pixel that contains the target pixel's centre. "bilinear": the four
            source pixels around it, or those of them with data, if the nearest has data. "average": the mean
            weighted by shared area, if at least half of the target pixel has data. Where the grids make a
            method meaningless (bilinear to a coarser grid, average to a finer one), nearest is used.
        clear: Masks of both grids; None mixes all pixels. Saturated pixels (65535 in uint16) are not mixed.

    Returns:
        Shape (height, width) of `target`, dtype of `pixels`; `nodata` where there is no value, 65535 where
        all is saturated.
    """
    step = target.resolution_m / source.resolution_m
    row, column = source.offset_of(target)
    out = np.full(target.shape, nodata, pixels.dtype)
    if pixels.size == 0:
        return out
    if method == "average" and step > 1 + _TOLERANCE:
        return _average(pixels, row, column, step, nodata, out, clear)
    rows, inside_rows = _nearest_indices(row, step, target.height, source.height)
    columns, inside_columns = _nearest_indices(column, step, target.width, source.width)
    if method == "bilinear" and step < 1 - _TOLERANCE:
        _interpolate(pixels, row, column, step, nodata, out, rows, columns, clear)
    else:
        for start in range(0, target.height, _CHUNK_ROWS):
            chunk = slice(start, start + _CHUNK_ROWS)
            out[chunk] = pixels[rows[chunk]][:, columns]
    out[~inside_rows] = nodata
    out[:, ~inside_columns] = nodata
    return out


def _nearest_indices(
    offset: float, step: float, count: int, size: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """For each target pixel, the index of the source pixel that contains its centre, and whether there is
    one."""
    index = np.floor(offset + (np.arange(count) + 0.5) * step + _TOLERANCE).astype(np.intp)
    return index.clip(0, size - 1), (index >= 0) & (index < size)


@dataclass(frozen=True, slots=True)
class _Neighbours:
    """The two source pixels around each target centre along an axis, shape (count,)."""

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    """At the edge both are the outermost pixel."""
    share: npt.NDArray[np.float32]
    """The weight of the second, in units of which `whole` are the sum of both weights."""
    whole: float

    @property
    def nearest(self) -> npt.NDArray[np.intp]:
        """The nearer one of the two."""
        return np.where(self.share > self.whole / 2, self.second, self.first)

    def counted_from(self, start: int) -> "_Neighbours":
        """The same with pixels counted from another one."""
        return _Neighbours(self.first - start, self.second - start, self.share, self.whole)

    @classmethod
    def find(cls, offset: float, step: float, count: int, size: int) -> "_Neighbours":
        """The neighbours along an axis of `size` pixels.

        Weights are whole twelfths where these are exact, as from 60 m to 10 m and 20 m: a mean midway between
        two DN is then found as such. Otherwise they are rounded to fractions of a power of two.
        """
        position = offset + (np.arange(count) + 0.5) * step - 0.5
        whole = 1.0
        fine = np.rint(position * _INTERPOLATION_PRECISION) / _INTERPOLATION_PRECISION
        if np.abs(fine - position).max(initial=0) > _TOLERANCE:
            twelfths = np.rint(position * _TWELFTHS)
            if np.abs(twelfths / _TWELFTHS - position).max() < _TOLERANCE:
                fine, whole = twelfths, _TWELFTHS
        first = np.floor(fine / whole)
        index = first.astype(np.intp)
        share = (fine - first * whole).astype(np.float32)
        return cls(index.clip(0, size - 1), (index + 1).clip(0, size - 1), share, whole)


def _interpolate(
    pixels: Pixels,
    row: float,
    column: float,
    step: float,
    nodata: int,
    out: Pixels,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    clear: ClearMasks | None,
) -> None:
    height, width = pixels.shape
    across = _Neighbours.find(column, step, out.shape[1], width)
    for start in range(0, out.shape[0], _CHUNK_ROWS):
        stop = min(start + _CHUNK_ROWS, out.shape[0])
        down = _Neighbours.find(row + start * step, step, stop - start, height)
        top = int(down.first.min())
        slab = pixels[top : int(down.second.max()) + 1]
        down = down.counted_from(top)
        valid = has_value(slab, nodata)
        if valid.all():
            mixed = _between(slab.astype(np.float32), down, across)
            if (unit := down.whole * across.whole) != 1.0:
                mixed /= np.float32(unit)
            out[start:stop] = np.rint(mixed)
        else:
            weights = _between(valid.astype(np.float32), down, across)
            sums = _between(np.where(valid, slab, 0).astype(np.float32), down, across)
            has_data = valid[rows[start:stop] - top][:, columns]
            mixed = np.rint(np.divide(sums, weights, out=np.zeros_like(sums), where=has_data & (weights > 0)))
            # A mean that equals `nodata` would be taken for no data: it becomes one more.
            nearest = slab[rows[start:stop] - top][:, columns]
            out[start:stop] = np.where(has_data, np.where(mixed == nodata, mixed + 1, mixed), nearest)
        if clear is not None:
            good = clear.source[top : top + len(slab)] & valid
            _leave_out_masked(slab, valid, good, clear.target[start:stop], down, across, out[start:stop])


def _between(values: Pixels, down: _Neighbours, across: _Neighbours) -> Pixels:
    """Sums of four neighbours by their weights."""
    lines = (
        values[down.first] * (np.float32(down.whole) - down.share)[:, None]
        + values[down.second] * down.share[:, None]
    )
    mixed: Pixels = (
        lines[:, across.first] * (np.float32(across.whole) - across.share)
        + lines[:, across.second] * across.share
    )
    return mixed


def has_value(pixels: Pixels, nodata: int) -> npt.NDArray[np.bool_]:
    """Where pixels of any shape have data and are not saturated."""
    valid: npt.NDArray[np.bool_] = pixels != nodata
    if pixels.dtype == np.uint16 and pixels.size and pixels.max() == SATURATED_DN:
        valid &= pixels != SATURATED_DN
    return valid


def _leave_out_masked(
    slab: Pixels,
    valid: npt.NDArray[np.bool_],
    good: npt.NDArray[np.bool_],
    wanted: npt.NDArray[np.bool_],
    down: _Neighbours,
    across: _Neighbours,
    out: Pixels,
) -> None:
    """Interpolate again those clear pixels of the target that have clear and masked neighbours.

    A clear pixel without a clear neighbour, in a coarse pixel that is mostly masked, keeps its value.

    Args:
        slab: Rows of the source.
        valid: Where they have a value.
        good: Where they have one and are clear.
        wanted: Where the target is clear.
        down: Rows of the slab around each target row.
        across: The same for columns.
        out: The target.
    """
    if good.all() or not good.any():
        return
    lines = good.view(np.uint8)[down.first] + good.view(np.uint8)[down.second]
    count = np.take(lines, across.first, axis=1) + np.take(lines, across.second, axis=1)
    # A third of the time of np.nonzero.
    chosen = np.flatnonzero(wanted & (count > 0) & (count < 4))
    if not chosen.size:
        return
    row = chosen // out.shape[1]
    column = chosen - row * out.shape[1]
    sums, weights = np.zeros(row.size), np.zeros(row.size)
    for lines_of, part_down in ((down.first, down.whole - down.share), (down.second, down.share)):
        for columns_of, part_across in (
            (across.first, across.whole - across.share),
            (across.second, across.share),
        ):
            at = lines_of[row], columns_of[column]
            weight = part_down[row].astype(np.float64) * part_across[column] * good[at]
            sums += weight * slab[at]
            weights += weight
    found = (weights > 0) & valid[down.nearest[row], across.nearest[column]]
    value = np.rint(sums[found] / weights[found])
    out[row[found], column[found]] = np.where(value == 0, 1, value) if slab.dtype.kind == "u" else value


def _average(
    pixels: Pixels,
    row: float,
    column: float,
    step: float,
    nodata: int,
    out: Pixels,
    clear: ClearMasks | None,
) -> Pixels:
    height, width = pixels.shape
    rows = max(min(int(_SLAB_PIXELS / (max(width, out.shape[1] * step) * step)), _CHUNK_ROWS), 1)
    for start in range(0, out.shape[0], rows):
        stop = min(start + rows, out.shape[0])
        begin = row + start * step
        top = min(max(int(np.floor(begin)) - 1, 0), height)
        bottom = min(max(int(np.ceil(row + stop * step)) + 1, top), height)
        slab = pixels[top:bottom]
        total = make_area_sum((begin - top, column), step, (stop - start, out.shape[1]), slab.shape)

        def over(mask: npt.NDArray[np.bool_], total: AreaSum = total, slab: Pixels = slab) -> tuple[Any, Any]:
            """Area and mean of the pixels in a mask, in each target pixel."""
            area, sums = total(mask), total(slab if mask.all() else np.where(mask, slab, 0))
            return area, np.rint(np.divide(sums, area, out=np.zeros_like(sums), where=area > 0))

        valid = has_value(slab, nodata)
        area, mixed = over(valid)
        data, saturated = slab != nodata, np.zeros(area.shape, np.bool_)
        if not (data == valid).all():
            saturated = total(data & ~valid) > 0
        covered = area if not saturated.any() else total(data)
        enough = covered >= 0.5 * step * step * (1 - 1e-3)
        if clear is not None:
            good = valid & clear.source[top:bottom]
            if not (good == valid).all():
                wanted = clear.target[start:stop]
                good_area, good_mean = over(good)
                area, mixed = np.where(wanted, good_area, area), np.where(wanted, good_mean, mixed)
        mixed = np.where(mixed == nodata, mixed + 1, mixed)
        empty = np.where(saturated, SATURATED_DN, nodata) if saturated.any() else nodata
        out[start:stop] = np.where(enough, np.where(area > 0, mixed, empty), nodata)
    return out
