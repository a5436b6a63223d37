"""What is found, as items with their links."""

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, request

from revisit.domain.product import Product
from revisit.stac import product_item, result_item
from revisit.stac.item_search import Found
from revisit.stac.search_query import RESULTS

GEOJSON = "application/geo+json"


def here() -> str:
    """Address of the landing page."""
    return f"{request.url_root.rstrip('/')}/stac"


def answer(value: Any, kind: str = "application/json") -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), content_type=kind)


def link(rel: str, href: str, kind: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"rel": rel, "href": href, "type": kind, **more}


def root_links(self: str, kind: str = "application/json") -> list[dict[str, Any]]:
    """Those that everything has."""
    return [link("self", self, kind), link("root", here())]


def shown(found: Found, assets: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An item; with the assets that are known without a question to its source, unless others are given."""
    job, product = found.job, found.product
    collection = RESULTS if job else product_item.COLLECTIONS[product.level]
    parent = f"{here()}/collections/{collection}"
    self = address(found)
    links = [*root_links(self, GEOJSON), link("parent", parent), link("collection", parent)]
    if job:
        return result_item.item(job, lambda asset: f"{request.url_root.rstrip('/')}/results/{job.id}/assets/{asset.name}", links, RESULTS)
    if product.source.startswith("stac:") and product.href:
        links.append(link("via", product.href, GEOJSON))
    return product_item.item(product, links, known_assets(product, self) if assets is None else assets)


def address(found: Found) -> str:
    """Of an item."""
    return f"{here()}/collections/{RESULTS if found.job else product_item.COLLECTIONS[found.product.level]}/items/{found.id}"


def known_assets(product: Product, self: str) -> dict[str, Any]:
    """The way to the files of a product."""
    if product.href.startswith("https://") and not product.source.startswith("stac:"):
        return {"product": {"href": product.href, "title": "Folder of the product", "roles": ["data"], **product_item.alternates(product.href)}}
    return {"product": {"href": f"{self}/files", "type": "application/json", "title": "Files of the product", "roles": ["metadata"]}}
