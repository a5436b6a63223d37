"""A .SAFE product by its own metadata: which tile, when, where its bands lie and what their numbers mean.

Band paths come from the IMAGE_FILE entries of MTD_MSIL*.xml, never from manifest.safe, which names L1C files in many L2A products
of 2018. Offsets come from RADIO_ADD_OFFSET or BOA_ADD_OFFSET of each band, absent means 0. Source: ESA, Sentinel-2 Products
Specification Document 14 (compact form) and 13 (form before 2016-12-06: many tiles in a package, IMAGE_ID without a path).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from revisit.bands import BANDS, SPECTRAL, BandFile
from revisit.clock import instant
from revisit.errors import BadInput, GiveUp, NotFound
from revisit.product import LEVELS, Level, OldProductName, Product, ProductName
from revisit.sources import strict_xml as xml
from revisit.sources.footprint import bounds_of_tile, footprint

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_METADATA = re.compile(r"MTD_MSIL(1C|2A)\.xml|S2[A-Z]_[A-Z]{4}_MTD_SAFL(1C|2A)_\S+\.xml")
_IMAGE = re.compile(r"_(B\d\d|B8A|SCL|AOT|WVP)(?:_(\d\d)m)?$")
_TILE = re.compile(r"_T(\d{2}[C-HJ-NP-X][A-HJ-NP-Z]{2})(?=_|$)")
_STAMP = "%Y%m%dT%H%M%S"

type Read = Callable[[str], bytes]
"""Reads a file by its path relative to the product; raises NotFound where there is none, Retry where nothing answers."""


def is_metadata(name: str) -> bool:
    """Whether a file of this name makes its folder a product."""
    return _METADATA.fullmatch(name) is not None


def bands_of(root: str, read: Read, tile: str = "") -> dict[str, BandFile]:
    """The band files of a product by band name, each in its native resolution or the next finest there is.

    Args:
        root: Absolute path or URL of the .SAFE folder, whose name is the product's.
        read: Reads its metadata.
        tile: Which tile of a package of the old form; may be empty for a compact one.

    Raises:
        GiveUp: The metadata cannot be understood, or names files outside the product.
        Retry: As `read` raises it.
    """
    metadata = _metadata(root, read)
    granule = metadata.granule(tile)
    files: dict[str, tuple[int, BandFile]] = {}
    for path in granule.images:
        found = _IMAGE.search(PurePosixPath(path).stem)
        if not found or found[1] not in BANDS:
            continue
        band = found[1]
        scale, offset = metadata.numbers(band)
        native = BANDS[band].resolution_m
        distance = abs(int(found[2] or native) - native)
        if band not in files or distance < files[band][0]:
            files[band] = (distance, BandFile(band, f"{root.rstrip('/')}/{path}", "JP2OpenJPEG", scale, offset, metadata.nodata))
    if not files:
        raise GiveUp(f"the metadata of {_last(root)} names no band file")
    return {band: files[band][1] for band in BANDS if band in files}


def product_of(root: str, read: Read, source: str, tile: str = "") -> Product:
    """One tile of a package as a product; see `bands_of`.

    Raises:
        GiveUp: The metadata cannot be understood.
        Retry: As `read` raises it.
    """
    metadata = _metadata(root, read)
    return _product(metadata, metadata.granule(tile), root, read, source)


def products_of(root: str, read: Read, source: str) -> list[Product]:
    """Every tile of a package as a product: one for the compact form, several for the old one."""
    metadata = _metadata(root, read)
    return [_product(metadata, granule, root, read, source) for granule in metadata.granules]


# --------------------------------------------------------------------------------------------------------------- metadata


@dataclass(frozen=True, slots=True)
class Granule:
    """One tile of a package."""

    tile: str
    folder: str
    """Relative to the product; empty where no image says it."""
    images: tuple[str, ...]
    """Paths relative to the product, with suffix."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What MTD_MSIL*.xml says of a product."""

    name: str
    level: Level
    granules: tuple[Granule, ...]
    quantification: float
    """DN of reflectance 1."""
    offsets: dict[str, float]
    """DN to add, by band."""
    layers: dict[str, float]
    """Quantification of AOT and WVP."""
    nodata: int
    root: "Element"

    def numbers(self, band: str) -> tuple[float, float]:
        """Scale and offset of a band: reflectance = DN * scale + offset."""
        if band in SPECTRAL:
            return 1 / self.quantification, self.offsets.get(band, 0.0) / self.quantification
        return (1.0, 0.0) if band == "SCL" else (1 / self.layers.get(band, 1000.0), 0.0)

    def granule(self, tile: str = "") -> Granule:
        """The one of a tile.

        Raises:
            GiveUp: The package has no such tile, or several and none is named.
        """
        found = [granule for granule in self.granules if not tile or granule.tile == tile]
        if len(found) != 1:
            raise GiveUp(f"{self.name} holds {len(self.granules)} tiles, {len(found)} of them {tile or 'of any name'}")
        return found[0]


def read_metadata(content: bytes, name: str) -> Metadata:
    """Understand the bytes of MTD_MSIL*.xml.

    Args:
        content: XML.
        name: The product's, for messages, and as its id where it is one.

    Raises:
        GiveUp: It is not the metadata of a Sentinel-2 product.
    """
    root = xml.parse(content, "MTD_MSIL*.xml")
    level = next((level for level in LEVELS if level[1:] in (xml.text(root, "PROCESSING_LEVEL") or root.tag)), None)
    if level is None:
        raise GiveUp(f"the metadata of {name} is neither of L1C nor of L2A")
    quantification = _positive(root, "BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE")
    if quantification is None:
        raise GiveUp(f"the metadata of {name} states no quantification value")
    layers = {band: _positive(root, f"{band}_QUANTIFICATION_VALUE", f"L2A_{band}_QUANTIFICATION_VALUE") for band in ("AOT", "WVP")}
    granules = tuple(_granule(element) for element in root.iter() if element.tag in ("Granule", "Granules"))
    if not granules:
        raise GiveUp(f"the metadata of {name} lists no granule")
    return Metadata(_id(name, root), level, granules, quantification, _offsets(root),
                    {band: value for band, value in layers.items() if value}, _nodata(root), root)  # fmt: skip


def _metadata(root: str, read: Read) -> Metadata:
    name = _last(root).removesuffix(".SAFE")
    candidates = [f"MTD_MSI{level}.xml" for level in sorted(LEVELS, key=lambda level: f"MSI{level}" not in name)]
    try:
        old = OldProductName.parse(name)
        candidates = [f"{name.replace('_PRD_MSI', '_MTD_SAF')}.xml", f"{name.replace(f'_PRD_MSI{old.level}', '_MTD_SAFL1C')}.xml"]
    except BadInput:
        pass
    for candidate in candidates:
        try:
            return read_metadata(read(candidate), name)
        except NotFound:
            continue
    raise NotFound(f"{name} holds no {' and no '.join(candidates)}")


def _id(name: str, root: "Element") -> str:
    for text in (name, xml.text(root, "PRODUCT_URI") or "", xml.text(root, "PRODUCT_URI_2A") or ""):
        for kind in (ProductName, OldProductName):
            try:
                return str(kind.parse(text))
            except BadInput:
                continue
    raise GiveUp(f"neither the folder's name {name!r} nor its PRODUCT_URI is a product's name")


def _granule(element: "Element") -> Granule:
    identifier = element.get("granuleIdentifier", "")
    images = tuple(_image(child.text or "", identifier) for child in element if child.tag.startswith(("IMAGE_FILE", "IMAGE_ID")))
    found = _TILE.search(identifier) or next(filter(None, map(_TILE.search, images)), None)
    if not found:
        raise GiveUp(f"granule {identifier!r} names no MGRS tile")
    folder = PurePosixPath(*PurePosixPath(images[0]).parts[:2]) if images else PurePosixPath("GRANULE", identifier)
    return Granule(found[1], str(folder), images)


def _image(text: str, granule: str) -> str:
    """Path of an image relative to the product: as stated, or by the old form's rule."""
    text = text.strip()
    if "/" not in text:
        resolution = re.search(r"_(\d\d)m$", text)
        text = "/".join(["GRANULE", granule, "IMG_DATA", *([f"R{resolution[1]}m"] if resolution else []), text])
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:%\x00-\x1f<>?#]", text) or path.parts[:1] != ("GRANULE",):
        raise GiveUp(f"the metadata names the image {text!r}, which lies outside the product")
    return str(path if path.suffix == ".jp2" else path.with_name(path.name + ".jp2"))


_ORDER = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Bands by their band_id."""


def _offsets(root: "Element") -> dict[str, float]:
    names = dict(enumerate(_ORDER))
    for element in root.iter("Spectral_Information"):
        physical = re.fullmatch(r"B(\d+)(A?)", element.get("physicalBand", ""))
        if physical and element.get("bandId", "").isdigit():
            names[int(element.get("bandId", ""))] = f"B{physical[1]}A" if physical[2] else f"B{int(physical[1]):02d}"
    offsets = {}
    for tag in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET"):
        for element in root.iter(tag):
            try:
                offsets[names[int(element.get("band_id", ""))]] = _finite(element.text)
            except (ValueError, KeyError):
                raise GiveUp(f"the {tag} of band_id {element.get('band_id')!r} is {element.text!r}, which is not understood") from None
    if offsets and len(offsets) < len(_ORDER):
        missing = [band for band in _ORDER if band not in offsets and band != "B10"]
        if missing:
            raise GiveUp(f"the metadata states the offset of {', '.join(sorted(offsets))}, but none of {', '.join(missing)}")
    return offsets


def _nodata(root: "Element") -> int:
    for values in root.iter("Special_Values"):
        index = xml.text(values, "SPECIAL_VALUE_INDEX") or ""
        if xml.text(values, "SPECIAL_VALUE_TEXT") == "NODATA" and index.isdigit():
            return int(index)
    return 0


def _positive(root: "Element", *tags: str) -> float | None:
    for tag in tags:
        if text := xml.text(root, tag):
            try:
                value = _finite(text)
            except ValueError:
                value = 0.0
            if value <= 0:
                raise GiveUp(f"{tag} is {text!r}, which is not a number above 0")
            return value
    return None


def _finite(text: str | None) -> float:
    value = float(text or "")
    if not math.isfinite(value):
        raise ValueError(text)
    return value


# ---------------------------------------------------------------------------------------------------------------- product


def _product(metadata: Metadata, granule: Granule, root: str, read: Read, source: str) -> Product:
    tile = _tile_metadata(granule, read)
    compact = None
    try:
        compact = ProductName.parse(metadata.name)
    except BadInput:
        old = OldProductName.parse(metadata.name)
    name: ProductName | OldProductName = compact or old
    start = compact.datatake if compact else _moment(metadata.root, "DATATAKE_SENSING_START") or old.start
    sensing_time = (_moment(tile, "SENSING_TIME") if tile is not None else None) or _moment(metadata.root, "PRODUCT_START_TIME") or start
    shape, box = _place(metadata.root, tile, single=len(metadata.granules) == 1)
    west, south, east, north = box
    return Product(
        id=metadata.name if compact else f"{metadata.name}_T{granule.tile}",
        source=source,
        level=metadata.level,
        platform=name.platform,
        tile=granule.tile,
        sensing_time=sensing_time,
        datatake=f"{start:{_STAMP}}",
        west=west, south=south, east=east, north=north,
        cloud_cover=_cloud_cover(metadata.root, tile),
        relative_orbit=name.relative_orbit,
        baseline=_baseline(metadata.root, compact),
        published=_moment(metadata.root, "GENERATION_TIME"),
        href=root,
        footprint=shape,
    )  # fmt: skip


def _tile_metadata(granule: Granule, read: Read) -> "Element | None":
    folder = PurePosixPath(granule.folder)
    old = re.sub(r"_N\d\d\.\d\d$", "", folder.name).replace("_MSI_", "_MTD_")
    for name in ("MTD_TL.xml", f"{old}.xml"):
        try:
            return xml.parse(read(f"{folder}/{name}"), name)
        except NotFound:
            continue
    return None


def _place(root: "Element", tile: "Element | None", single: bool) -> tuple[dict[str, Any] | None, tuple[float, float, float, float]]:
    """Footprint and bounds: of the package if it is one tile, else the tile's square."""
    positions = (xml.text(root, "EXT_POS_LIST") or "").split()
    if single and len(positions) >= 8:
        try:
            numbers = [float(text) for text in positions]
        except ValueError:
            raise GiveUp("EXT_POS_LIST is not a list of numbers") from None
        step = 2 if len(numbers) % 2 == 0 and numbers[0:2] == numbers[-2:] else 3
        ring = [[numbers[i + 1], numbers[i]] for i in range(0, len(numbers) - step + 1, step)]
        return footprint({"type": "Polygon", "coordinates": [ring if ring[0] == ring[-1] else [*ring, ring[0]]]})
    if tile is None:
        raise GiveUp("the metadata states no footprint and the tile's own is missing")
    position = next((p for p in tile.iter("Geoposition") if p.get("resolution") == "10"), None)
    code = re.fullmatch(r"EPSG:(\d+)", xml.text(tile, "HORIZONTAL_CS_CODE") or "")
    if position is None or not code:
        raise GiveUp("the tile's metadata states no place")
    corner = [xml.text(position, tag) or "" for tag in ("ULX", "ULY")]
    try:
        return None, bounds_of_tile(int(code[1]), float(corner[0]), float(corner[1]))
    except ValueError:
        raise GiveUp(f"the tile's corner {corner} is not understood") from None


def _cloud_cover(root: "Element", tile: "Element | None") -> float | None:
    texts = [xml.text(tile, "CLOUDY_PIXEL_PERCENTAGE") if tile is not None else None, xml.text(root, "Cloud_Coverage_Assessment")]
    for text in filter(None, texts):
        try:
            value = _finite(text)
        except ValueError:
            continue
        if 0 <= value <= 100:
            return value
    return None


def _baseline(root: "Element", name: ProductName | None) -> str | None:
    found = re.fullmatch(r"(\d\d)\.(\d\d)", xml.text(root, "PROCESSING_BASELINE") or "")
    return name.baseline if name else found[1] + found[2] if found else None


def _moment(root: "Element", tag: str) -> datetime | None:
    text = xml.text(root, tag)
    try:
        return instant(text) if text else None
    except BadInput:
        raise GiveUp(f"{tag} is {text!r}, which is not an instant") from None


def _last(root: str) -> str:
    return root.rstrip("/").rsplit("/", 1)[-1]
