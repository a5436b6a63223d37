"""Products as STAC 1.1 Items.

Properties of our own:

    revisit:acquisition   id of the acquisition, shared by its levels and reprocessings
    revisit:source        SPEC of the source that lists the product
    revisit:sources       SPECs of all sources that list it, that one first
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from revisit.domain.bands import BANDS, SPECTRAL_BANDS, BandFile
from revisit.domain.clock import format_rfc3339
from revisit.domain.product import Level, Product
from revisit.errors import InvalidInputError
from revisit.geo.bounds import split_box
from revisit.geo.mgrs_tile import Tile
from revisit.stac.result_item import EXTENSIONS

COLLECTIONS: dict[Level, str] = {"L2A": "sentinel-2-l2a", "L1C": "sentinel-2-l1c"}
"""Collection of the products of each level."""

MISSION = "sentinel-2"

_PRODUCT_EXTENSIONS = {
    "s2:": "https://stac-extensions.github.io/sentinel-2/v1.0.0/schema.json",
    "published": "https://stac-extensions.github.io/timestamps/v1.1.0/schema.json",
    "alternate": "https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json",
}
_BUCKETS = {
    "https://storage.googleapis.com/gcp-public-data-sentinel-2/": ("gs", "gs://gcp-public-data-sentinel-2/"),
    "https://sentinel-cogs.s3.us-west-2.amazonaws.com/": ("s3", "s3://sentinel-cogs/"),
    "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/": (
        "s3",
        "s3://e84-earth-search-sentinel-data/",
    ),
    "https://eodata.dataspace.copernicus.eu/eodata/": ("s3", "s3://eodata/"),
}
"""URL of a bucket -> name and URL for the bucket's own clients."""
_MEDIA_TYPES = {
    "JP2OpenJPEG": "image/jp2",
    "GTiff": "image/tiff; application=geotiff; profile=cloud-optimized",
}


def build_product_item(
    product: Product,
    links: Iterable[Mapping[str, Any]] = (),
    assets: Mapping[str, Mapping[str, Any]] | None = None,
    sources: Sequence[str] = (),
) -> dict[str, Any]:
    """A product as a STAC 1.1 Item.

    Args:
        links: self, root, parent and collection of the API that shows it.
        assets: Its known assets.
        sources: SPECs of all its sources; left out where they were not looked up.
    """
    properties, assets = product_properties(product), assets or {}
    if sources:
        properties["revisit:sources"] = list(sources)
    kinds = EXTENSIONS | _PRODUCT_EXTENSIONS
    named = set(properties).union(*assets.values())
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            schema for prefix, schema in kinds.items() if any(name.startswith(prefix) for name in named)
        ],
        "id": product.id,
        "collection": COLLECTIONS[product.level],
        "geometry": product_geometry(product),
        "bbox": [product.west, product.south, product.east, product.north],
        "properties": properties,
        "links": [*links],
        "assets": dict(assets),
    }


def product_properties(product: Product) -> dict[str, Any]:
    """Properties of a product's Item; unknown ones are omitted."""
    tile, code = product.tile, _epsg(product.tile)
    found: dict[str, Any] = {
        "datetime": format_rfc3339(product.sensing_time),
        "title": f"{tile} on {product.sensing_time:%Y-%m-%d}, {product.level}",
        "published": format_rfc3339(product.published) if product.published else None,
        "platform": stac_platform(product),
        "constellation": MISSION,
        "mission": MISSION,
        "instruments": ["msi"],
        "gsd": 10,
        "eo:cloud_cover": product.cloud_cover,
        "sat:relative_orbit": product.relative_orbit,
        "grid:code": f"MGRS-{tile}",
        "proj:code": f"EPSG:{code}" if code else None,
        "processing:level": "L2" if product.level == "L2A" else "L1",
        "s2:mgrs_tile": tile,
        "s2:product_type": f"S2MSI{product.level[1:]}",
        "s2:processing_baseline": stac_baseline(product),
        "s2:product_uri": f"{product.id}.SAFE"
        if "_MSI" in product.id and "_PRD_" not in product.id
        else None,
        "revisit:acquisition": product.acquisition,
        "revisit:source": product.source,
    }
    return {name: value for name, value in found.items() if value is not None}


def stac_platform(product: Product) -> str:
    """Platform as in STAC: sentinel-2a."""
    return product.platform.lower().replace("s2", "sentinel-2", 1)


def stac_baseline(product: Product) -> str | None:
    """Processing baseline as in STAC: 05.11."""
    text = product.baseline
    return f"{text[:2]}.{text[2:]}" if text and len(text) == 4 else text


def product_geometry(product: Product) -> dict[str, Any]:
    """Footprint as stated by the source, else the bounds, in two parts where they cross the antimeridian."""
    if product.footprint is not None:
        return product.footprint
    west, south, east, north = product.west, product.south, product.east, product.north
    rings = [
        [[[left, south], [right, south], [right, north], [left, north], [left, south]]]
        for left, _, right, _ in split_box((west, south, east, north))
    ]
    return (
        {"type": "Polygon", "coordinates": rings[0]}
        if len(rings) == 1
        else {"type": "MultiPolygon", "coordinates": rings}
    )


def band_assets(product: Product, files: Mapping[str, BandFile]) -> dict[str, dict[str, Any]]:
    """Band files of a product as assets, by band."""
    return {band: _band_asset(product, file) for band, file in files.items()}


def alternate_fields(href: str) -> dict[str, Any]:
    """Alternate URL of a file for the bucket's own clients; empty for an unknown bucket."""
    for address, (name, bucket) in _BUCKETS.items():
        if href.startswith(address):
            return {"alternate": {name: {"href": bucket + href.removeprefix(address)}}}
    return {}


def _band_asset(product: Product, file: BandFile) -> dict[str, Any]:
    known = BANDS[file.band]
    about: dict[str, Any] = {"name": file.band}
    if file.band in SPECTRAL_BANDS:
        about |= {
            "eo:common_name": known.common_name,
            "eo:center_wavelength": round((known.wavelength_nm or 0) / 1000, 4),
        }
    return {
        "href": file.href,
        "type": _MEDIA_TYPES[file.driver],
        "title": file.band,
        "roles": ["data", "reflectance"] if file.band in SPECTRAL_BANDS else ["data"],
        "gsd": known.resolution_m,
        "bands": [about],
        "raster:bands": [
            {
                "nodata": file.nodata,
                "spatial_resolution": known.resolution_m,
                "scale": file.scale,
                "offset": file.offset,
            }
        ],
        **_grid_fields(product.tile, known.resolution_m),
        **alternate_fields(file.href),
    }


@lru_cache(maxsize=16_384)
def _grid_fields(tile: str, resolution: int) -> Mapping[str, Any]:
    """Grid of a tile as asset fields; cached because a page repeats it for hundreds of bands."""
    code = _epsg(tile)
    if not code:
        return {}
    west, _, east, north = Tile.parse(tile).bounds_utm
    side = (east - west) // resolution
    return {
        "proj:code": f"EPSG:{code}",
        "proj:shape": [side, side],
        "proj:transform": [resolution, 0, west, 0, -resolution, north],
    }


@lru_cache(maxsize=65_536)
def _epsg(tile: str) -> int | None:
    try:
        return Tile.parse(tile).epsg
    except InvalidInputError:
        return None
