"""Reprojects pixels between the grids of two CRSs.

The transformation is computed for every pixel and not approximated. Values are interpolated from four
neighbours whatever the two scales are, so that a pixel's value does not depend on the window that is read.
GDAL's warp gives the same numbers, but knows only one kind of pixel that is left out.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.geo.utm_grid import projection
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.resample import ClearMasks, has_value

REACH = 2
"""Pixels of the source around a place that its value may depend on."""
_SAME_CRS_PRECISION = 2.0**12
"""Fractions of a pixel to which places are rounded between grids of one CRS, where ties are common."""
_CHUNK_ROWS = 64
"""Target rows computed at a time, which bounds the memory needed beside source and target."""

type _Places = npt.NDArray[np.float64]


def reproject_pixels(
    pixels: npt.NDArray[Any],
    source: Grid,
    target: Grid,
    nodata: int,
    method: str,
    clear: ClearMasks | None = None,
) -> npt.NDArray[Any]:
    """Reproject pixels from the grid `source` to the grid `target`.

    Args:
        pixels: Shape (height, width) of `source`, an integer dtype.
        source: Grid of the pixels.
        target: Grid in any projected CRS.
        nodata: The value of pixels without data; it is never mixed into other values, nor are saturated ones.
        method: "nearest": the source pixel that contains the target pixel's centre. "bilinear": the four
            source pixels around it, or those of them with data, if the nearest has data.
        clear: Masks of both grids; None mixes all pixels. A clear pixel of the target is mixed of the clear
            ones among its four neighbours; if none of them is, it has the value of the nearest clear pixel at
            most `REACH` pixels away, and only if there is none either the value of masked ones.

    Returns:
        Shape (height, width) of `target`, dtype of `pixels`; `nodata` where there is no value.

    Raises:
        PermanentError: One of the CRSs does not exist.
    """
    out = np.full(target.shape, nodata, pixels.dtype)
    valid = None if method == "nearest" else has_value(pixels, nodata)
    good = None if clear is None or valid is None else valid & clear.source
    for start in range(0, target.height, _CHUNK_ROWS):
        rows = slice(start, min(start + _CHUNK_ROWS, target.height))
        row, column = _places(source, target.window(rows, slice(0, target.width)))
        inside = (row >= 0) & (row < source.height) & (column >= 0) & (column < source.width)
        nearest = np.nonzero(inside)
        row, column = row[nearest], column[nearest]
        at = np.floor(row).astype(np.intp), np.floor(column).astype(np.intp)
        values = pixels[at]
        if valid is not None:
            mixed = np.flatnonzero(valid[at])
            values[mixed] = _mix(pixels, valid, row[mixed], column[mixed], nodata)[0]
            if clear is not None and good is not None:
                mixed = mixed[clear.target[rows][nearest][mixed]]
                chosen, found = _mix(pixels, good, row[mixed], column[mixed], nodata)
                values[mixed[found]] = chosen[found]
                rest = mixed[~found]
                chosen, found = _nearest_good(pixels, good, row[rest], column[rest])
                values[rest[found]] = chosen[found]
        out[rows][nearest] = values
    return out


def _places(source: Grid, target: Grid) -> tuple[_Places, _Places]:
    """Rows and columns in `source`, in fractions of pixels, of the centres of the pixels of `target`."""
    if source.crs == target.crs:
        step = target.resolution_m / source.resolution_m
        down, across = (
            np.rint((offset + (np.arange(count) + 0.5) * step) * _SAME_CRS_PRECISION) / _SAME_CRS_PRECISION
            for offset, count in zip(source.offset_of(target), target.shape, strict=True)
        )
        row, column = np.meshgrid(down, across, indexing="ij")
        return row, column
    a, _, west, _, e, north = target.transform
    x, y = np.meshgrid(
        west + a * (np.arange(target.width) + 0.5), north + e * (np.arange(target.height) + 0.5)
    )
    lon, lat = projection(target.crs).transform(x, y, direction="INVERSE")
    x, y = projection(source.crs).transform(lon, lat)
    a, _, west, _, e, north = source.transform
    return (y - north) / e, (x - west) / a


def _mix(
    pixels: npt.NDArray[Any], usable: npt.NDArray[np.bool_], row: _Places, column: _Places, nodata: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Values mixed of those of the four pixels around each place that may be used, and where there is one.

    Args:
        pixels: Shape (height, width).
        usable: Same shape.
        row: Places, shape (count,).
        column: Same shape.
        nodata: A mean that equals it becomes one more.
    """
    above, left = np.floor(row - 0.5), np.floor(column - 0.5)
    down, across = row - 0.5 - above, column - 0.5 - left
    sums, weights = np.zeros(row.shape), np.zeros(row.shape)
    for step_down, part_down in ((0, 1.0 - down), (1, down)):
        for step_across, part_across in ((0, 1.0 - across), (1, across)):
            at = _clipped(above + step_down, left + step_across, pixels.shape)
            weight = part_down * part_across * usable[at]
            sums += weight * pixels[at]
            weights += weight
    found = weights > 0
    mean = np.rint(np.divide(sums, weights, out=np.zeros_like(sums), where=found))
    return np.where(mean == nodata, mean + 1, mean).astype(pixels.dtype), found


def _nearest_good(
    pixels: npt.NDArray[Any], good: npt.NDArray[np.bool_], row: _Places, column: _Places
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The value of the good pixel nearest to each place, at most `REACH` pixels away, and where there is one;
    arguments as for `_mix`."""
    values, least = np.zeros(row.shape, pixels.dtype), np.full(row.shape, np.inf)
    for step_down in range(-REACH, REACH + 1):
        for step_across in range(-REACH, REACH + 1):
            down, across = np.floor(row) + step_down, np.floor(column) + step_across
            at = _clipped(down, across, pixels.shape)
            distance = np.where(good[at], np.hypot(at[0] + 0.5 - row, at[1] + 0.5 - column), np.inf)
            nearer = distance < least
            values[nearer], least[nearer] = pixels[at][nearer], distance[nearer]
    return values, np.isfinite(least)


def _clipped(
    row: _Places, column: _Places, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The pixels at whole rows and columns, or at the edge nearest to them."""
    return (
        row.clip(0, shape[0] - 1).astype(np.intp),
        column.clip(0, shape[1] - 1).astype(np.intp),
    )
