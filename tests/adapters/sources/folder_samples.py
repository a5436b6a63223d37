"""A folder of items, and one listing of it."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from product_tables import to_products
from revisit.adapters.sources import open_source
from revisit.adapters.sources.folder import Folder
from revisit.domain.product import Product
from revisit.ports.catalog_schema import SCHEMA
from revisit.ports.sources import Listing

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def all_unseen(ids: Sequence[str]) -> Any:
    return np.ones(len(ids), dtype=bool)


def none_unseen(ids: Sequence[str]) -> Any:
    return np.zeros(len(ids), dtype=bool)


def unseen_but(*known: str) -> Callable[[Sequence[str]], Any]:
    return lambda ids: np.array([id not in known for id in ids])


def read(
    source: Folder, state: dict[str, Any] | None = None, unseen: Callable[[Any], Any] = all_unseen
) -> tuple[list[Product], Listing]:
    listing = source.list_products(json.loads(json.dumps(state or {})), unseen, NOW)
    tables = list(listing.batches)
    assert all(table.schema == SCHEMA and table.num_rows <= 10_000 for table in tables)
    return [product for table in tables for product in to_products(table)], listing


def folder(path: Path) -> Folder:
    source = open_source(f"folder:{path}")
    assert isinstance(source, Folder)
    return source


def item(path: Path, id: str, band: str = "./B04.tif", **properties: Any) -> Path:
    """Write a STAC item with one band beside it."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "B04.tif").write_bytes(b"II*\0")
    square = [[[4.0, 51.0], [5.0, 51.0], [5.0, 52.0], [4.0, 52.0], [4.0, 51.0]]]
    (path / f"{id}.json").write_text(
        json.dumps(
            {
                "type": "Feature",
                "stac_version": "1.1.0",
                "id": id,
                "collection": "sentinel-2-l2a",
                "bbox": [4, 51, 5, 52],
                "links": [],
                "geometry": {"type": "Polygon", "coordinates": square},
                "properties": {
                    "datetime": "2024-06-01T10:30:00Z",
                    "platform": "sentinel-2b",
                    "grid:code": "MGRS-31UES",
                }
                | properties,
                "assets": {
                    "red": {
                        "href": band,
                        "type": "image/tiff",
                        "raster:bands": [{"scale": 1e-4, "offset": -0.1}],
                    }
                },
            }
        )
    )
    return path / f"{id}.json"
