"""Bands in one form: 0 is no data, 65535 is saturated, and classes are bytes, whatever the file has.

The other modules see bands in this form only, and with the scale and offset that go with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.domain.bands import BandFile
from revisit.pixels.masks import SATURATED_DN
from revisit.pixels.raster.band_reader import BandReader
from revisit.pixels.raster.band_wrapper import BandWrapper
from revisit.pixels.raster.grid import Grid

type _Pixels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class CleanBand(BandWrapper):
    """A band whose numbers are converted when they are read; implements `BandReader`."""

    band: BandReader
    file: BandFile
    """The file, with the scale, offset and nodata of the converted numbers."""
    dtype: str
    convert: Callable[[_Pixels], _Pixels]

    @property
    def grid(self) -> Grid:
        """As `BandReader.grid`."""
        return self.band.grid

    def read(self, rows: slice, columns: slice) -> _Pixels:
        """As `BandReader.read`."""
        return self.convert(self.band.read(rows, columns))


def clean_band(band: BandReader, tag: float | None, classes: bool) -> BandReader:
    """The band in one form; itself where it has it already, as ESA's files do.

    Every number that means no data becomes 0. Where 0 is a measured value, DN are moved up so that none of
    them is 0, and the offset down by as much, so that reflectances stay exactly what they are: by 1 in
    unsigned bands, by 32768 in signed ones.

    Args:
        band: As it was opened.
        tag: Nodata that the file itself states; None if it states none.
        classes: Whether it holds classes, which become uint8; those that do not fit become 0.
    """
    dtype = np.dtype(band.dtype)
    nodata = nodata_values(band.file, tag, dtype)
    file = replace(band.file, nodata=0, nodata_stated=True)
    if classes:
        if dtype == np.uint8 and nodata == (0,) and band.file.nodata == 0:
            return band
        return CleanBand(band, file, "uint8", lambda pixels: _to_classes(pixels, nodata))
    saturated = band.file.saturated if dtype == np.uint16 else None
    if 0 in nodata:
        if nodata == (0,) and saturated in (None, SATURATED_DN) and band.file.nodata == 0:
            return band
        return CleanBand(band, file, band.dtype, lambda pixels: _blank(pixels, nodata, saturated))
    shift = 32768 if dtype.kind == "i" else 1
    down = shift * file.scale
    moved = replace(
        file,
        offset=file.offset - down,
        moved=down,
        other_offset=None if file.other_offset is None else file.other_offset - down,
    )
    return CleanBand(band, moved, "uint16", lambda pixels: _move(pixels, nodata, saturated, shift))


def nodata_values(file: BandFile, tag: float | None, dtype: npt.DTypeLike) -> tuple[int, ...]:
    """The DN that mean no data: what the item or metadata states, and what the file's own tag states.

    Where they differ both do. A number that the dtype cannot hold, such as NaN, says nothing of its pixels.
    Where nothing is said it is 0, as in every product of ESA.

    Args:
        file: With what is stated.
        tag: Nodata of the file itself; None if it has none.
        dtype: Integer dtype of the pixels.
    """
    limits = np.iinfo(dtype)
    stated = [float(file.nodata)] if file.nodata_stated or file.nodata else []
    found = [
        int(value)
        for value in (*stated, *([] if tag is None else [tag]))
        if float(value).is_integer() and limits.min <= value <= limits.max
    ]
    return tuple(dict.fromkeys(found)) or (0,)


def _blank(pixels: _Pixels, nodata: tuple[int, ...], saturated: int | None) -> _Pixels:
    """Pixels with 0 where they have no data, and 65535 where they are saturated."""
    empty = _is_any(pixels, nodata)
    if saturated is not None and saturated != SATURATED_DN and saturated not in nodata:
        pixels = np.where(pixels == saturated, SATURATED_DN, pixels).astype(pixels.dtype)
    return np.where(empty, 0, pixels).astype(pixels.dtype, copy=False)


def _move(pixels: _Pixels, nodata: tuple[int, ...], saturated: int | None, shift: int) -> _Pixels:
    """Pixels moved up by `shift`: 0 where they have no data, 65535 where they are saturated."""
    moved = (pixels.astype(np.int32) + shift).clip(1, SATURATED_DN - 1)
    if saturated is not None:
        moved[pixels == saturated] = SATURATED_DN
    moved[_is_any(pixels, nodata)] = 0
    return moved.astype(np.uint16)


def _to_classes(pixels: _Pixels, nodata: tuple[int, ...]) -> _Pixels:
    unknown = _is_any(pixels, nodata) | (pixels < 0) | (pixels > 255)
    return np.where(unknown, 0, pixels).astype(np.uint8)


def _is_any(pixels: _Pixels, values: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    found = np.zeros(pixels.shape, np.bool_)
    for value in values:
        found |= pixels == value
    return found
