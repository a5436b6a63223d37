"""Parser of untrusted GeoJSON polygons: checks limits first, then structure, then numbers."""

import math
from typing import Any

import msgspec

from revisit.errors import InvalidGeometryError
from revisit.geo.area_text import decode_text, require_text, require_text_format
from revisit.geo.geojson_crs import LON_LAT, convert_rings, read_crs
from revisit.geo.wkt import is_wkt, read_wkt

MAX_BYTES = 1_000_000
"""Maximum size of a document."""
MAX_VERTICES = 2_000
"""Maximum number of vertices of all polygons."""
MAX_POLYGONS = 50
MAX_HOLES = 10
"""Maximum number of holes in one polygon."""
MAX_NESTING = 8
"""Maximum depth of nested collections."""

Ring = list[tuple[float, float]]
"""Lon, lat pairs in degrees; closed, without repeated positions."""
Polygon = list[Ring]
"""The outer ring first, then the holes."""


def parse_document(document: str | bytes | dict[str, Any]) -> dict[str, Any]:
    """A GeoJSON object from text, bytes or a dict; text may also be WKT.

    Raises:
        InvalidGeometryError: It is too large, or not a JSON object.
    """
    if isinstance(document, str | bytes):
        if isinstance(document, bytes):
            require_text_format(document)
        size = len(document) if isinstance(document, bytes) else len(document.encode(errors="replace"))
        if size > MAX_BYTES:
            raise InvalidGeometryError(
                f"the AOI's GeoJSON has {size:,} bytes, {MAX_BYTES:,} at most; simplify it"
            )
        text = decode_text(document) if isinstance(document, bytes) else require_text(document)
        if is_wkt(text):
            return read_wkt(text, MAX_VERTICES + MAX_POLYGONS * (1 + MAX_HOLES))
        try:
            document = msgspec.json.decode(text)
        except (msgspec.DecodeError, ValueError) as error:
            raise InvalidGeometryError(
                f"the AOI is not valid JSON: {str(error)[:120]}; write a GeoJSON polygon"
            ) from None
        except RecursionError:
            raise InvalidGeometryError(
                "the AOI's JSON is nested too deeply; write a GeoJSON polygon"
            ) from None
    if not isinstance(document, dict):
        raise InvalidGeometryError(f"an AOI is a GeoJSON object, not {_quote_value(document)}")
    return document


def extract_polygons(document: dict[str, Any], wrap_longitudes: bool = False) -> list[list[Polygon]]:
    """The polygons of every geometry in a GeoJSON object, one list per geometry.

    Positions in another CRS, which its member `crs` names, are converted.

    Args:
        document: Geometry, Feature, FeatureCollection or GeometryCollection.
        wrap_longitudes: Wrap longitudes beyond 180 degrees instead of rejecting them.

    Raises:
        InvalidGeometryError: It contains anything other than polygons, exceeds a limit, or is in a CRS that
            cannot be converted.
    """
    found: list[list[Any]] = []
    crs_names: set[str] = set()
    _collect_polygons(document, found, crs_names, LON_LAT, 0)
    polygons = sum(len(geometry) for geometry in found)
    if not polygons:
        raise InvalidGeometryError("the AOI is empty; give at least one polygon")
    if polygons > MAX_POLYGONS:
        raise InvalidGeometryError(
            f"the AOI has {polygons:,} polygons, {MAX_POLYGONS} at most; split it into several AOIs"
        )
    vertices = sum(_count_vertices(rings) for geometry in found for rings in geometry)
    if vertices > MAX_VERTICES:
        raise InvalidGeometryError(
            f"the AOI has {vertices:,} vertices, {MAX_VERTICES:,} at most; simplify it, for instance to the "
            "10 m of a pixel"
        )
    if len(crs_names) > 1:
        raise InvalidGeometryError(
            f"the AOI is in several CRSs, {' and '.join(map(_quote_value, sorted(crs_names)[:2]))}; "
            "write it in one"
        )
    if crs_names != {LON_LAT}:
        every = [ring for geometry in found for rings in geometry for ring in rings]
        for position in (position for ring in every for position in ring):
            _require_numbers(position)
        converted = iter(convert_rings(crs_names.pop(), every))
        found = [[[next(converted) for _ in rings] for rings in geometry] for geometry in found]
    return [
        [[_parse_ring(ring, wrap_longitudes) for ring in rings] for rings in geometry] for geometry in found
    ]


def _count_vertices(rings: Any) -> int:
    """Number of positions of a polygon without those that close a ring; rejects anything but a list of
    rings."""
    if (
        not isinstance(rings, list | tuple)
        or not rings
        or not all(isinstance(ring, list | tuple) for ring in rings)
    ):
        raise InvalidGeometryError(
            "a polygon's coordinates are a list of rings of [lon, lat] positions; one of the AOI's is not"
        )
    if len(rings) > 1 + MAX_HOLES:
        raise InvalidGeometryError(
            f"a polygon of the AOI has {len(rings) - 1:,} holes, {MAX_HOLES} at most; simplify it"
        )
    return sum(len(ring) - (len(ring) > 1 and ring[0] == ring[-1]) for ring in rings)


def _collect_polygons(
    item: Any, collected: list[list[Any]], crs_names: set[str], crs: str, depth: int
) -> None:
    if depth > MAX_NESTING:
        raise InvalidGeometryError(
            f"the AOI's collections are nested more than {MAX_NESTING} deep; write one MultiPolygon"
        )
    if not isinstance(item, dict):
        raise InvalidGeometryError(f"the AOI holds {_quote_value(item)} where GeoJSON has an object")
    crs = read_crs(item, crs)
    kind = item.get("type")
    if kind in ("FeatureCollection", "GeometryCollection"):
        key = "features" if kind == "FeatureCollection" else "geometries"
        for member in _require_list(item, key):
            _collect_polygons(member, collected, crs_names, crs, depth + 1)
    elif kind == "Feature":
        if item.get("geometry") is None:
            raise InvalidGeometryError(
                "a feature of the AOI has no geometry; give it a polygon or leave it out"
            )
        _collect_polygons(item["geometry"], collected, crs_names, crs, depth + 1)
    elif kind in ("Polygon", "MultiPolygon"):
        coordinates = _require_list(item, "coordinates")
        # RFC 7946, section 3.1: a geometry without positions may be taken for none.
        polygons = [rings for rings in ([coordinates] if kind == "Polygon" else coordinates) if rings != []]
        if polygons:
            collected.append(polygons)
            crs_names.add(crs)
    elif kind in ("Point", "MultiPoint", "LineString", "MultiLineString"):
        raise InvalidGeometryError(f"a {kind} has no area; draw the AOI as a polygon")
    else:
        raise InvalidGeometryError(
            f"type {_quote_value(kind)} is no GeoJSON type; write a Polygon, MultiPolygon, Feature or "
            "FeatureCollection"
        )


def _require_list(item: dict[str, Any], key: str) -> list[Any]:
    value = item.get(key)
    if not isinstance(value, list | tuple):
        raise InvalidGeometryError(f"the AOI's {item['type']} has no list of {key}")
    return list(value)


def _parse_ring(positions: list[Any], wrap_longitudes: bool) -> Ring:
    ring: Ring = []
    for position in positions:
        point = _parse_position(position, wrap_longitudes)
        if not ring or point != ring[-1]:
            ring.append(point)
    if len(ring) > 1 and ring[0] != ring[-1]:
        ring.append(ring[0])
    if len(ring) < 4:
        raise InvalidGeometryError(
            f"a ring of the AOI has {len(set(ring))} different points, which enclose nothing; a polygon "
            "needs three at least"
        )
    return ring


def _require_numbers(position: Any) -> None:
    """Check that a position starts with two finite numbers."""
    if not isinstance(position, list | tuple) or not 2 <= len(position) <= 4:
        raise InvalidGeometryError(f"{_quote_value(position)} in the AOI is not a [lon, lat] position")
    for value in position[:2]:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value != value
            or abs(value) == math.inf
        ):
            raise InvalidGeometryError(f"{_quote_value(value)} in the AOI is not a number of degrees")


def _parse_position(position: Any, wrap_longitudes: bool) -> tuple[float, float]:
    _require_numbers(position)
    lon, lat = position[0], position[1]
    if wrap_longitudes and 180 < abs(lon) <= 540:
        lon = (lon + 180) % 360 - 180
    if abs(lon) <= 180 and abs(lat) <= 90:
        return float(lon), float(lat)
    if abs(lat) > 360 or abs(lon) > 1000:
        raise InvalidGeometryError(
            f"[{_quote_value(lon)}, {_quote_value(lat)}] looks like metres of a projection such as UTM; "
            "GeoJSON is in lon/lat degrees (EPSG:4326), so convert the AOI first or name its CRS in crs"
        )
    if abs(lat) > 90 and abs(lon) <= 90 and abs(lat) <= 180:
        raise InvalidGeometryError(
            f"latitude {_quote_value(lat)} is beyond 90 degrees; GeoJSON positions are [lon, lat], longitude "
            "first"
        )
    if abs(lat) > 90:
        raise InvalidGeometryError(
            f"latitude {_quote_value(lat)} is beyond 90 degrees; check the AOI's coordinates"
        )
    wrapped = (lon + 180) % 360 - 180
    message = (
        f"longitude {_quote_value(lon)} is beyond 180 degrees; write {wrapped:.10g}, "
        "or ask for the AOI to be repaired (--repair)"
    )
    raise InvalidGeometryError(message, ((wrapped, float(lat)), message))


def _quote_value(value: Any) -> str:
    """A value as quoted in an error message, shortened."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if value is None or isinstance(value, bool | float):
        return f"{value:.10g}" if isinstance(value, float) else str(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a number of many digits"
    return f"a {type(value).__name__}"
