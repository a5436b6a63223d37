"""Parser of STAC items: products and band files, for folders and APIs alike.

Supports STAC 1.0 and 1.1 with the eo, raster, grid, mgrs and s2 extensions as Earth Search v0, v1 and c1,
Planetary Computer, CDSE and static catalogs write them.
"""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from revisit.adapters.sources.radiometry import SILENT, ItemFacts, Statement, radiometry_of
from revisit.adapters.sources.stated_footprint import parse_bounds, parse_footprint
from revisit.domain.bands import BANDS, BandFile, BandFiles, SourceFile, band_name
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
_UNSAFE_NAME_CHARACTERS = re.compile(r"[^A-Za-z0-9._\-]|^\.+")
_SHA256_MULTIHASH = re.compile(r"1220[0-9a-f]{64}")
"""The form of file:checksum."""
_KEY_RESOLUTION = re.compile(r"_(\d{2})m$")


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


def relative_image_hrefs(item: dict[str, Any]) -> list[str]:
    """Paths of an item's images that are next to it, relative to its folder."""
    assets = item.get("assets")
    hrefs = [asset.get("href") for asset in assets.values() if isinstance(asset, dict)] if assets else []
    return [
        href
        for href in hrefs
        if isinstance(href, str)
        and ":" not in href
        and not href.startswith(("/", "~", "\\"))
        and href.lower().endswith((".tif", ".tiff", ".jp2"))
    ]


def band_files(
    item: dict[str, Any],
    resolve: Callable[[str], str],
    read_tags: Callable[[str, str], Statement] | None = None,
    compare_tags: bool = False,
) -> BandFiles:
    """The band files of an item, and the reason for each band that is left out.

    Of several files of one band, the one in the native resolution is chosen, then a GeoTIFF. Scale and offset
    follow the rules of `radiometry`.

    Args:
        item: Decoded JSON.
        resolve: Returns the absolute local path or https URL of an href; raises PermanentError for one that
            must not be read.
        read_tags: Returns what a file (path or URL, band) states itself; None reads no file.
        compare_tags: Whether to read the tags also where the item states both scale and offset.
    """
    files: dict[str, tuple[tuple[int, int], BandFile]] = {}
    left_out: dict[str, str] = {}
    remark = ""
    properties = item.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    facts = _facts(item, properties)
    for key, asset in item["assets"].items():
        band = _band(key, asset)
        driver = _driver(asset) if band else None
        if not band or not driver:
            continue
        try:
            href = _resolve_asset(asset, resolve, driver)
            stated = _stated_scaling(asset)
            said, tags = Statement.parse(band, stated), SILENT
            if read_tags and driver == "GTiff" and (compare_tags or None in (said.scale, said.offset)):
                tags = read_tags(href, band)
            found = radiometry_of(band, said, tags, facts, href, driver)
            nodata = _stated_nodata(stated)
            if nodata is None and "nodata" in stated:
                remark = f"nodata of {band} is {stated['nodata']!r}, which is not a number that DN can have"
        except PermanentError as refusal:
            left_out.setdefault(band, str(refusal))
            continue
        rank = (abs(_resolution(key, asset, band) - BANDS[band].resolution_m), driver != "GTiff")
        if band not in files or rank < files[band][0]:
            files[band] = (
                rank,
                BandFile(
                    band,
                    href,
                    driver,
                    found.scale,
                    found.offset,
                    nodata or 0,
                    found.other_offset,
                    found.doubt,
                    nodata_stated=nodata is not None,
                ),
            )
    return BandFiles(
        {band: files[band][1] for band in BANDS if band in files},
        {band: reason for band, reason in left_out.items() if band not in files},
        remark,
    )


def require_bands(found: BandFiles, name: str) -> BandFiles:
    """The same band files; an item must have one that can be read.

    Args:
        found: As `band_files` returns it.
        name: Name of the item, for the message.

    Raises:
        PermanentError: There is none; the message states why each band is left out.
    """
    if not found:
        reasons = "; ".join(dict.fromkeys(found.left_out.values())) or "no asset is a band"
        raise PermanentError(f"no band of {name} can be read: {reasons}")
    return found


def files(item: dict[str, Any], resolve: Callable[[str], str]) -> list[SourceFile]:
    """The files of an item's assets, without those that must not be read.

    Args:
        item: Decoded JSON.
        resolve: As for `band_files`.
    """
    found: dict[str, SourceFile] = {}
    for key, asset in item["assets"].items():
        if not isinstance(asset, dict):
            continue
        try:
            href = resolve(str(asset.get("href")))
        except PermanentError:
            continue
        name = _UNSAFE_NAME_CHARACTERS.sub("_", href.rpartition("/")[2].partition("?")[0]) or "file"
        size, checksum = asset.get("file:size"), str(asset.get("file:checksum", ""))
        path = name if name not in found else f"{_UNSAFE_NAME_CHARACTERS.sub('_', str(key))}/{name}"
        found.setdefault(
            path,
            SourceFile(
                path,
                href,
                size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
                f"sha256:{checksum[4:]}" if _SHA256_MULTIHASH.fullmatch(checksum) else None,
                _band(key, asset),
            ),
        )
    return list(found.values())


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
    for key in ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version"):
        found = re.fullmatch(r"N?(\d{2})\.?(\d{2})", str(properties.get(key)))
        if found:
            return found[1] + found[2]
    return name.baseline if name else None


def _facts(item: dict[str, Any], properties: dict[str, Any]) -> ItemFacts:
    """What the radiometry of its files depends on."""
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


# ---- assets


def _band(key: str, asset: Any) -> str | None:
    """The band of an asset: by the name of its only band, else by its key."""
    if not isinstance(asset, dict):
        return None
    described = _dicts(asset.get("bands")) or _dicts(asset.get("eo:bands"))
    if len(described) > 1:
        return None
    for alias in (*(band.get("name") for band in described), _KEY_RESOLUTION.sub("", key)):
        try:
            return band_name(str(alias))
        except InvalidInputError:
            continue
    return None


def _driver(asset: dict[str, Any]) -> str | None:
    kind, path = str(asset.get("type", "")).lower(), str(asset.get("href", "")).lower()
    if path.endswith(".jp2") and not kind.startswith("image/tiff"):
        return "JP2OpenJPEG"
    if path.endswith((".tif", ".tiff")) and not kind.startswith("image/jp2"):
        return "GTiff"
    return None


def _resolve_asset(asset: dict[str, Any], resolve: Callable[[str], str], driver: str) -> str:
    """The path or URL of an asset; that of an alternate of the same kind where its href must not be read."""
    try:
        return resolve(str(asset.get("href")))
    except PermanentError:
        alternates = asset.get("alternate")
        for other in alternates.values() if isinstance(alternates, dict) else ():
            if isinstance(other, dict) and _driver({"href": other.get("href")}) == driver:
                with suppress(PermanentError):
                    return resolve(str(other.get("href")))
        raise


def _resolution(key: str, asset: dict[str, Any], band: str) -> int:
    found = _KEY_RESOLUTION.search(key) or re.search(r"_(\d{2})m\.\w+$", str(asset.get("href")))
    return int(found[1]) if found else BANDS[band].resolution_m


def _stated_scaling(asset: dict[str, Any]) -> dict[str, Any]:
    """Scale, offset and nodata that an asset states.

    They are in raster:bands, or in STAC 1.1 in `bands`, or on the asset itself for all of its bands.
    """
    found: dict[str, Any] = {}
    for fields in (asset, *_dicts(asset.get("bands"))[:1], *_dicts(asset.get("raster:bands"))[:1]):
        found |= {key.removeprefix("raster:"): value for key, value in fields.items()}
    return {key: found[key] for key in ("scale", "offset", "nodata") if found.get(key) is not None}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _stated_nodata(stated: dict[str, Any]) -> int | None:
    """The DN that an asset states for pixels without data.

    Returns:
        None where nothing is stated, or a value that no DN has: NaN, infinity, or a fraction.

    Raises:
        PermanentError: It is neither a number nor the text of one.
    """
    value = stated.get("nodata")
    try:
        number = math.nan if value is None else float(value)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, bool):
        raise PermanentError(f"nodata is {value!r}, which is not a number")
    return int(number) if number.is_integer() and abs(number) < 2**63 else None
