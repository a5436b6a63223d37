"""Tiles: the UTM squares of 109.8 km that every product is cut to, named after MGRS squares.

Zone, row and column follow from the letters of an id. The corner is that of a 100 km square of the zone's
grid, with the west edge moved down and the north edge up to a multiple of 60 m, the coarsest pixel. Which
squares exist, and which see land, is in `mgrs_tiles`.

Edges are straight in UTM and curved in lon/lat: a footprint has enough vertices to stay within 1 m of the
square.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from revisit.errors import InvalidInputError
from revisit.geo.mgrs_tiles import ROWS_PER_ZONE, SOUTHERN_ROWS, load_bitmaps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyproj import Proj
    from shapely import MultiPolygon, Polygon, STRtree

TILE_SIDE_M = 109_800
"""Length of a tile's edge in metres."""
COLUMNS_PER_ZONE = 8
"""Columns of 100 km squares in a zone."""

_TILE_ID = re.compile(r"T?(?P<zone>\d{1,2})(?P<band>[C-HJ-NP-X])(?P<column>[A-HJ-NP-Z])(?P<row>[A-HJ-NP-V])")
_COLUMN_LETTERS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")
"""Column letters of zones whose number leaves 0, 1, 2 when divided by 3."""
_ROW_LETTERS = "ABCDEFGHJKLMNPQRSTUV"
_EVEN_ZONE_SHIFT = 5
"""Row letters; even zones start their rows with F."""
_FIRST_ROW_OF_LATITUDE_BAND = {
    "C": 7,
    "D": 20,
    "E": 29,
    "F": 38,
    "G": 47,
    "H": 56,
    "J": 65,
    "K": 73,
    "L": 82,
    "M": 91,
    "N": 100,
    "P": 109,
    "Q": 118,
    "R": 127,
    "S": 135,
    "T": 144,
    "U": 153,
    "V": 162,
    "W": 171,
    "X": 180,
    "end": ROWS_PER_ZONE,
}
"""First row of each latitude band, counted as in `mgrs_tiles`; every row belongs to one band."""
_LATITUDE_BANDS = [name for name in _FIRST_ROW_OF_LATITUDE_BAND if name != "end"]
_LATITUDE_BAND_OF_ROW = [
    next(
        name
        for name in reversed(_LATITUDE_BANDS)
        if _FIRST_ROW_OF_LATITUDE_BAND[name] <= row or name == _LATITUDE_BANDS[0]
    )
    for row in range(ROWS_PER_ZONE)
]
_MAX_INDIVIDUAL_FOOTPRINTS = 64
"""Number of footprints kept in the cache."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of the Sentinel-2 grid."""

    id: str
    """Id without the T, such as 32TQM."""
    zone: int
    """UTM zone, 1 to 60."""
    epsg: int
    """EPSG code: 32601 to 32660 north of the equator, 32701 to 32760 south of it."""
    bounds_utm: tuple[int, int, int, int]
    """West, south, east, north in metres of its CRS."""
    land: bool
    """Whether it contains land."""

    @classmethod
    def parse(cls, text: str) -> "Tile":
        """A tile by its id, with or without the T.

        Raises:
            InvalidInputError: There is no such tile.
        """
        found = _TILE_ID.fullmatch(text.strip().upper())
        if not found:
            raise InvalidInputError(
                f"{text[:40]!r} is not a tile; a tile is a UTM zone, a latitude band and two letters, such "
                "as 32TQM"
            )
        place = _square_from_letters(int(found["zone"]), found["band"], found["column"], found["row"])
        if place is None or not _bit_is_set(existence_bitmap(), *place):
            raise InvalidInputError(
                f"there is no tile {text.strip()!r} in the Sentinel-2 grid; check its letters on a map of "
                "the tiles"
            )
        return _make_tile(*place)

    @property
    def footprint(self) -> "Polygon | MultiPolygon":
        """The square in lon/lat degrees, within 1 m; in two parts where it crosses the antimeridian."""
        return _footprint(*_square_from_id(self.id))


@cache
def tile_ids() -> tuple[str, ...]:
    """Ids of all tiles, zone by zone from south to north."""
    return tuple(_tile_id(*place) for place in _existing_squares())


def tiles_under(shape: Any) -> tuple[str, ...]:
    """Ids of the tiles whose footprint intersects a shapely geometry in lon/lat degrees, sorted.

    The geometry must be within 180 degrees west and east, split at the antimeridian where it crosses it.
    """
    return _filter_intersecting(shape, [_existing_squares()[index] for index in _candidate_squares(shape)])


def tiles_under_up_to(shape: Any, limit: int) -> tuple[str, ...] | None:
    """As `tiles_under`, but None if more than `limit` tiles are near: testing thousands exactly takes
    seconds."""
    near = _candidate_squares(shape)
    return (
        _filter_intersecting(shape, [_existing_squares()[index] for index in near])
        if len(near) <= limit
        else None
    )


def filter_tiles_under(ids: Iterable[str], shape: Any) -> tuple[str, ...]:
    """The tile ids whose footprint intersects the geometry, sorted; ids of no tile are dropped."""
    named = (_TILE_ID.fullmatch(id) for id in ids)
    places = (
        _square_from_letters(int(found["zone"]), found["band"], found["column"], found["row"])
        for found in named
        if found
    )
    return _filter_intersecting(shape, [place for place in places if place])


def _candidate_squares(shape: Any) -> "NDArray[np.int64]":
    """Squares whose bounding box intersects the geometry; a superset of the result."""
    import numpy as np
    import shapely

    _, owners, tree = _square_tree()
    return np.unique(owners[tree.query(shapely.get_parts(shape), predicate="intersects")[1]])


def _filter_intersecting(shape: Any, squares: list[tuple[int, int, int]]) -> tuple[str, ...]:
    import numpy as np
    import shapely

    footprints = (
        _footprints(squares)
        if len(squares) > _MAX_INDIVIDUAL_FOOTPRINTS
        else np.array([_footprint(*place) for place in squares], dtype=object)
    )
    shapely.prepare(shape)
    return tuple(
        sorted(
            _tile_id(*place)
            for place, touched in zip(squares, shapely.intersects(shape, footprints), strict=True)
            if touched
        )
    )


def _footprints(squares: list[tuple[int, int, int]]) -> "NDArray[np.object_]":
    """As `_footprint` for each square, a row of the grid at a time; ten thousand single calls take half a
    second."""
    import numpy as np
    import shapely

    zones, rows, columns = np.array(squares).T
    drawn = np.empty(len(squares), dtype=object)
    for row in np.unique(rows).tolist():
        at = np.flatnonzero(rows == row)
        rings = _dense_row_rings(row)[columns[at]]
        rings[:, :, 0] += ((zones[at] - 31) * 6.0)[:, None]
        drawn[at] = shapely.polygons(rings)
        for beyond in at[np.abs(rings[:, :, 0]).max(axis=1) > 180].tolist():
            drawn[beyond] = _footprint(*squares[beyond])
    return drawn


def existence_bitmap() -> bytes:
    """One byte per zone and row, whose bits say which columns exist."""
    return _bitmaps()[0]


@cache
def _bitmaps() -> tuple[bytes, bytes]:
    return load_bitmaps()


def _bit_is_set(bitmap: bytes, zone: int, row: int, column: int) -> bool:
    return bool(bitmap[(zone - 1) * ROWS_PER_ZONE + row] >> column & 1)


@lru_cache(maxsize=1 << 16)
def _square_from_letters(zone: int, latitude_band: str, column: str, row: str) -> tuple[int, int, int] | None:
    """Zone, row and column as counted in `mgrs_tiles`; None if no square of the zone has these letters."""
    if not 1 <= zone <= 60 or column not in _COLUMN_LETTERS[zone % 3]:
        return None
    first, end = (
        _FIRST_ROW_OF_LATITUDE_BAND[latitude_band],
        _FIRST_ROW_OF_LATITUDE_BAND[[*_LATITUDE_BANDS, "end"][_LATITUDE_BANDS.index(latitude_band) + 1]],
    )
    letter = _ROW_LETTERS.index(row) - (0 if zone % 2 else _EVEN_ZONE_SHIFT)
    number = first + (letter - first) % len(_ROW_LETTERS)
    return (zone, number, _COLUMN_LETTERS[zone % 3].index(column)) if number < end else None


def _square_from_id(id: str) -> tuple[int, int, int]:
    place = _square_from_letters(int(id[:2]), id[2], id[3], id[4])
    if place is None:
        raise ValueError(f"{id!r} is no tile")
    return place


@cache
def _tile_id(zone: int, row: int, column: int) -> str:
    band = _LATITUDE_BAND_OF_ROW[row]
    letter = _ROW_LETTERS[(row + (0 if zone % 2 else _EVEN_ZONE_SHIFT)) % len(_ROW_LETTERS)]
    return f"{zone:02d}{band}{_COLUMN_LETTERS[zone % 3][column]}{letter}"


def _make_tile(zone: int, row: int, column: int) -> Tile:
    return Tile(
        _tile_id(zone, row, column),
        zone,
        (32600 if row >= SOUTHERN_ROWS else 32700) + zone,
        _utm_bounds(row, column),
        _bit_is_set(_bitmaps()[1], zone, row, column),
    )


def _utm_bounds(row: int, column: int) -> tuple[int, int, int, int]:
    """West, south, east, north in metres, the same in every zone."""
    west = (column + 1) * 100_000 // 60 * 60
    # Rounded relative to the equator, not to the false northing of the hemisphere.
    from_equator = -((SOUTHERN_ROWS - row - 1) * 100_000 // 60 * 60)
    north = from_equator + (0 if row >= SOUTHERN_ROWS else 10_000_000)
    return west, north - TILE_SIDE_M, west + TILE_SIDE_M, north


@cache
def _existing_squares() -> list[tuple[int, int, int]]:
    """Zone, row and column of every tile, in the order of `tile_ids`."""
    table = existence_bitmap()
    return [
        (zone, row, column)
        for zone in range(1, 61)
        for row in range(ROWS_PER_ZONE)
        for column in range(COLUMNS_PER_ZONE)
        if _bit_is_set(table, zone, row, column)
    ]


@cache
def _utm_projections() -> "dict[bool, Proj]":
    """Projection from UTM zone 31 to lon/lat; other zones are the same, 6 degrees apart."""
    from pyproj import Proj

    return {
        north: Proj(f"+proj=utm +zone=31 +ellps=WGS84 {'' if north else '+south'}") for north in (True, False)
    }


def _to_lonlat_rings(bounds: "NDArray[np.float64]", steps: int, north: bool) -> "NDArray[np.float64]":
    """Boundaries in lon/lat degrees of rectangles (n, 4) in metres, shape (n, 4 * steps + 1, 2)."""
    import numpy as np

    along = np.arange(steps) / steps
    rise, fall, low, high = along, 1 - along, np.zeros(steps), np.ones(steps)
    across = np.concatenate([rise, high, fall, low, [0]])
    up = np.concatenate([low, rise, high, fall, [0]])
    west, south, east, top = bounds.T[:, :, None]
    lon, lat = _utm_projections()[north](
        west + (east - west) * across, south + (top - south) * up, inverse=True
    )
    return np.stack([lon, lat], axis=-1)


@lru_cache(maxsize=ROWS_PER_ZONE)
def _dense_row_rings(row: int) -> "NDArray[np.float64]":
    """Boundaries of the squares of a row in zone 31, lon/lat degrees, counter-clockwise, closed,
    (COLUMNS, n, 2)."""
    import numpy as np

    # A chord of L metres deviates from a parallel by L * L / (8 * R) * tan(latitude): 237 m * tan(latitude)
    # for a whole edge.
    steps = 4 + math.ceil(math.sqrt(300 * _max_latitude_tangent(row)))
    return _to_lonlat_rings(
        np.array([_utm_bounds(row, column) for column in range(COLUMNS_PER_ZONE)], float),
        steps,
        north=row >= SOUTHERN_ROWS,
    )


def _max_latitude_tangent(row: int) -> float:
    """Upper bound of the tangent of the row's highest latitude: 100 km are at most 0.9 degrees."""
    return math.tan(math.radians(abs(row + 0.5 - SOUTHERN_ROWS) * 0.9 + 0.9))


def _shift_east(ring: "NDArray[np.float64]", degrees: float) -> "NDArray[np.float64]":
    """The ring moved east by some degrees."""
    turned = ring.copy()
    turned[:, 0] += degrees
    return turned


@lru_cache(maxsize=8192)
def _footprint(zone: int, row: int, column: int) -> "Polygon | MultiPolygon":
    import shapely

    ring = _shift_east(_dense_row_rings(row)[column], (zone - 31) * 6.0)
    if ring[:, 0].min() >= -180 and ring[:, 0].max() <= 180:
        return shapely.polygons(ring)
    world = shapely.box(-180, -90, 180, 90)
    parts = [
        shapely.intersection(shapely.polygons(_shift_east(ring, turn)), world)
        for turn in (-360.0, 0.0, 360.0)
    ]
    return shapely.multipolygons([part for part in parts if part.area > 0])


@cache
def _square_tree() -> "tuple[list[tuple[int, int, int]], NDArray[np.int64], STRtree]":
    """All squares, and a tree of the boxes around their footprints with the square of each box."""
    import numpy as np
    import shapely

    squares = _zone_31_rings(1.1)
    boxes, owners = _repeat_in_all_zones(np.stack([squares.min(axis=1), squares.max(axis=1)], axis=1))
    return _existing_squares(), owners, shapely.STRtree(shapely.box(*boxes.reshape(-1, 4).T))


def tile_outline(tile: Tile, margin: float) -> "list[NDArray[np.float64]]":
    """The outline of a tile in few vertices, grown or shrunk by the error of straight edges.

    Args:
        tile: The tile.
        margin: Multiple of the largest distance between a straight edge in lon/lat and the square, plus 100
            m; negative shrinks.

    Returns:
        Rings of 17 lon/lat degrees, each of shape (17, 2): one, or two for a tile across the antimeridian,
        one on either side, both beyond 180.
    """
    import numpy as np

    _, row, _ = _square_from_id(tile.id)
    grown = np.array([tile.bounds_utm], float) + _growth_m(row, margin) * np.array([-1, -1, 1, 1])
    ring = _shift_east(_to_lonlat_rings(grown, 4, tile.epsg < 32700)[0], (tile.zone - 31) * 6.0)
    low, high = ring[:, 0].min(), ring[:, 0].max()
    return (
        [ring]
        + ([_shift_east(ring, 360.0)] if low < -180 else [])
        + ([_shift_east(ring, -360.0)] if high > 180 else [])
    )


def _growth_m(row: int, margin: float) -> float:
    """Metres by which a square of this row grows for a margin."""
    return margin * 240 * _max_latitude_tangent(row) + math.copysign(100, margin)


def _zone_31_rings(margin: float) -> "NDArray[np.float64]":
    """Rings of all squares in zone 31, grown as for `tile_outline`, shape (ROWS * COLUMNS, 17, 2)."""
    import numpy as np

    bounds = np.array(
        [[_utm_bounds(row, column) for column in range(COLUMNS_PER_ZONE)] for row in range(ROWS_PER_ZONE)],
        float,
    )
    grown = np.array([_growth_m(row, margin) for row in range(ROWS_PER_ZONE)])
    bounds += grown[:, None, None] * np.array([-1, -1, 1, 1])
    return np.concatenate(
        [
            _to_lonlat_rings(half.reshape(-1, 4), 4, north)
            for half, north in ((bounds[:SOUTHERN_ROWS], False), (bounds[SOUTHERN_ROWS:], True))
        ]
    )


def _repeat_in_all_zones(
    zone_31_points: "NDArray[np.float64]",
) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
    """Lon/lat points of zone 31, shape (ROWS * COLUMNS, k, 2), for every tile; twice across the
    antimeridian."""
    import numpy as np

    at = np.array(_existing_squares())
    points = zone_31_points[at[:, 1] * COLUMNS_PER_ZONE + at[:, 2]]
    points[:, :, 0] += ((at[:, 0] - 31) * 6.0)[:, None]
    west = np.flatnonzero(points[:, :, 0].min(axis=1) < -180)
    east = np.flatnonzero(points[:, :, 0].max(axis=1) > 180)
    return (
        np.concatenate([points, points[west] + (360.0, 0.0), points[east] - (360.0, 0.0)]),
        np.concatenate([np.arange(len(at)), west, east]),
    )
