"""Footprint and bounds of a product as its source states them, also across the antimeridian."""

import math
from typing import Any

from revisit.errors import PermanentError
from revisit.geo.bounds import Bounds


def parse_footprint(geometry: Any) -> tuple[dict[str, Any], Bounds]:
    """A footprint split at the antimeridian, and its bounds.

    A tile is at most about ten degrees wide (at 84 N), so longitudes more than 180 degrees apart mean a
    crossing.

    Args:
        geometry: GeoJSON Polygon or MultiPolygon; a ring that crosses may jump from 179 to -179 or be split
            already.

    Raises:
        PermanentError: It is not a polygon of finite lon/lat degrees.
    """
    if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
        raise PermanentError("the footprint is not a polygon")
    coordinates: Any = geometry.get("coordinates")
    polygons: Any = [coordinates] if geometry["type"] == "Polygon" else coordinates
    try:
        points = [(float(x), float(y)) for polygon in polygons for ring in polygon for x, y, *_ in ring]
    except (TypeError, ValueError, OverflowError):
        raise PermanentError("the footprint's coordinates are not numbers") from None
    if len(points) < 4 or not all(
        math.isfinite(x) and math.isfinite(y) and abs(x) <= 360 and abs(y) <= 90 for x, y in points
    ):
        raise PermanentError("the footprint's coordinates are not degrees of longitude and latitude")
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    south, north = min(y for _, y in points), max(y for _, y in points)
    if east - west <= 180 and west >= -180 and east <= 180:
        return {"type": geometry["type"], "coordinates": coordinates}, (west, south, east, north)
    turned = [x % 360 for x, _ in points]
    return _split_at_antimeridian(geometry), (
        _wrap_longitude(min(turned)),
        south,
        _wrap_longitude(max(turned)),
        north,
    )


def parse_bounds(box: Any) -> Bounds:
    """The bounds that a source states.

    Args:
        box: Four numbers, or six with heights, which are ignored.

    Raises:
        PermanentError: They are not degrees of longitude and latitude.
    """
    try:
        numbers = [float(number) for number in box]
    except (TypeError, ValueError, OverflowError):
        raise PermanentError("the source states neither a footprint nor bounds") from None
    if len(numbers) == 6:
        numbers = [numbers[0], numbers[1], numbers[3], numbers[4]]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or not -90 <= numbers[1] <= numbers[3] <= 90:
        raise PermanentError(f"the bounds {box} are not west, south, east, north")
    west, south, east, north = numbers
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise PermanentError(f"the bounds {box} are not degrees of longitude and latitude")
    return (west, south, east, north)


def _wrap_longitude(longitude: float) -> float:
    return longitude - 360 if longitude > 180 else longitude


def _split_at_antimeridian(geometry: dict[str, Any]) -> dict[str, Any]:
    import antimeridian
    from shapely.errors import ShapelyError

    try:
        fixed: dict[str, Any] = antimeridian.fix_geojson(geometry, fix_winding=True, great_circle=False)
    except (ValueError, TypeError, AssertionError, ShapelyError):
        raise PermanentError("the footprint cannot be split at the antimeridian") from None
    return fixed


def tile_bounds(epsg: int, west_m: float, north_m: float) -> Bounds:
    """Bounds of a tile's 109.8 km square.

    Args:
        epsg: EPSG code of its UTM zone.
        west_m: Easting of the upper left corner.
        north_m: Northing of the upper left corner.

    Raises:
        PermanentError: The EPSG code is unknown.
    """
    from pyproj import Transformer
    from pyproj.exceptions import CRSError

    try:
        transformer = Transformer.from_crs(epsg, 4326, always_xy=True)
    except CRSError:
        raise PermanentError(f"EPSG:{epsg} is not a coordinate system") from None
    corners = [(west_m + 109_800 * i / 8, north_m - 109_800 * j / 8) for i in range(9) for j in range(9)]
    ring = [list(transformer.transform(x, y)) for x, y in corners]
    return parse_footprint({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})[1]
