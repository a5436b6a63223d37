"""The plain kind of GeoTIFF that Sentinel-2 archives hold: one tiled DEFLATE band. Its header, and a tile's
pixels.

Whatever is not of that kind is left to GDAL. TIFF 6.0 (Adobe, 1992), BigTIFF, GeoTIFF 1.1 (OGC 19-008).
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.errors import PermanentError
from revisit.pixels.raster.grid import Grid

_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 12: 8, 16: 8}
_TYPE_CODES = {1: "B", 2: "c", 3: "H", 4: "I", 12: "d", 16: "Q"}
_DTYPES = {(8, 1): "uint8", (16, 1): "uint16", (16, 2): "int16"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _PREDICTOR = 256, 257, 258, 259, 277, 317
_TILE_WIDTH, _TILE_HEIGHT, _OFFSETS, _COUNTS, _FORMAT = 322, 323, 324, 325, 339
_SCALE, _TIEPOINT, _MATRIX, _GEOKEYS = 33550, 33922, 34264, 34735
_FILL_ORDER, _RASTER_TYPE, _PROJECTED_CRS = 266, 1025, 3072


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tiles of a band lie in its file, and what they hold."""

    grid: Grid
    dtype: str
    tile: tuple[int, int]
    """Height, width."""
    predictor: int
    """1, none; 2, each number is the difference to its left neighbour."""
    offsets: tuple[int, ...]
    """Of the tiles, row by row; bytes."""
    counts: tuple[int, ...]
    """Bytes; 0 is a tile that was never written."""

    @property
    def tiles_across(self) -> int:
        """Tiles in a row."""
        return -(-self.grid.width // self.tile[1])


def parse_layout(head: bytes | bytearray) -> Layout | None:
    """Read the first directory of a file from its beginning; None if it is not all there or not of the plain
    kind."""
    try:
        tags = _read_tags(head)
        return _layout_of_tags(tags) if tags else None
    except (struct.error, IndexError, KeyError, PermanentError):
        return None


def decode_tile(tile_layout: Layout, raw: bytes | memoryview, label: str) -> npt.NDArray[Any]:
    """The numbers of one tile, shape `band.tile`.

    Raises:
        PermanentError: It does not hold as many bytes as it should, or not what its checksum says.
    """
    from isal import igzip_lib, isal_zlib

    dtype = np.dtype(tile_layout.dtype).newbyteorder("<")
    size = tile_layout.tile[0] * tile_layout.tile[1] * dtype.itemsize
    inflating = isal_zlib.decompressobj()
    try:
        content = inflating.decompress(raw, size)
        if not inflating.eof:
            # The checksum follows the last byte that was asked for.
            content += inflating.decompress(inflating.unconsumed_tail, 1)
    except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub declares a function
        raise PermanentError(f"a tile of {label} cannot be decoded ({error})") from None
    if len(content) != size or not inflating.eof:
        raise PermanentError(f"a tile of {label} does not hold the {size} bytes its header declares")
    return np.frombuffer(content, dtype).reshape(tile_layout.tile)


def undo_predictor(tile_layout: Layout, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Undo the predictor on rows that begin with the tile's first column."""
    if tile_layout.predictor == 1:
        return rows
    return np.add.accumulate(rows, axis=1, dtype=np.dtype(tile_layout.dtype))


def _read_tags(head: bytes | bytearray) -> dict[int, tuple[Any, ...]] | None:
    if head[:4] == b"II*\0":
        (start,) = struct.unpack_from("<I", head, 4)
        (count,), start, entry, inline, number = (
            struct.unpack_from("<H", head, start),
            start + 2,
            12,
            4,
            "<HHI",
        )
    elif head[:8] == b"II+\0\x08\0\0\0":
        (start,) = struct.unpack_from("<Q", head, 8)
        (count,), start, entry, inline, number = (
            struct.unpack_from("<Q", head, start),
            start + 8,
            20,
            8,
            "<HHQ",
        )
    else:
        return None
    if count > 200:
        return None
    tags: dict[int, tuple[Any, ...]] = {}
    for place in range(start, start + count * entry, entry):
        tag, kind, length = struct.unpack_from(number, head, place)
        if kind not in _TYPE_SIZES or length > len(head):
            continue
        value = place + struct.calcsize(number)
        if length * _TYPE_SIZES[kind] > inline:
            (value,) = struct.unpack_from("<I" if inline == 4 else "<Q", head, value)
        tags[tag] = struct.unpack_from(f"<{length}{_TYPE_CODES[kind]}", head, value)
    return tags


def _layout_of_tags(tags: dict[int, tuple[Any, ...]]) -> Layout | None:
    width, height = tags[_WIDTH][0], tags[_HEIGHT][0]
    tile = tags[_TILE_HEIGHT][0], tags[_TILE_WIDTH][0]
    dtype = _DTYPES.get((tags[_BITS][0], tags.get(_FORMAT, (1,))[0]))
    predictor = tags.get(_PREDICTOR, (1,))[0]
    keys = tags[_GEOKEYS]
    geokeys = {keys[at]: keys[at + 3] for at in range(4, len(keys) - 3, 4) if keys[at + 1] == 0}
    scale, tie = tags[_SCALE], tags[_TIEPOINT]
    usual = (
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
    if not usual or dtype is None:
        return None
    grid = Grid(
        f"EPSG:{geokeys[_PROJECTED_CRS]}", (scale[0], 0.0, tie[3], 0.0, -scale[1], tie[4]), width, height
    )
    expected = -(-width // tile[1]) * -(-height // tile[0])
    offsets, counts = tags[_OFFSETS], tags[_COUNTS]
    if len(offsets) != expected or len(counts) != expected:
        return None
    return Layout(grid, dtype, tile, predictor, offsets, counts)
