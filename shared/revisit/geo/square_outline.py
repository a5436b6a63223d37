"""Outlines of the squares of the tile grid in lon/lat degrees.

Edges are straight in UTM and curved in lon/lat: a footprint has enough vertices to stay within 1 m of the
square.
"""

import math
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from revisit.geo.tile_existence import ROWS_PER_ZONE, SOUTHERN_ROWS
from revisit.geo.tile_square import COLUMNS_PER_ZONE, existing_squares, utm_bounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyproj import Proj
    from shapely import MultiPolygon, Polygon, STRtree


def square_footprints(squares: list[tuple[int, int, int]]) -> "NDArray[np.object_]":
    """As `square_footprint` for each square, a row of the grid at a time; ten thousand single calls take half
    a second."""
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
            drawn[beyond] = square_footprint(*squares[beyond])
    return drawn


@cache
def _utm_projections() -> "dict[bool, Proj]":
    """Projection from UTM zone 31 to lon/lat; other zones are the same, 6 degrees apart."""
    from pyproj import Proj

    return {
        north: Proj(f"+proj=utm +zone=31 +ellps=WGS84 {'' if north else '+south'}") for north in (True, False)
    }


def to_lonlat_rings(bounds: "NDArray[np.float64]", steps: int, north: bool) -> "NDArray[np.float64]":
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
    return to_lonlat_rings(
        np.array([utm_bounds(row, column) for column in range(COLUMNS_PER_ZONE)], float),
        steps,
        north=row >= SOUTHERN_ROWS,
    )


def _max_latitude_tangent(row: int) -> float:
    """Upper bound of the tangent of the row's highest latitude: 100 km are at most 0.9 degrees."""
    return math.tan(math.radians(abs(row + 0.5 - SOUTHERN_ROWS) * 0.9 + 0.9))


def shift_east(ring: "NDArray[np.float64]", degrees: float) -> "NDArray[np.float64]":
    """The ring moved east by some degrees."""
    turned = ring.copy()
    turned[:, 0] += degrees
    return turned


@lru_cache(maxsize=8192)
def square_footprint(zone: int, row: int, column: int) -> "Polygon | MultiPolygon":
    """The square within 1 m; in two parts where it crosses the antimeridian."""
    import shapely

    ring = shift_east(_dense_row_rings(row)[column], (zone - 31) * 6.0)
    if ring[:, 0].min() >= -180 and ring[:, 0].max() <= 180:
        return shapely.polygons(ring)
    world = shapely.box(-180, -90, 180, 90)
    parts = [
        shapely.intersection(shapely.polygons(shift_east(ring, turn)), world) for turn in (-360.0, 0.0, 360.0)
    ]
    return shapely.multipolygons([part for part in parts if part.area > 0])


@cache
def square_tree() -> "tuple[list[tuple[int, int, int]], NDArray[np.int64], STRtree]":
    """All squares, and a tree of the boxes around their footprints with the square of each box."""
    import numpy as np
    import shapely

    squares = _zone_31_rings(1.1)
    boxes, owners = _repeat_in_all_zones(np.stack([squares.min(axis=1), squares.max(axis=1)], axis=1))
    return existing_squares(), owners, shapely.STRtree(shapely.box(*boxes.reshape(-1, 4).T))


def growth_m(row: int, margin: float) -> float:
    """Metres by which a square of this row grows for a margin."""
    return margin * 240 * _max_latitude_tangent(row) + math.copysign(100, margin)


def _zone_31_rings(margin: float) -> "NDArray[np.float64]":
    """Rings of all squares in zone 31, grown as for `tile_outline`, shape (ROWS * COLUMNS, 17, 2)."""
    import numpy as np

    bounds = np.array(
        [[utm_bounds(row, column) for column in range(COLUMNS_PER_ZONE)] for row in range(ROWS_PER_ZONE)],
        float,
    )
    grown = np.array([growth_m(row, margin) for row in range(ROWS_PER_ZONE)])
    bounds += grown[:, None, None] * np.array([-1, -1, 1, 1])
    return np.concatenate(
        [
            to_lonlat_rings(half.reshape(-1, 4), 4, north)
            for half, north in ((bounds[:SOUTHERN_ROWS], False), (bounds[SOUTHERN_ROWS:], True))
        ]
    )


def _repeat_in_all_zones(
    zone_31_points: "NDArray[np.float64]",
) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
    """Lon/lat points of zone 31, shape (ROWS * COLUMNS, k, 2), for every tile; twice across the
    antimeridian."""
    import numpy as np

    at = np.array(existing_squares())
    points = zone_31_points[at[:, 1] * COLUMNS_PER_ZONE + at[:, 2]]
    points[:, :, 0] += ((at[:, 0] - 31) * 6.0)[:, None]
    west = np.flatnonzero(points[:, :, 0].min(axis=1) < -180)
    east = np.flatnonzero(points[:, :, 0].max(axis=1) > 180)
    return (
        np.concatenate([points, points[west] + (360.0, 0.0), points[east] - (360.0, 0.0)]),
        np.concatenate([np.arange(len(at)), west, east]),
    )
