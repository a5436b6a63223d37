"""Valid polygons from rings, split at the antimeridian and rounded; shapely geometries in lon/lat degrees."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from revisit.errors import GeometryFault, InvalidGeometryError
from revisit.geo.equal_area import share_of_earth
from revisit.geo.geojson import Polygon, Ring

DECIMALS = 7
"""Decimals of a degree: 1e-7 degrees are about 1 cm."""
PRECISION_GRID_DEG = 10.0**-DECIMALS
MAX_ANTIMERIDIAN_CROSSINGS = 100
"""Maximum number of edges of one polygon that cross the antimeridian."""
MAX_EDGE_CROSSINGS = 5_000
"""Maximum number of crossings of edges: they take 20 ms in a union and 0.2 s in a repair.

2,000 vertices can have a million crossings, which would take minutes.
"""

_EDGES_PER_BATCH = 128
"""Edges compared with all later edges at a time."""
MAX_VERTICES_SEARCHED = 600
"""Maximum number of vertices for which all faults are located, not only the first."""
MAX_REPORTED_FAULTS = 20
"""Maximum number of faults reported."""


def build_polygon(rings: Polygon) -> Any:
    """One valid polygon, split at the antimeridian and rounded; a shapely polygon or multipolygon."""
    import shapely

    shape = _to_shapely(rings)
    if not shape.is_valid:
        merged = [_merge_equal_points(ring) for ring in rings]
        if all(len(ring) > 3 for ring in merged):
            rings, shape = merged, _to_shapely(merged)
    if not _count_antimeridian_crossings(rings):
        if shape.convex_hull.area == 0:
            raise InvalidGeometryError(
                "the points of a ring of the AOI lie on one line and enclose nothing; draw a polygon"
            )
        require_valid(shape)
        return round_coordinates(shape)
    unrolled = [_unwrap_ring(ring) for ring in rings]
    if all(_is_closed(ring) for ring in unrolled):
        whole = _align_holes(unrolled)
        require_valid(whole)
        west, _, east, _ = whole.bounds
        turn = 360.0 * math.floor((west + 180) / 360)
        if east <= turn + 180:  # It touches the antimeridian, which it writes with the other sign.
            return round_coordinates(shapely.transform(whole, lambda at: at - [turn, 0.0]))
        shape = _split_at_antimeridian(shape)
    else:
        # A ring around a pole does not close when unwrapped; whatever its direction, the smaller side is
        # inside.
        shape = _split_at_antimeridian(shape)
        require_valid(shape)
        if share_of_earth(shape) > 0.5:
            shape = shapely.difference(shapely.box(-180, -90, 180, 90), shape)
    require_valid(shape)
    return round_coordinates(shape)


def make_valid(rings: Polygon) -> Any:
    """Repair one polygon: everything that its rings enclose, as a shapely polygon or multipolygon.

    Raises:
        InvalidGeometryError: It crosses itself around a pole, which cannot be repaired.
    """
    import shapely

    unrolled = [_unwrap_ring(ring) for ring in rings]
    if not all(_is_closed(ring) for ring in unrolled):
        return build_polygon(rings)
    shape = _align_holes(unrolled)
    if not shape.is_valid:
        shape = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    if shape.is_empty:
        return shape
    west, _, east, _ = shape.bounds
    worlds = range(math.floor((west + 180) / 360), math.floor((east + 180) / 360) + 1)
    parts = [
        shapely.transform(
            shapely.intersection(shape, shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)),
            lambda at, turn=turn: at - [360.0 * turn, 0.0],
        )
        for turn in worlds
    ]
    # The part on one side of the antimeridian was noded when it was cut; a union of it alone would take as
    # long as the repair.
    return round_coordinates(parts[0] if len(parts) == 1 else shapely.union_all(parts))


def build_multipolygon(polygons: list[Any]) -> Any:
    """Combine the polygons of one geometry, which may touch in points only."""
    import shapely

    if len(polygons) == 1:
        return polygons[0]
    shape = shapely.multipolygons([part for polygon in polygons for part in shapely.get_parts(polygon)])
    if not shape.is_valid:
        what = "parts of the AOI overlap or share an edge"
        raise InvalidGeometryError(
            f"{what}{_format_position(_first_invalid_position(shape))}; merge them, or ask for the AOI to be "
            "repaired (--repair)",
            *_find_faults(shape, what),
        )
    return shape


def limit_crossings(rings: list[Ring]) -> None:
    """Limit the work of unions and repairs, which grows with the number of crossing edges.

    Args:
        rings: Lon, lat positions of each ring or line; none for points.

    Raises:
        InvalidGeometryError: Too many edges cross.
    """
    if rings and _exceeds_crossings(MAX_EDGE_CROSSINGS, *_edge_endpoints(rings)):
        raise InvalidGeometryError(
            f"edges of the AOI cross one another more than {MAX_EDGE_CROSSINGS:,} times; redraw it"
        )


def _edge_endpoints(rings: Iterable[Any]) -> tuple[Any, Any]:
    """Start and end of each edge: arrays of lon, lat."""
    import numpy as np

    points = [np.asarray(ring, float)[:, :2] for ring in rings]
    return np.concatenate([ring[:-1] for ring in points]), np.concatenate([ring[1:] for ring in points])


def _exceeds_crossings(limit: int, start: Any, end: Any) -> bool:
    """Whether more than `limit` pairs of edges cross, both in their middle.

    Some edges at a time are compared with all later ones, so that of a million crossings the first thousands
    suffice. A tree of their boxes would find two million pairs for long edges.
    """
    import numpy as np

    (x, y), (to_x, to_y) = start.T.copy(), end.T.copy()
    along_x, along_y = to_x - x, to_y - y

    def parts(one: Any, other: Any) -> Any:
        """Whether the ends of the other edge are on different sides of an edge."""
        begins = along_x[one] * (y[other] - y[one]) - along_y[one] * (x[other] - x[one])
        ends = along_x[one] * (to_y[other] - y[one]) - along_y[one] * (to_x[other] - x[one])
        return ((begins < 0) & (ends > 0)) | ((begins > 0) & (ends < 0))

    low, high = np.minimum(start, end), np.maximum(start, end)
    count = 0
    for first in range(0, len(start), _EDGES_PER_BATCH):
        one, other = (
            np.arange(first, min(first + _EDGES_PER_BATCH, len(start))),
            np.arange(first + 1, len(start)),
        )
        row, column = np.nonzero(parts(one[:, None], other[None, :]) & (one[:, None] < other[None, :]))
        one, other = one[row], other[column]
        parted = parts(other, one)
        one, other = one[parted], other[parted]
        count += int(((low[one] <= high[other]) & (low[other] <= high[one])).all(axis=1).sum())
        if count > limit:
            return True
    return False


def _find_crossings(rings: Iterable[Any]) -> tuple[Any, Any]:
    """Pairs of edges that cross in their middle: two arrays of (start, end) in lon, lat, shape (n, 2, 2)."""
    import numpy as np
    import shapely

    start, end = _edge_endpoints(rings)
    edges = shapely.box(*np.minimum(start, end).T, *np.maximum(start, end).T)
    one, other = shapely.STRtree(edges).query(edges)
    one, other = one[one < other], other[one < other]

    def side(edge: Any, of: Any) -> Any:
        """Side of each edge on which each point is."""
        along, to = end[edge] - start[edge], of - start[edge]
        return np.sign(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0])

    parted = (side(one, start[other]) * side(one, end[other]) < 0) & (
        side(other, start[one]) * side(other, end[one]) < 0
    )
    edge = np.stack([start, end], axis=1)
    return edge[one[parted]], edge[other[parted]]


def round_coordinates(shape: Any) -> Any:
    """Round coordinates to their last decimal; a shape that this makes invalid is noded on the grid of
    that decimal."""
    import numpy as np
    import shapely

    near = shapely.transform(shape, lambda at: np.round(at, DECIMALS) + 0.0)
    if near.is_valid:
        return shapely.remove_repeated_points(near)
    with np.errstate(all="ignore"):  # GEOS leaves meaningless flags in the floating-point status
        return shapely.set_precision(shape, PRECISION_GRID_DEG)


def _to_shapely(rings: Polygon) -> Any:
    """Ring by ring: `shapely.Polygon` inspects every position."""
    import numpy as np
    import shapely

    outer, *holes = (shapely.linearrings(np.array(ring)) for ring in rings)
    return shapely.polygons(outer, holes=holes or None)


def _merge_equal_points(ring: Ring) -> Ring:
    """A closed ring without points that equal their predecessor, or at its end the first, but for rounding.

    Programs that compute the last point of a ring write it off by 1e-15 degrees, where GEOS finds that the
    ring touches itself.
    """
    kept: Ring = []
    for point in ring:
        if not kept or not _are_equal(point, kept[-1]):
            kept.append(point)
    while len(kept) > 1 and _are_equal(kept[0], kept[-1]):
        kept.pop()
    return [*kept, kept[0]]


def _are_equal(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two positions are less than the last decimal of a degree apart."""
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) < PRECISION_GRID_DEG


def _split_at_antimeridian(shape: Any) -> Any:
    import antimeridian

    try:
        return antimeridian.fix_polygon(shape, fix_winding=True, great_circle=False)
    except ValueError:
        raise InvalidGeometryError(
            "the AOI cannot be split at the antimeridian; draw its parts east and west of 180 degrees"
        ) from None


def _count_antimeridian_crossings(rings: Polygon) -> int:
    """Number of edges that cross the antimeridian."""
    turns = sum(_crosses_antimeridian(a[0], b[0]) for ring in rings for a, b in pairwise(ring))
    if turns > MAX_ANTIMERIDIAN_CROSSINGS:
        raise InvalidGeometryError(
            f"the AOI crosses the antimeridian {turns:,} times, {MAX_ANTIMERIDIAN_CROSSINGS} at most; check "
            "its longitudes"
        )
    return turns


def _crosses_antimeridian(a: float, b: float) -> bool:
    """Whether an edge crosses the antimeridian: it spans more than 180 degrees, but not from -180 to 180."""
    return 180 < abs(a - b) < 360


def _unwrap_ring(ring: Ring) -> Ring:
    """The ring with longitudes that continue beyond 180 instead of jumping."""
    turn, unrolled = 0.0, [ring[0]]
    for (before, _), (lon, lat) in pairwise(ring):
        if _crosses_antimeridian(before, lon):
            turn += 360.0 if lon < before else -360.0
        unrolled.append((lon + turn, lat))
    return unrolled


def _is_closed(unwrapped: Ring) -> bool:
    """Whether an unwrapped ring ends where it starts; a ring around a pole does not."""
    return abs(unwrapped[0][0] - unwrapped[-1][0]) < 180


def _align_holes(unwrapped: Polygon) -> Any:
    """An unwrapped polygon with its holes moved by full turns to its outer ring."""
    outer, *holes = unwrapped
    west, east = min(at[0] for at in outer), max(at[0] for at in outer)
    turned = []
    for hole in holes:
        turn = next(
            (turn for turn in (0.0, 360.0, -360.0) if all(west <= at[0] + turn <= east for at in hole)), 0.0
        )
        turned.append([(lon + turn, lat) for lon, lat in hole])
    return _to_shapely([outer, *turned])


def require_valid(shape: Any) -> None:
    """Report what is wrong with a shape, and where.

    Raises:
        InvalidGeometryError: It is invalid.
    """
    import shapely

    if shape.is_valid:
        return
    reason = shapely.is_valid_reason(shape).partition("[")[0].strip()
    what = {
        "Self-intersection": "crosses itself",
        "Ring Self-intersection": "touches itself",
        "Hole lies outside shell": "has a hole outside its outer ring",
        "Holes are nested": "has a hole within a hole",
        "Interior is disconnected": "is cut apart by its holes",
        "Duplicate Rings": "has the same ring twice",
    }.get(reason, f"is not a valid polygon ({reason.lower()})")
    raise InvalidGeometryError(
        f"the AOI {what}{_format_position(_first_invalid_position(shape))}; redraw it there, or ask for it "
        "to be repaired (--repair)",
        *_find_faults(shape, f"the AOI {what}"),
    )


def _first_invalid_position(shape: Any) -> tuple[float, float] | None:
    """The first position at which a shape is invalid."""
    import shapely

    place = shapely.is_valid_reason(shape).rstrip("]").partition("[")[2].split()
    return _normalize_position(float(place[0]), float(place[1])) if len(place) >= 2 else None


def _format_position(position: tuple[float, float] | None) -> str:
    """A position as a part of a sentence: " at lon 11.5, lat 45.5"."""
    return f" at lon {position[0]:.10g}, lat {position[1]:.10g}" if position else ""


def _find_faults(shape: Any, description: str) -> list[GeometryFault]:
    """Positions at which a shape is invalid: the first, and where edges cross if that is quick to compute."""
    import numpy as np
    import shapely

    places = [_first_invalid_position(shape)]
    if shapely.get_num_coordinates(shape) <= MAX_VERTICES_SEARCHED:
        one, other = _find_crossings(
            shapely.get_coordinates(ring)
            for part in shapely.get_parts(shape)
            for ring in shapely.get_rings(part)
        )
        along, across = one[:, 1] - one[:, 0], other[:, 1] - other[:, 0]
        between = other[:, 0] - one[:, 0]
        share = (between[:, 0] * across[:, 1] - between[:, 1] * across[:, 0]) / (
            along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]
        )
        places += [
            _normalize_position(lon, lat)
            for lon, lat in np.asarray(one[:, 0] + share[:, None] * along)[:MAX_REPORTED_FAULTS].tolist()
        ]
    return [(place, description) for place in list(dict.fromkeys(places))[:MAX_REPORTED_FAULTS]]


def _normalize_position(lon: float, lat: float) -> tuple[float, float]:
    """A position rounded to the last decimal, with the longitude wrapped to -180 to 180 degrees."""
    return round(lon if abs(lon) <= 180 else (lon + 180) % 360 - 180, DECIMALS), round(lat, DECIMALS)
