"""Sums of pixels over the coarser pixels of another grid, weighted by shared area.

Shares are rounded to fractions of a power of two and pixels are whole numbers, so all sums are exact.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.pixels.raster.grid import Grid

_PRECISION = 2.0**10
_MOST_STEP = 255
"""Pixels along an edge of a coarser one up to which sums of 16 bits fit in 32."""
_MOST_STEP_BOOL = 15
"""The same for sums of True in 8 bits."""

type _Sums = npt.NDArray[np.float64]
type AreaSum = Callable[[npt.NDArray[Any]], _Sums]
"""Takes pixels of shape (height, width) of the source, bool or an integer dtype, and returns their sums, of
shape (height, width) of the target."""


def span_sums(values: npt.NDArray[Any], source: Grid, target: Grid) -> _Sums:
    """Sum of values over each target pixel.

    Args:
        values: Shape (height, width) of `source`, bool or an integer dtype.

    Returns:
        Shape (height, width) of `target`.
    """
    step = target.resolution_m / source.resolution_m
    return make_area_sum(source.offset_of(target), step, target.shape, source.shape)(values)


def make_area_sum(
    offset: tuple[float, float], step: float, shape: tuple[int, int], source_shape: tuple[int, int]
) -> AreaSum:
    """The function that sums over each target pixel.

    Args:
        offset: Row and column in the source of the target's upper left corner.
        step: Edge length of a target pixel in source pixels.
        shape: Height and width of the target.
        source_shape: Those of the source; beyond it there is nothing to sum.
    """
    edges = [
        np.rint((start + np.arange(count + 1) * step) * _PRECISION) / _PRECISION
        for start, count in zip(offset, shape, strict=True)
    ]
    if whole := _whole_step(edges):
        top, left = (int(each[0]) for each in edges)
        return lambda values: _sum_blocks(values, top, left, whole, shape)
    down, across = (_make_span_sum(each, size) for each, size in zip(edges, source_shape, strict=True))
    return lambda values: across(down(values.astype(np.float64)).T).T


def _whole_step(edges: list[npt.NDArray[np.float64]]) -> int:
    """The number of pixels along all spans if these are of whole pixels, all of the same number; else 0."""
    step = float(edges[0][1] - edges[0][0])
    whole = step == int(step) and all(each[0] == int(each[0]) for each in edges)
    return int(step) if whole and all((np.diff(each) == step).all() for each in edges) else 0


def _sum_blocks(values: npt.NDArray[Any], top: int, left: int, step: int, shape: tuple[int, int]) -> _Sums:
    """Sums over blocks of `step` x `step` whole pixels from a row and column on, which may lie outside."""
    ends = [start + count * step for start, count in zip((top, left), shape, strict=True)]
    beyond = [
        (max(-start, 0), max(end - size, 0))
        for start, end, size in zip((top, left), ends, values.shape, strict=True)
    ]
    if np.any(beyond):
        values = np.pad(values, beyond)
        top, left = max(top, 0), max(left, 0)
    part = values[top : top + shape[0] * step, left : left + shape[1] * step]
    if step > _MOST_STEP:
        dtype: npt.DTypeLike = np.int64
    elif values.dtype == np.bool_:
        dtype = np.uint8 if step <= _MOST_STEP_BOOL else np.uint32
    else:
        dtype = np.int32 if values.dtype.kind == "i" else np.uint32
    lines = part[0::step].astype(dtype)
    for row in range(1, step):
        lines += part[row::step]
    sums = lines[:, 0::step].copy()
    for column in range(1, step):
        sums += lines[:, column::step]
    return sums.astype(np.float64)


def _make_span_sum(edges: npt.NDArray[np.float64], size: int) -> Callable[[_Sums], _Sums]:
    """A function that sums along the first axis, of `size` pixels, between each two edges.

    It subtracts running totals.
    """
    edges = edges.clip(0, size)
    index = np.minimum(np.floor(edges), max(size - 1, 0)).astype(np.intp)
    share = (edges - index)[:, None]

    def summed(values: _Sums) -> _Sums:
        if size == 0:
            return np.zeros((len(edges) - 1, values.shape[1]))
        totals = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
        at_edges = totals[index] + share * values[index]
        return np.diff(at_edges, axis=0)

    return summed
