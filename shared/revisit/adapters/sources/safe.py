"""Reads a SAFE product by its metadata: tile, time, band files and their radiometry.

Band paths come from the IMAGE_FILE entries of MTD_MSIL*.xml, never from manifest.safe, which names L1C files
in many L2A products of 2018.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from revisit.adapters.sources import strict_xml as xml
from revisit.adapters.sources.safe_metadata import (
    DRIVERS,
    Granule,
    Metadata,
    ReadFile,
    last_segment,
    load_metadata,
    parse_finite,
    parse_image_name,
)
from revisit.adapters.sources.stated_footprint import parse_footprint, tile_bounds
from revisit.domain.bands import BANDS, BandFile, BandFiles
from revisit.domain.clock import parse_instant
from revisit.domain.product import Product
from revisit.domain.product_name import (
    OLD_MARK,
    TIMESTAMP_FORMAT,
    OldProductName,
    ProductName,
    old_product_id,
    parse_name,
)
from revisit.errors import InvalidInputError, NotFoundError, PermanentError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_METADATA = re.compile(r"MTD_MSIL(1C|2[Aa])\.xml|S2[A-Z]_[A-Z]{4}_MTD_SAFL(1C|2A)_\S+\.xml")
CLOSED_DEG = 1e-6
"""Degrees between the first and the last position of a ring that counts as closed: 0.1 m, for rounding."""
MAX_TILE_HEIGHT_DEG = 3.0
"""Degrees of latitude that the footprint of one tile spans at most: 1 degree, and a margin."""


def is_metadata(name: str) -> bool:
    """Whether a file of this name is the main metadata file of a product."""
    return _METADATA.fullmatch(name) is not None


def bands_of(
    root: str,
    read: ReadFile,
    tile: str = "",
    number: int = 1,
    exists: Callable[[str], bool] | None = None,
) -> BandFiles:
    """The band files of a product by band name, each in the resolution closest to the native one.

    Args:
        root: Absolute path or URL of the .SAFE folder, which is named like the product.
        read: Reads its metadata files.
        tile: Tile of a package with an old name; may be empty for a compact one.
        number: Number of the granule among those of the tile (`product_name.granule_number`).
        exists: Whether the product has a file of this relative path, where that is cheap to tell. Old
            packages state no folders, and some have images beside the folders of the resolutions.

    Raises:
        PermanentError: The metadata is invalid, or names files outside the product.
        TransientError: As `read` raises it.
    """
    metadata = load_metadata(root, read)
    granule = metadata.granule(tile, number)
    files: dict[str, tuple[int, BandFile]] = {}
    for path in granule.images:
        found = parse_image_name(PurePosixPath(path).stem)
        if not found or found[0] not in BANDS:
            continue
        (band, resolution_m), driver = found, DRIVERS[PurePosixPath(path).suffix]
        scale, offset = metadata.scale_and_offset(band)
        native = BANDS[band].resolution_m
        distance = abs((resolution_m or native) - native)
        if exists and not exists(path):
            path = _beside_resolution_folder(path)
        if band not in files or distance < files[band][0]:
            files[band] = (
                distance,
                BandFile(
                    band,
                    f"{root.rstrip('/')}/{path}",
                    driver,
                    scale,
                    offset,
                    metadata.nodata or 0,
                    nodata_stated=metadata.nodata is not None,
                    saturated=metadata.saturated,
                ),
            )
    if not files:
        raise PermanentError(f"the metadata of {last_segment(root)} names no band file")
    return BandFiles({band: files[band][1] for band in BANDS if band in files})


def image_paths(
    root: str, read: ReadFile, tile: str = "", exists: Callable[[str], bool] | None = None
) -> tuple[str, ...]:
    """Paths of all images that the metadata of a package names for a tile, relative to its folder, in each
    of the tile's granules; see `bands_of`."""
    granules = load_metadata(root, read).granules
    images = (path for granule in granules if tile in ("", granule.tile) for path in granule.images)
    return tuple(
        path if exists is None or exists(path) else _beside_resolution_folder(path) for path in images
    )


def _beside_resolution_folder(path: str) -> str:
    """The path of an image in IMG_DATA itself instead of in R10m, R20m or R60m."""
    return re.sub(r"/IMG_DATA/R\d\dm/(?=[^/]+$)", "/IMG_DATA/", path)


def product_of(root: str, read: ReadFile, source: str, tile: str = "") -> Product:
    """One tile of a package as a product.

    Args:
        root: As for `bands_of`.
        read: As for `bands_of`.
        source: SPEC of the source.
        tile: As for `bands_of`.

    Raises:
        PermanentError: The metadata is invalid.
        TransientError: As `read` raises it.
    """
    metadata = load_metadata(root, read)
    return _build_product(metadata, metadata.granule(tile), root, read, source)


def products_of(root: str, read: ReadFile, source: str) -> list[Product]:
    """Every granule of a package as a product: one for a compact name, several for an old one."""
    metadata = load_metadata(root, read)
    return [
        _build_product(metadata, granule, root, read, source)
        for granule in metadata.granules
        if granule.number == 1 or OLD_MARK in metadata.name
    ]


def _build_product(metadata: Metadata, granule: Granule, root: str, read: ReadFile, source: str) -> Product:
    tile = _read_tile_metadata(granule, read)
    name = parse_name(metadata.name)
    compact = name if isinstance(name, ProductName) else None
    start = (
        _parse_time(metadata.root, "DATATAKE_SENSING_START") or name.start
        if isinstance(name, OldProductName)
        else name.datatake
    )
    sensing_time = (
        (_parse_time(tile, "SENSING_TIME") if tile is not None else None)
        or _parse_time(metadata.root, "PRODUCT_START_TIME")
        or start
    )
    shape, box = _footprint_and_bounds(metadata.root, tile, single_tile=len(metadata.granules) == 1)
    west, south, east, north = box
    return Product(
        id=metadata.name if compact else old_product_id(metadata.name, granule.tile, granule.number),
        source=source,
        level=metadata.level,
        platform=name.platform,
        tile=granule.tile,
        sensing_time=sensing_time,
        datatake=f"{start:{TIMESTAMP_FORMAT}}",
        west=west,
        south=south,
        east=east,
        north=north,
        cloud_cover=_cloud_cover(metadata.root, tile),
        relative_orbit=name.relative_orbit,
        baseline=_baseline(metadata.root, compact),
        published=_parse_time(metadata.root, "GENERATION_TIME"),
        href=root,
        footprint=shape,
    )


def _read_tile_metadata(granule: Granule, read: ReadFile) -> "Element | None":
    folder = PurePosixPath(granule.folder)
    old = re.sub(r"_N\d\d\.\d\d$", "", folder.name).replace("_MSI_", "_MTD_")
    for name in ("MTD_TL.xml", f"{old}.xml"):
        try:
            return xml.parse(read(f"{folder}/{name}"), name)
        except NotFoundError:
            continue
    return None


def _footprint_and_bounds(
    root: "Element", tile: "Element | None", single_tile: bool
) -> tuple[dict[str, Any] | None, tuple[float, float, float, float]]:
    """Footprint and bounds of a package of one tile; else the bounds of the tile's square."""
    positions = re.split(r"[\s,]+", (xml.find_text(root, "EXT_POS_LIST") or "").strip())
    if single_tile and len(positions) >= 8:
        try:
            return parse_footprint({"type": "Polygon", "coordinates": [_parse_ring(positions)]})
        except PermanentError:
            if tile is None:
                raise
    if tile is None:
        raise PermanentError("the metadata states no footprint, and the metadata of the tile is missing")
    position = next((p for p in tile.iter("Geoposition") if p.get("resolution") == "10"), None)
    code = re.fullmatch(r"EPSG:(\d+)", xml.find_text(tile, "HORIZONTAL_CS_CODE") or "")
    if position is None or not code:
        raise PermanentError("the metadata of the tile states no position")
    corner = [xml.find_text(position, tag) or "" for tag in ("ULX", "ULY")]
    try:
        return None, tile_bounds(int(code[1]), float(corner[0]), float(corner[1]))
    except ValueError:
        raise PermanentError(f"the tile's corner {corner} is not a position in metres") from None


def _parse_ring(positions: list[str]) -> list[list[float]]:
    """Positions in lon/lat from "lat lon lat lon ..." or "lat lon height ...".

    The ring ends where it first closes; some lists continue after that. Heights read as latitudes may close
    too, but not within the height of a tile.
    """
    try:
        numbers = [float(text) for text in positions]
    except ValueError:
        raise PermanentError("EXT_POS_LIST is not a list of numbers") from None
    for step in (2, 3):
        ring = [[numbers[i + 1], numbers[i]] for i in range(0, len(numbers) - 1, step)]
        closed = next((i for i in range(3, len(ring)) if math.dist(ring[i], ring[0]) <= CLOSED_DEG), None)
        latitudes = [lat for _, lat in ring[:closed]]
        if (
            closed
            and all(abs(lon) <= 180 and abs(lat) <= 90 for lon, lat in ring[:closed])
            and max(latitudes) - min(latitudes) <= MAX_TILE_HEIGHT_DEG
        ):
            return [*ring[:closed], ring[0]]
    raise PermanentError("EXT_POS_LIST is not a closed ring of latitudes and longitudes")


def _cloud_cover(root: "Element", tile: "Element | None") -> float | None:
    texts = [
        xml.find_text(tile, "CLOUDY_PIXEL_PERCENTAGE") if tile is not None else None,
        xml.find_text(root, "Cloud_Coverage_Assessment"),
    ]
    for text in filter(None, texts):
        try:
            value = parse_finite(text)
        except ValueError:
            continue
        if 0 <= value <= 100:
            return value
    return None


def _baseline(root: "Element", name: ProductName | None) -> str | None:
    found = re.fullmatch(r"(\d\d)\.(\d\d)", xml.find_text(root, "PROCESSING_BASELINE") or "")
    return name.baseline if name else found[1] + found[2] if found else None


def _parse_time(root: "Element", tag: str) -> datetime | None:
    text = xml.find_text(root, tag)
    try:
        return parse_instant(text) if text else None
    except (InvalidInputError, OverflowError):
        raise PermanentError(f"{tag} is {text!r}, which is not an instant") from None
