"""Real and minimal STAC items, and what the parser makes of them."""

import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any

from data import shared_data
from revisit.adapters.sources import stac_assets, stac_item
from revisit.adapters.sources.allowed_hosts import require_allowed_url
from revisit.domain.bands import BandFile
from revisit.domain.product import Product

SOURCE = "stac:https://example.org#c"


def items(name: str) -> list[dict[str, Any]]:
    path = shared_data("stac", name)
    read = json.loads(gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_text())
    if "response" in read:
        body = read["response"].get("body", read["response"])
        read = json.loads(body) if isinstance(body, str) else body
    return read.get("features", [read])


def product(item: dict[str, Any]) -> Product:
    return stac_item.product_of(item, SOURCE, "https://example.org/item")


def bands(item: dict[str, Any]) -> Mapping[str, BandFile]:
    return stac_assets.band_files(item, require_allowed_url).files


def band_files(
    item: dict[str, Any], resolve: Callable[[str], str]
) -> tuple[Mapping[str, BandFile], Mapping[str, str]]:
    found = stac_assets.band_files(item, resolve)
    return found.files, found.left_out


def minimal(**properties: Any) -> dict[str, Any]:
    square = [[[4.0, 51.0], [5.0, 51.0], [5.0, 52.0], [4.0, 52.0], [4.0, 51.0]]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "local",
        "collection": "sentinel-2-l2a",
        "bbox": [4, 51, 5, 52],
        "geometry": {"type": "Polygon", "coordinates": square},
        "links": [],
        "properties": {
            "datetime": "2024-06-01T10:30:00Z",
            "platform": "sentinel-2b",
            "grid:code": "MGRS-31UES",
        }
        | properties,
        "assets": {
            "red": {
                "href": "https://sentinel-cogs.s3.us-west-2.amazonaws.com/x/B04.tif",
                "type": "image/tiff",
            }
        },
    }
