"""Parser of STAC items: their products, for folders and APIs alike; `stac_assets` holds their files.

Supports STAC 1.0 and 1.1 with the eo, raster, grid, mgrs and s2 extensions as Earth Search v0, v1 and c1,
Planetary Computer, CDSE and static catalogs write them.
"""

import re
from datetime import datetime
from typing import Any

from revisit.adapters.sources.radiometry import ItemFacts
from revisit.adapters.sources.stated_footprint import parse_bounds, parse_footprint
from revisit.domain.clock import parse_instant
from revisit.domain.product import Level, Product
from revisit.domain.product_name import (
    TIMESTAMP_FORMAT,
    ProductName,
    is_sentinel_2_id,
    parse_datatake_id,
    parse_short_id,
)
from revisit.errors import InvalidInputError, PermanentError

_TILE = re.compile(r"(?:MGRS-)?T?(\d{1,2})([C-HJ-NP-X][A-HJ-NP-Z]{2})")
_VALID_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,199}")


def is_item(value: Any) -> bool:
    """Whether decoded JSON is a STAC item."""
    return (
        isinstance(value, dict)
        and value.get("type") == "Feature"
        and isinstance(value.get("assets"), dict)
        and "stac_version" in value
    )


def is_sentinel_2(item: dict[str, Any]) -> bool:
    """Whether an item is a Sentinel-2 product; a folder may hold others."""
    properties = item.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    words = f"{properties.get('constellation')} {properties.get('platform')} {item.get('collection')}".lower()
    return bool(re.search(r"sentinel[- _]?s?2", words) or is_sentinel_2_id(str(item.get("id"))))


def product_of(item: dict[str, Any], source: str, href: str) -> Product:
    """The product that an item describes.

    Args:
        item: Decoded JSON.
        source: SPEC of its source.
        href: Path or URL of the item itself.

    Raises:
        PermanentError: A required property is missing or invalid.
    """
    properties, id = item.get("properties"), item.get("id")
    if not isinstance(id, str) or not _VALID_ID.fullmatch(id):
        raise PermanentError(
            f"the item's id {str(id)[:200]!r} is not made of 1 to 200 letters, digits and . _ - :"
        )
    if not isinstance(properties, dict):
        raise PermanentError("the item has no properties")
    name = _product_name(item, properties)
    short_id = parse_short_id(id)
    sensing_time = _parse_time(properties, "datetime", "start_datetime")
    if sensing_time is None:
        raise PermanentError("the item states no datetime")
    shape, box = parse_footprint(item["geometry"]) if item.get("geometry") else (None, None)
    west, south, east, north = box or parse_bounds(item.get("bbox"))
    datatake = parse_datatake_id(str(properties.get("s2:datatake_id")))
    return Product(
        id=id.removesuffix(".SAFE"),
        source=source,
        level=_level(item, properties, name),
        platform=_platform(properties, name, short_id),
        tile=_tile(properties, name, short_id),
        sensing_time=sensing_time,
        datatake=f"{name.datatake:{TIMESTAMP_FORMAT}}"
        if name
        else datatake or f"{sensing_time:{TIMESTAMP_FORMAT}}",
        west=west,
        south=south,
        east=east,
        north=north,
        cloud_cover=_cloud_cover(properties),
        relative_orbit=_positive_int(properties.get("sat:relative_orbit"), 143)
        or (name.relative_orbit if name else None),
        baseline=_baseline(properties, name),
        published=_parse_time(properties, "s2:generation_time", "published")
        or (name.discriminator if name else None),
        href=href,
        footprint=shape,
    )


# ---- properties


def _product_name(item: dict[str, Any], properties: dict[str, Any]) -> ProductName | None:
    for text in (
        properties.get("s2:product_uri"),
        properties.get("sentinel:product_id"),
        properties.get("s2:product_id"),
        item.get("id"),
    ):
        if isinstance(text, str):
            try:
                return ProductName.parse(text)
            except InvalidInputError:
                continue
    return None


def _level(item: dict[str, Any], properties: dict[str, Any], name: ProductName | None) -> Level:
    if name:
        return name.level
    stated = " ".join(
        str(properties.get(key, "")) for key in ("processing:level", "s2:product_type", "s2:processing_level")
    )
    for text in (stated, str(item.get("collection")), str(item.get("id"))):
        text = text.upper()
        if re.search(r"L2A|L2\b|MSI2A|LEVEL-?2", text):
            return "L2A"
        if re.search(r"L1C|L1\b|MSI1C|LEVEL-?1", text):
            return "L1C"
    raise PermanentError("the item states neither L1C nor L2A")


def _platform(properties: dict[str, Any], name: ProductName | None, short_id: tuple[str, str] | None) -> str:
    stated = re.fullmatch(r"(?:sentinel[- ]?|s)2([a-z])", str(properties.get("platform")).strip().lower())
    if stated:
        return "S2" + stated[1].upper()
    if name:
        return name.platform
    if short_id:
        return short_id[0]
    raise PermanentError(f"the platform {properties.get('platform')!r} is not a unit of Sentinel-2")


def _tile(properties: dict[str, Any], name: ProductName | None, short_id: tuple[str, str] | None) -> str:
    """The tile, from the product's name first: a grid:code of Earth Search v0 may be that of another tile."""
    if name:
        return name.tile
    pieces = [
        "".join(
            str(properties.get(f"{prefix}:{part}", ""))
            for part in ("utm_zone", "latitude_band", "grid_square")
        )
        for prefix in ("mgrs", "sentinel")
    ]
    for text in (
        properties.get("s2:mgrs_tile"),
        *pieces,
        properties.get("grid:code"),
        short_id and short_id[1],
    ):
        found = _TILE.fullmatch(str(text))
        if found and 1 <= int(found[1]) <= 60:
            return f"{int(found[1]):02d}{found[2]}"
    raise PermanentError("the item names no MGRS tile")


def _baseline(properties: dict[str, Any], name: ProductName | None) -> str | None:
    """Four digits. A number has lost its last zero: 5.1 is 05.10, and 5 is 05.00."""
    for key in ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version"):
        value = properties.get(key)
        # processing:version may be that of another program: "1.10" there is no baseline.
        is_own = key != "processing:version"
        if is_own and isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 100:
            value = f"{value:.2f}"
        digits = r"\d{1,2}" if is_own else r"\d{2}"
        found = re.fullmatch(rf"[NnVv]?({digits})\.?(\d{{2}})", str(value))
        if found:
            return f"{int(found[1]):02d}{found[2]}"
    return name.baseline if name else None


def item_facts(item: dict[str, Any]) -> ItemFacts:
    """What the radiometry of an item's files depends on."""
    properties = item.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    applied = properties.get("earthsearch:boa_offset_applied", properties.get("sentinel:boa_offset_applied"))
    try:
        sensed = _parse_time(properties, "datetime", "start_datetime")
    except PermanentError:
        sensed = None
    return ItemFacts(
        _baseline(properties, _product_name(item, properties)),
        sensed,
        {"true": True, "false": False}.get(str(applied).lower()),
    )


def _cloud_cover(properties: dict[str, Any]) -> float | None:
    value = properties.get("eo:cloud_cover")
    if (
        properties.get("sentinel:valid_cloud_cover") is False
        or isinstance(value, bool)
        or not isinstance(value, int | float)
    ):
        return None
    return float(value) if 0 <= value <= 100 else None


def _parse_time(properties: dict[str, Any], *keys: str) -> datetime | None:
    for key in keys:
        value = properties.get(key)
        if isinstance(value, str):
            try:
                return parse_instant(value)
            except (InvalidInputError, OverflowError):
                raise PermanentError(f"{key} is {value!r}, which is not a date or time") from None
    return None


def _positive_int(value: Any, maximum: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= maximum else None
