"""STAC items in a JSON file: one item, or those of an ItemCollection, as searches are saved."""

from pathlib import Path
from typing import Any

from revisit.adapters.sources import metadata_file, stac_item
from revisit.domain.product import Product
from revisit.errors import PermanentError

SUFFIXES = (".json", ".geojson")
"""Ends of the names of files that may hold items, in lower case."""


def read_items(path: Path) -> list[dict[str, Any]]:
    """The items in a file; none where it holds something else, such as an area.

    Raises:
        PermanentError: It is not JSON, or is too large.
    """
    document = metadata_file.read_json(path)
    if stac_item.is_item(document):
        return [document]
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or document.get("type") != "FeatureCollection":
        return []
    return [feature for feature in features if stac_item.is_item(feature)]


def read_item_of(path: Path, product: Product) -> dict[str, Any]:
    """The item that a product was read from.

    Raises:
        PermanentError: The file is missing or holds it no more.
    """
    items = read_items(path)
    if len(items) == 1:
        return items[0]
    for item in items:
        try:
            if stac_item.product_of(item, product.source, product.href).id == product.id:
                return item
        except PermanentError:
            continue
    raise PermanentError(f"{path} no longer holds the STAC item of {product.id}")
