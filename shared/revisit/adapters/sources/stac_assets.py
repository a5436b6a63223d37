"""Parser of the assets of STAC items: band files with their scaling, and all files."""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from revisit.adapters.sources.radiometry import SILENT, Statement, radiometry_of
from revisit.adapters.sources.stac_item import item_facts
from revisit.domain.bands import BANDS, BandFile, BandFiles, SourceFile, band_name
from revisit.errors import InvalidInputError, PermanentError

_UNSAFE_NAME_CHARACTERS = re.compile(r"[^A-Za-z0-9._\-]|^\.+")
_SHA256_MULTIHASH = re.compile(r"1220[0-9a-f]{64}")
"""The form of file:checksum."""
_KEY_RESOLUTION = re.compile(r"_(\d{2})m$")


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
    facts = item_facts(item)
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


def _band(key: str, asset: Any) -> str | None:
    """The band of an asset: by the name of its only band, else by its key, else by its common name."""
    if not isinstance(asset, dict):
        return None
    described = _dicts(asset.get("bands")) or _dicts(asset.get("eo:bands"))
    if len(described) > 1:
        return None
    names = [band.get("name") for band in described]
    common = [band.get(name) for band in described for name in ("common_name", "eo:common_name")]
    for alias in (*names, _KEY_RESOLUTION.sub("", key), *common):
        try:
            return band_name(str(alias))
        except InvalidInputError:
            continue
    return None


def _driver(asset: dict[str, Any]) -> str | None:
    kind, path = str(asset.get("type", "")).lower(), str(asset.get("href", "")).lower().partition("?")[0]
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

    Raises:
        PermanentError: Two of these differ in scale or offset.
    """
    found: dict[str, Any] = {}
    for fields in (asset, *_dicts(asset.get("bands"))[:1], *_dicts(asset.get("raster:bands"))[:1]):
        for name, value in fields.items():
            key = name.removeprefix("raster:")
            if key not in ("scale", "offset", "nodata") or value is None:
                continue
            if key != "nodata" and found.get(key, value) != value:
                raise PermanentError(f"the item states {key}s of {found[key]!r} and {value!r} for one band")
            found[key] = value
    return found


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
