"""Parser of MTD_MSIL*.xml, the metadata of a SAFE product: tiles, images and radiometry.

Offsets come from RADIO_ADD_OFFSET or BOA_ADD_OFFSET of each band; absent means 0. Source: ESA, Sentinel-2
Products Specification Document 14 (compact form) and 13 (before 2016-12-06: many tiles in a package, IMAGE_ID
without a path).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from revisit.adapters.sources import strict_xml as xml
from revisit.domain.bands import SPECTRAL_BANDS
from revisit.domain.product import LEVELS, Level
from revisit.domain.product_name import TILE_PATTERN, OldProductName, parse_name
from revisit.errors import InvalidInputError, NotFoundError, PermanentError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DRIVERS = {".jp2": "JP2OpenJPEG", ".tif": "GTiff"}
"""GDAL drivers by the suffix of an image."""

_IMAGE_END = re.compile(r"_(B[0-9]{2}|B8A|SCL|AOT|WVP)(?:_([0-9]{2})m)?")
_OLD_LAYER = re.compile(r"S2[A-Z]_[A-Z0-9]{4}_(SCL|AOT|WVP)_L2A_TL_\S+?(?:_([0-9]{2})m)?")
"""A layer of Sen2Cor 2.0 to 2.3, named where the images of bands have MSI:
S2A_USER_SCL_L2A_TL_SGS__20160615T152456_A005124_T31TCJ_20m."""
_TILE = re.compile(rf"_T({TILE_PATTERN})(?=_|$)")

type ReadFile = Callable[[str], bytes]
"""Reads a file by its path relative to the product; raises NotFoundError for a missing file, TransientError
without a response."""


@dataclass(frozen=True, slots=True)
class Granule:
    """One tile of a package."""

    tile: str
    folder: str
    """Relative to the product."""
    images: tuple[str, ...]
    """Paths relative to the product, with suffix."""
    number: int = 1
    """Number among the granules of the tile: old packages hold a tile twice that two datastrips complete."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Content of MTD_MSIL*.xml."""

    name: str
    level: Level
    granules: tuple[Granule, ...]
    quantification: float
    """DN of reflectance 1."""
    offsets: dict[str, float]
    """DN to add, by band."""
    layer_quantifications: dict[str, float]
    """Quantification of AOT and WVP."""
    nodata: int | None
    """DN of pixels without data; None if it is not stated."""
    saturated: int
    """DN of saturated pixels; 65535, as in every product, if it is not stated."""
    root: "Element"

    def scale_and_offset(self, band: str) -> tuple[float, float]:
        """Scale and offset of a band: reflectance = DN * scale + offset."""
        if band in SPECTRAL_BANDS:
            return 1 / self.quantification, self.offsets.get(band, 0.0) / self.quantification
        return (1.0, 0.0) if band == "SCL" else (1 / self.layer_quantifications.get(band, 1000.0), 0.0)

    def granule(self, tile: str = "", number: int = 1) -> Granule:
        """The granule of a tile with a number among those of that tile, or the only one of the tile.

        Raises:
            PermanentError: The package has no such granule, or several and none is named.
        """
        found = [granule for granule in self.granules if not tile or granule.tile == tile]
        if tile and len(found) > 1:
            found = [granule for granule in found if granule.number == number]
        if len(found) != 1:
            raise PermanentError(
                f"{self.name} holds {len(self.granules)} tiles, {len(found)} of them {tile or 'of any name'}"
            )
        return found[0]


def parse_image_name(stem: str) -> tuple[str, int | None] | None:
    """The band or layer and the resolution in metres that an image's name states; None if it names none.

    Args:
        stem: The name without its suffix.
    """
    at_end = re.search(rf"{_IMAGE_END.pattern}$", stem)
    found = at_end or _OLD_LAYER.fullmatch(stem)
    return (found[1], int(found[2]) if found[2] else None) if found else None


def parse_metadata(content: bytes, name: str) -> Metadata:
    """Parse MTD_MSIL*.xml.

    Args:
        content: XML.
        name: Name of the product's folder, for messages, and as its id where it is a product name.

    Raises:
        PermanentError: It is not the metadata of a Sentinel-2 product.
    """
    root = xml.parse(content, "MTD_MSIL*.xml")
    level = next(
        (level for level in LEVELS if level[1:] in (xml.find_text(root, "PROCESSING_LEVEL") or root.tag)),
        None,
    )
    if level is None:
        raise PermanentError(f"the metadata of {name} states neither L1C nor L2A")
    quantification = _parse_positive(
        root, "BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE"
    )
    if quantification is None:
        raise PermanentError(f"the metadata of {name} states no quantification value")
    layers = {
        band: _parse_positive(root, f"{band}_QUANTIFICATION_VALUE", f"L2A_{band}_QUANTIFICATION_VALUE")
        for band in ("AOT", "WVP")
    }
    granules = _merge_granules(
        _parse_granule(element) for element in root.iter() if element.tag in ("Granule", "Granules")
    )
    if not granules:
        raise PermanentError(f"the metadata of {name} lists no granule")
    return Metadata(
        _product_id(name, root),
        level,
        granules,
        quantification,
        _parse_offsets(root),
        {band: value for band, value in layers.items() if value},
        _parse_special_value(root, "NODATA"),
        _parse_special_value(root, "SATURATED") or 65535,
        root,
    )


def load_metadata(root: str, read: ReadFile) -> Metadata:
    """Find and parse the main metadata file of a product.

    Args:
        root: Path or URL of the product's folder.
        read: Reads its files.

    Raises:
        NotFoundError: The folder has no such file.
        PermanentError: The file is invalid.
    """
    name = last_segment(root).removesuffix(".SAFE")
    candidates = [
        f"MTD_MSI{level}.xml" for level in sorted(LEVELS, key=lambda level: f"MSI{level}" not in name)
    ]
    candidates.append("MTD_MSIL2a.xml")
    try:
        old = OldProductName.parse(name)
        candidates = [
            f"{name.replace('_PRD_MSI', '_MTD_SAF')}.xml",
            f"{name.replace(f'_PRD_MSI{old.level}', '_MTD_SAFL1C')}.xml",
        ]
    except InvalidInputError:
        pass
    for candidate in candidates:
        try:
            return parse_metadata(read(candidate), name)
        except NotFoundError:
            continue
    raise NotFoundError(f"{name} holds no {' and no '.join(candidates)}")


def _product_id(name: str, root: "Element") -> str:
    for text in (name, xml.find_text(root, "PRODUCT_URI") or "", xml.find_text(root, "PRODUCT_URI_2A") or ""):
        try:
            return str(parse_name(text))
        except InvalidInputError:
            continue
    raise PermanentError(f"neither the folder's name {name!r} nor its PRODUCT_URI is a product's name")


def _merge_granules(granules: Iterable[Granule]) -> tuple[Granule, ...]:
    """One entry per granule: early L2A products list it once for every resolution."""
    merged: dict[tuple[str, str], Granule] = {}
    count = Counter[str]()
    for granule in granules:
        key = granule.tile, granule.folder
        if known := merged.get(key):
            merged[key] = replace(known, images=known.images + granule.images)
        else:
            count[granule.tile] += 1
            merged[key] = replace(granule, number=count[granule.tile])
    return tuple(merged.values())


def _parse_granule(element: "Element") -> Granule:
    identifier = element.get("granuleIdentifier", "")
    suffix = ".tif" if element.get("imageFormat", "").lower() in ("geotiff", "tiff") else ".jp2"
    images = tuple(
        _image_path(child.text or "", identifier, suffix)
        for child in element
        if child.tag.startswith(("IMAGE_FILE", "IMAGE_ID"))
    )
    found = _TILE.search(identifier) or next(filter(None, map(_TILE.search, images)), None)
    if not found:
        raise PermanentError(f"granule {identifier!r} names no MGRS tile")
    folder = (
        PurePosixPath(*PurePosixPath(images[0]).parts[:2]) if images else PurePosixPath("GRANULE", identifier)
    )
    return Granule(found[1], str(folder), images)


def _image_path(text: str, granule: str, suffix: str) -> str:
    """Path of an image relative to the product: as stated, or by the rule of old packages."""
    text = text.strip()
    if "/" not in text:
        resolution = re.search(r"_(\d\d)m$", text)
        text = "/".join(
            ["GRANULE", granule, "IMG_DATA", *([f"R{resolution[1]}m"] if resolution else []), text]
        )
    path = PurePosixPath(text)
    if (
        path.is_absolute()
        or ".." in path.parts
        or re.search(r"[\\:%\x00-\x1f<>?#]", text)
        or path.parts[:1] != ("GRANULE",)
    ):
        raise PermanentError(f"the metadata names the image {text!r}, which is outside the product")
    return str(path if path.suffix in DRIVERS else path.with_name(path.name + suffix))


_BANDS_BY_ID = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Bands by their band_id."""


def _parse_offsets(root: "Element") -> dict[str, float]:
    names = dict(enumerate(_BANDS_BY_ID))
    for element in root.iter("Spectral_Information"):
        physical = re.fullmatch(r"B(\d+)(A?)", element.get("physicalBand", ""))
        if physical and re.fullmatch(r"\d{1,2}", element.get("bandId", "")):
            names[int(element.get("bandId", ""))] = (
                f"B{physical[1]}A" if physical[2] else f"B{int(physical[1]):02d}"
            )
    offsets = {}
    for tag in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET"):
        for element in root.iter(tag):
            try:
                offsets[names[int(element.get("band_id", ""))]] = parse_finite(element.text)
            except (ValueError, KeyError):
                raise PermanentError(
                    f"the {tag} of band_id {element.get('band_id')!r} is {element.text!r}, "
                    "which is not a number of a known band"
                ) from None
    if offsets and len(offsets) < len(_BANDS_BY_ID):
        missing = [band for band in _BANDS_BY_ID if band not in offsets and band != "B10"]
        if missing:
            raise PermanentError(
                f"the metadata states offsets of {', '.join(sorted(offsets))}, "
                f"but none of {', '.join(missing)}"
            )
    return offsets


def _parse_special_value(root: "Element", text: str) -> int | None:
    """The DN of a special value, such as NODATA; None if it is not stated or no DN."""
    for values in root.iter("Special_Values"):
        index = xml.find_text(values, "SPECIAL_VALUE_INDEX") or ""
        if xml.find_text(values, "SPECIAL_VALUE_TEXT") == text and re.fullmatch(r"\d{1,5}", index):
            return int(index)
    return None


def _parse_positive(root: "Element", *tags: str) -> float | None:
    for tag in tags:
        if text := xml.find_text(root, tag):
            try:
                value = parse_finite(text)
            except ValueError:
                value = 0.0
            if value <= 0:
                raise PermanentError(f"{tag} is {text!r}, which is not a number above 0")
            return value
    return None


def parse_finite(text: str | None) -> float:
    value = float(text or "")
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def last_segment(root: str) -> str:
    """The last segment of a path or URL."""
    return root.rstrip("/").rsplit("/", 1)[-1]
