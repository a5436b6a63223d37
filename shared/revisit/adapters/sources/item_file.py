"""STAC items in a file: one item, those of an ItemCollection, one a line, or one a row of GeoParquet."""

import re
from pathlib import Path
from typing import Any

from revisit.adapters.sources import geoparquet_items, metadata_file, stac_item
from revisit.domain.product import Product
from revisit.errors import PermanentError

LINE_SUFFIXES = (".ndjson", ".jsonl", ".geojsonl", ".geojsons")
SUFFIXES = (
    *(f"{end}{packed}" for end in (".json", ".geojson", *LINE_SUFFIXES) for packed in ("", ".gz")),
    *geoparquet_items.SUFFIXES,
)
"""Ends of the names of files that may hold items, in lower case."""


_PRODUCT_NAME = re.compile(r"S2[A-Z]_(MSIL1C|MSIL2A|OPER_PRD|USER_PRD)_")


def read_items(path: Path, id: str = "") -> list[dict[str, Any]]:
    """The items in a file, and features that name products; none where it is something else, as an area.

    Args:
        path: The file.
        id: Only the item of this id, where that takes less time; empty means all.

    Raises:
        PermanentError: It is not what the end of its name says, or is too large.
    """
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(geoparquet_items.SUFFIXES):
        return geoparquet_items.read_items(path, id)
    if name.endswith(LINE_SUFFIXES):
        return list(filter(_is_meant, metadata_file.read_json_lines(path)))
    document = metadata_file.read_json(path)
    features = document.get("features") if isinstance(document, dict) else None
    if isinstance(features, list) and document.get("type") == "FeatureCollection":
        return list(filter(_is_meant, features))
    return [document] if _is_meant(document) else []


def read_item_of(path: Path, product: Product) -> dict[str, Any]:
    """The item that a product was read from.

    Raises:
        PermanentError: The file is missing or holds it no more.
    """
    items = [item for item in read_items(path, product.id) or read_items(path) if stac_item.is_item(item)]
    if len(items) == 1:
        return items[0]
    for item in items:
        try:
            if stac_item.product_of(item, product.source, product.href).id == product.id:
                return item
        except PermanentError:
            continue
    raise PermanentError(f"{path} no longer holds the STAC item of {product.id}")


def require_item(value: dict[str, Any]) -> None:
    """Check that a feature is a STAC item.

    Raises:
        PermanentError: It is none, although it names a product.
    """
    if not stac_item.is_item(value):
        raise PermanentError(
            "it names a Sentinel-2 product, but is no STAC item (type Feature, stac_version, assets); save "
            "the answer of a STAC API, or copy the product itself"
        )


def _is_meant(value: Any) -> bool:
    """Whether a value is an item, or a feature that names a Sentinel-2 product."""
    if stac_item.is_item(value):
        return True
    if not isinstance(value, dict) or value.get("type") != "Feature":
        return False
    properties = value.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    names = (value.get("id"), *(properties.get(key) for key in ("id", "title", "name", "Name")))
    return any(isinstance(name, str) and _PRODUCT_NAME.match(name) for name in names)
