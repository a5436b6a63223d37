"""The header and the tiles of the plain GeoTIFFs that Sentinel-2 archives hold: one tiled DEFLATE band.

GDAL reads every other kind. TIFF 6.0 (Adobe, 1992), BigTIFF, GeoTIFF 1.1 (OGC 19-008).
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.errors import PermanentError
from revisit.pixels.raster.grid import Grid
from revisit.tiff_directory import read_tags

_DTYPES = {(8, 1): "uint8", (16, 1): "uint16", (16, 2): "int16"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _PREDICTOR = 256, 257, 258, 259, 277, 317
_TILE_WIDTH, _TILE_HEIGHT, _OFFSETS, _COUNTS, _FORMAT = 322, 323, 324, 325, 339
_SCALE, _TIEPOINT, _MATRIX, _GEOKEYS = 33550, 33922, 34264, 34735
_NODATA = 42113
"""Tag of GDAL: a number as text (https://gdal.org/en/stable/drivers/raster/gtiff.html)."""
_FILL_ORDER, _RASTER_TYPE, _PROJECTED_CRS = 266, 1025, 3072


@dataclass(frozen=True, slots=True)
class Layout:
    """Position, size and encoding of a band's tiles in its file."""

    grid: Grid
    dtype: str
    tile: tuple[int, int]
    """Height and width, pixels."""
    predictor: int
    """1, none; 2, each value is stored as the difference to its left neighbour."""
    offsets: tuple[int, ...]
    """Bytes from the start of the file to each tile, row by row."""
    counts: tuple[int, ...]
    """Compressed bytes of each tile; 0 for a tile that was never written (sparse)."""
    nodata: float | None = None
    """The number of pixels without data, as GDAL writes it; None if the file states none."""

    @property
    def tiles_across(self) -> int:
        """Tiles in a row of tiles."""
        return -(-self.grid.width // self.tile[1])


def parse_layout(head: bytes | bytearray) -> Layout | None:
    """Parse the first image file directory of a TIFF.

    Args:
        head: The first bytes of the file.

    Returns:
        None if `head` does not hold the whole directory, or if the file is not of the plain kind.
    """
    try:
        tags = read_tags(head)
        return _layout_of_tags(tags) if tags else None
    except (struct.error, IndexError, KeyError, PermanentError):
        return None


def decode_tile(tile_layout: Layout, raw: bytes | memoryview, label: str) -> npt.NDArray[Any]:
    """Decompress one tile; memory is bounded by the size that the header declares.

    Args:
        raw: The compressed tile, a zlib stream.
        label: Names the tile's file in errors.

    Returns:
        Shape `tile_layout.tile`, little-endian, read-only; a predictor is not undone yet.

    Raises:
        PermanentError: The tile is corrupt, or is longer or shorter than declared.
    """
    from isal import igzip_lib, isal_zlib

    dtype = np.dtype(tile_layout.dtype).newbyteorder("<")
    size = tile_layout.tile[0] * tile_layout.tile[1] * dtype.itemsize
    inflater = isal_zlib.decompressobj()
    try:
        content = inflater.decompress(raw, size)
        if not inflater.eof:
            # The checksum after the last pixel has not been read yet.
            content += inflater.decompress(inflater.unconsumed_tail, 1)
    except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub declares a function
        raise PermanentError(f"a tile of {label} cannot be decoded ({error})") from None
    if len(content) != size or not inflater.eof:
        raise PermanentError(f"a tile of {label} does not hold the {size} bytes its header declares")
    return np.frombuffer(content, dtype).reshape(tile_layout.tile)


def undo_predictor(tile_layout: Layout, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Undo the predictor.

    Args:
        rows: Shape (rows, columns), beginning with the tile's first column.

    Returns:
        Same shape, native byte order where there is a predictor.
    """
    if tile_layout.predictor == 1:
        return rows
    return np.add.accumulate(rows, axis=1, dtype=np.dtype(tile_layout.dtype))


def _layout_of_tags(tags: dict[int, tuple[Any, ...]]) -> Layout | None:
    """The layout that tags describe; None unless it is of the plain kind."""
    width, height = tags[_WIDTH][0], tags[_HEIGHT][0]
    tile = tags[_TILE_HEIGHT][0], tags[_TILE_WIDTH][0]
    dtype = _DTYPES.get((tags[_BITS][0], tags.get(_FORMAT, (1,))[0]))
    predictor = tags.get(_PREDICTOR, (1,))[0]
    keys = tags[_GEOKEYS]
    geokeys = {keys[i]: keys[i + 3] for i in range(4, len(keys) - 3, 4) if keys[i + 1] == 0}
    scale, tie = tags[_SCALE], tags[_TIEPOINT]
    plain = (
        dtype is not None
        and len(tags[_BITS]) == tags.get(_SAMPLES, (1,))[0] == 1
        and tags[_COMPRESSION][0] in (8, 32946)
        and predictor in (1, 2)
        and tags.get(_FILL_ORDER, (1,))[0] == 1
        and geokeys.get(_RASTER_TYPE) == 1
        and 0 < geokeys.get(_PROJECTED_CRS, 0) < 32767
        and tie[:3] == (0, 0, 0)
        and len(tie) == 6
        and _MATRIX not in tags
        and tile[0] > 0
        and tile[1] > 0
    )
    if not plain or dtype is None:
        return None
    grid = Grid(
        f"EPSG:{geokeys[_PROJECTED_CRS]}", (scale[0], 0.0, tie[3], 0.0, -scale[1], tie[4]), width, height
    )
    expected = -(-width // tile[1]) * -(-height // tile[0])
    offsets, counts = tags[_OFFSETS], tags[_COUNTS]
    if len(offsets) != expected or len(counts) != expected:
        return None
    return Layout(grid, dtype, tile, predictor, offsets, counts, _parse_nodata(tags))


def _parse_nodata(tags: dict[int, tuple[Any, ...]]) -> float | None:
    try:
        return float(b"".join(tags[_NODATA]).rstrip(b"\0 "))
    except (KeyError, TypeError, ValueError):
        return None
