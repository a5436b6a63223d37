"""Tiles: the UTM squares of 109.8 km that every product is cut to, named after MGRS squares.

Zone, row and column follow from the letters of an id (`tile_square`). Which squares exist, and which see
land, is in `tile_existence`; their outlines in lon/lat are in `square_outline`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from revisit.errors import InvalidInputError
from revisit.geo.square_outline import (
    growth_m,
    shift_east,
    square_footprint,
    square_footprints,
    square_tree,
    to_lonlat_rings,
)
from revisit.geo.tile_existence import SOUTHERN_ROWS, exists, has_land
from revisit.geo.tile_square import existing_squares, square_from_id, square_from_letters, tile_id, utm_bounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from shapely import MultiPolygon, Polygon

_TILE_ID = re.compile(r"T?(?P<zone>\d{1,2})(?P<band>[C-HJ-NP-X])(?P<column>[A-HJ-NP-Z])(?P<row>[A-HJ-NP-V])")
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
        place = square_from_letters(int(found["zone"]), found["band"], found["column"], found["row"])
        if place is None or not exists(*place):
            raise InvalidInputError(
                f"there is no tile {text.strip()!r} in the Sentinel-2 grid; check its letters on a map of "
                "the tiles"
            )
        return _make_tile(*place)

    @property
    def footprint(self) -> "Polygon | MultiPolygon":
        """The square in lon/lat degrees, within 1 m; in two parts where it crosses the antimeridian."""
        return square_footprint(*square_from_id(self.id))


@cache
def tile_ids() -> tuple[str, ...]:
    """Ids of all tiles, zone by zone from south to north."""
    return tuple(tile_id(*place) for place in existing_squares())


def tiles_under(shape: Any) -> tuple[str, ...]:
    """Ids of the tiles whose footprint intersects a shapely geometry in lon/lat degrees, sorted.

    The geometry must be within 180 degrees west and east, split at the antimeridian where it crosses it.
    """
    return _filter_intersecting(shape, [existing_squares()[index] for index in _candidate_squares(shape)])


def tiles_under_up_to(shape: Any, limit: int) -> tuple[str, ...] | None:
    """As `tiles_under`, but None if more than `limit` tiles are near: testing thousands exactly takes
    seconds."""
    near = _candidate_squares(shape)
    return (
        _filter_intersecting(shape, [existing_squares()[index] for index in near])
        if len(near) <= limit
        else None
    )


def filter_tiles_under(ids: Iterable[str], shape: Any) -> tuple[str, ...]:
    """The tile ids whose footprint intersects the geometry, sorted; ids of no tile are dropped."""
    named = (_TILE_ID.fullmatch(id) for id in ids)
    places = (
        square_from_letters(int(found["zone"]), found["band"], found["column"], found["row"])
        for found in named
        if found
    )
    return _filter_intersecting(shape, [place for place in places if place])


def _candidate_squares(shape: Any) -> "NDArray[np.int64]":
    """Squares whose bounding box intersects the geometry; a superset of the result."""
    import numpy as np
    import shapely

    _, owners, tree = square_tree()
    return np.unique(owners[tree.query(shapely.get_parts(shape), predicate="intersects")[1]])


def _filter_intersecting(shape: Any, squares: list[tuple[int, int, int]]) -> tuple[str, ...]:
    import numpy as np
    import shapely

    footprints = (
        square_footprints(squares)
        if len(squares) > _MAX_INDIVIDUAL_FOOTPRINTS
        else np.array([square_footprint(*place) for place in squares], dtype=object)
    )
    shapely.prepare(shape)
    return tuple(
        sorted(
            tile_id(*place)
            for place, touched in zip(squares, shapely.intersects(shape, footprints), strict=True)
            if touched
        )
    )


def _make_tile(zone: int, row: int, column: int) -> Tile:
    return Tile(
        tile_id(zone, row, column),
        zone,
        (32600 if row >= SOUTHERN_ROWS else 32700) + zone,
        utm_bounds(row, column),
        has_land(zone, row, column),
    )


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

    _, row, _ = square_from_id(tile.id)
    grown = np.array([tile.bounds_utm], float) + growth_m(row, margin) * np.array([-1, -1, 1, 1])
    ring = shift_east(to_lonlat_rings(grown, 4, tile.epsg < 32700)[0], (tile.zone - 31) * 6.0)
    low, high = ring[:, 0].min(), ring[:, 0].max()
    return (
        [ring]
        + ([shift_east(ring, 360.0)] if low < -180 else [])
        + ([shift_east(ring, -360.0)] if high > 180 else [])
    )
