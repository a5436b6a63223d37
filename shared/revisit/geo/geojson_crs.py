"""The member `crs` of GeoJSON (the specification of 2008, section 3), and positions in the CRS that it names.

Positions are x, y, whatever order of axes the CRS states: longitude or easting first, as GDAL and all other
programs write GeoJSON, also for urn:ogc:def:crs:EPSG::4326.
"""

import re
from typing import Any

from revisit.errors import InvalidGeometryError, InvalidInputError

LON_LAT = "OGC:CRS84"
"""The CRS of GeoJSON without the member: lon/lat degrees on WGS84."""

_LON_LAT = re.compile(
    r"(urn:(x-)?ogc:def:crs:|https?://www\.opengis\.net/def/crs/)?"
    r"(OGC[:/](1\.3|0)?[:/]?CRS84h?|EPSG[:/][\d.]*[:/]?4326|WGS ?84|CRS84)",
    re.IGNORECASE,
)
_ACCEPTED = (
    "leave crs out for lon/lat degrees (WGS84), or name it as in "
    '{"type": "name", "properties": {"name": "EPSG:32631"}}'
)
MAX_NAME_LENGTH = 10_000
"""Maximum length of a name; it may be WKT."""


def read_crs(item: dict[str, Any], inherited: str) -> str:
    """The CRS of a GeoJSON object: its own, or that of the object around it.

    Args:
        item: GeoJSON object.
        inherited: CRS of the object around it.

    Returns:
        `LON_LAT`, or the name as it is written.

    Raises:
        InvalidGeometryError: The member is null, a link, or no CRS.
    """
    if "crs" not in item:
        return inherited
    member = item["crs"]
    properties = member.get("properties") if isinstance(member, dict) else None
    name: Any = member
    if isinstance(properties, dict):
        # Programs before 2008 wrote {"type": "EPSG", "properties": {"code": 2154}}.
        name = properties.get("name", properties.get("code"))
        if isinstance(name, int) and not isinstance(name, bool) and 0 < name < 10**6:
            name = f"EPSG:{name}"
    if isinstance(properties, dict) and name is None and "href" in properties:
        raise InvalidGeometryError(f"the AOI's crs is a link, which is not followed; {_ACCEPTED}")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME_LENGTH:
        what = "null, which names none" if member is None else "not the name of a CRS"
        raise InvalidGeometryError(f"the AOI's crs is {what}; {_ACCEPTED}")
    return LON_LAT if _LON_LAT.fullmatch(name.strip().replace("::", ":")) else name.strip()


def convert_rings(crs: str, rings: list[list[Any]]) -> list[list[tuple[float, float]]]:
    """Rings in a CRS as rings in lon/lat degrees on WGS84, vertex by vertex.

    Edges are straight between the converted vertices, as after ogr2ogr: they differ from those of the
    projection by 2 m in the middle of an edge of 10 km at 45 degrees north, and by 200 m of one of 100 km.

    Args:
        crs: A name as `read_crs` returns it.
        rings: Positions x, y in units of the CRS; values after these two are dropped.

    Raises:
        InvalidGeometryError: The CRS is none that can be read, its datum has no published shift to WGS84
            within 20 m, or a position lies outside of it.
    """
    from revisit.geo.projected_positions import convert_to_lon_lat

    try:
        found = iter(convert_to_lon_lat(crs, [(at[0], at[1]) for ring in rings for at in ring]).positions)
    except InvalidInputError as error:
        raise InvalidGeometryError(f"the AOI's crs: {error}") from None
    return [[next(found) for _ in ring] for ring in rings]
