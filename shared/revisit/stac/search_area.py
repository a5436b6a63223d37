"""Area of a search: a GeoJSON geometry or a bbox as a shapely geometry in lon/lat degrees."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from revisit.domain.aoi import AOI
from revisit.errors import InvalidGeometryError
from revisit.geo.bounds import split_box
from revisit.geo.geojson import MAX_VERTICES
from revisit.geo.polygon import MAX_ANTIMERIDIAN_CROSSINGS, limit_crossings

MAX_PARTS = 50
"""Parts of a geometry collection."""
_MAX_AREA_KM2 = 600e6


def parse_geometry(geometry: Any) -> Any:
    """Parse a GeoJSON geometry; polygons as in `AOI.parse`, split at the antimeridian.

    Raises:
        InvalidGeometryError: It is not a geometry, has coordinates out of range, crosses itself, or exceeds a
            limit.
    """
    import shapely

    if not isinstance(geometry, dict):
        raise InvalidGeometryError("the area of a search is a GeoJSON geometry with type and coordinates")
    kind = geometry.get("type")
    if kind in ("Polygon", "MultiPolygon"):
        return AOI.parse(geometry, _MAX_AREA_KM2).shape
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if (
            not isinstance(members, list)
            or not 0 < len(members) <= MAX_PARTS
            or any(isinstance(one, dict) and one.get("type") == kind for one in members)
        ):
            raise InvalidGeometryError(
                f"a geometry collection has 1 to {MAX_PARTS} geometries, none of them a collection"
            )
        if sum(map(_count_positions, members)) > MAX_VERTICES:
            raise InvalidGeometryError(
                f"the geometries of the collection have more than {MAX_VERTICES:,} positions; simplify them"
            )
        drawn = [parse_geometry(one) for one in members]
        limit_crossings([*_line_coordinates(drawn)])
        return shapely.union_all(drawn)
    points = geometry.get("coordinates")
    if kind == "Point":
        return shapely.points(_parse_position(points))
    if kind in ("MultiPoint", "LineString"):
        drawn = _parse_positions(points, 1 if kind == "MultiPoint" else 2)
        return shapely.multipoints(drawn) if kind == "MultiPoint" else _make_line(drawn)
    if kind == "MultiLineString" and isinstance(points, list) and 0 < len(points) <= MAX_PARTS:
        lines = [_parse_positions(line, 2) for line in points]
        if sum(map(len, lines)) <= MAX_VERTICES:
            limit_crossings(lines)
            return shapely.union_all([_make_line(line) for line in lines])
    raise InvalidGeometryError(
        f"{str(kind)[:40]!r} with these coordinates is not a GeoJSON geometry of at most {MAX_PARTS} parts "
        "and "
        f"{MAX_VERTICES:,} vertices"
    )


def parse_bbox(numbers: Sequence[float]) -> Any:
    """Parse a bbox of 4 numbers, or of 6 with heights, which are ignored; west > east crosses the
    antimeridian.

    Raises:
        InvalidGeometryError: It is not a bbox.
    """
    import shapely

    if len(numbers) not in (4, 6):
        raise InvalidGeometryError(
            f"a bbox has 4 numbers (west, south, east, north) or 6, not {len(numbers)}"
        )
    west, south, east, north = (
        numbers[index] for index in ((0, 1, 2, 3) if len(numbers) == 4 else (0, 1, 3, 4))
    )
    if len(numbers) == 6 and not numbers[2] <= numbers[5]:
        raise InvalidGeometryError(
            f"the lowest height of the bbox ({numbers[2]:g}) is above its highest ({numbers[5]:g}); "
            "exchange them"
        )
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= 90 and -90 <= north <= 90):
        raise InvalidGeometryError(
            "a bbox is within 180 degrees of longitude and 90 degrees of latitude; write west, south, "
            "east, north"
        )
    if south > north:
        raise InvalidGeometryError(
            f"the bbox begins at {south:g} degrees of latitude, north of where it ends ({north:g}); write "
            "west, south, east, north"
        )
    return shapely.union_all([_make_box(*box) for box in split_box((west, south, east, north))])


def _make_box(west: float, south: float, east: float, north: float) -> Any:
    import shapely

    if west == east and south == north:
        return shapely.points(west, south)
    if west == east or south == north:
        return shapely.linestrings([(west, south), (east, north)])
    return shapely.box(west, south, east, north)


def _count_positions(value: Any) -> int:
    """Number of positions of a geometry, which may be invalid."""
    pending, count = [value.get("coordinates")] if isinstance(value, dict) else [], 0
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            count += not any(isinstance(each, list) for each in one)
            pending += one
    return count


def _line_coordinates(geometries: list[Any]) -> Iterator[Any]:
    """Positions of each line and ring of some geometries."""
    import shapely

    for part in shapely.get_parts(geometries):
        for line in shapely.get_rings(part) if part.geom_type == "Polygon" else [part]:
            if len(points := shapely.get_coordinates(line)) > 1:
                yield points


def _make_line(points: list[tuple[float, float]]) -> Any:
    """A line, split where it crosses the antimeridian."""
    import antimeridian
    import shapely

    turns = sum(abs(a[0] - b[0]) > 180 for a, b in pairwise(points))
    if turns > MAX_ANTIMERIDIAN_CROSSINGS:
        raise InvalidGeometryError(
            f"the line crosses the antimeridian {turns:,} times, more than {MAX_ANTIMERIDIAN_CROSSINGS}; "
            "check its longitudes"
        )
    if turns:
        return antimeridian.fix_line_string(shapely.LineString(points), great_circle=False)
    return shapely.linestrings(points)


def _parse_positions(value: Any, min_count: int) -> list[tuple[float, float]]:
    if not isinstance(value, list) or not min_count <= len(value) <= MAX_VERTICES:
        raise InvalidGeometryError(f"the area of a search has {min_count} to {MAX_VERTICES:,} positions")
    return [_parse_position(one) for one in value]


def _parse_position(value: Any) -> tuple[float, float]:
    if (
        isinstance(value, list)
        and 2 <= len(value) <= 4
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value[:2])
    ):
        lon, lat = value[:2]
        if math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90:
            return float(lon), float(lat)
    raise InvalidGeometryError(f"{str(value)[:60]} is not a position in degrees, [lon, lat]")
