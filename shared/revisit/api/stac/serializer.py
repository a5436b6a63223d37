"""Search hits as STAC Items with their links."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from flask import Response, request

from revisit.domain.product import Product
from revisit.stac import product_item, result_item
from revisit.stac.item_search import SearchHit
from revisit.stac.search_query import RESULTS_COLLECTION

GEOJSON_TYPE = "application/geo+json"


def root_url() -> str:
    """URL of the landing page."""
    return f"{request.url_root.rstrip('/')}/stac"


def json_response(value: Any, media_type: str = "application/json") -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(value), content_type=media_type)


def link(rel: str, href: str, media_type: str = "application/json", **members: Any) -> dict[str, Any]:
    return {"rel": rel, "href": href, "type": media_type, **members}


def root_links(self_url: str, media_type: str = "application/json") -> list[dict[str, Any]]:
    """Links of every document."""
    return [link("self", self_url, media_type), link("root", root_url())]


def item_document(
    hit: SearchHit,
    assets: Mapping[str, Any] | None = None,
    sources: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """An item.

    Args:
        assets: Its assets; None takes those that are known without a request to its source.
        sources: SPECs of the sources of products by their ids, as far as they were looked up.
    """
    job, product = hit.job, hit.product
    collection = RESULTS_COLLECTION if job else product_item.COLLECTIONS[product.level]
    collection_url = f"{root_url()}/collections/{collection}"
    self_url = item_url(hit)
    links = [
        *root_links(self_url, GEOJSON_TYPE),
        link("parent", collection_url),
        link("collection", collection_url),
    ]
    if job:
        return result_item.build_result_item(
            job,
            lambda asset: f"{request.url_root.rstrip('/')}/results/{job.id}/assets/{asset.name}",
            links,
            RESULTS_COLLECTION,
        )
    if product.source.startswith("stac:") and product.href:
        links.append(link("via", product.href, GEOJSON_TYPE))
    return product_item.build_product_item(
        product,
        links,
        known_assets(product, self_url) if assets is None else assets,
        sources.get(product.id, ()),
    )


def item_url(hit: SearchHit) -> str:
    """URL of an item."""
    collection = RESULTS_COLLECTION if hit.job else product_item.COLLECTIONS[hit.product.level]
    return f"{root_url()}/collections/{collection}/items/{hit.id}"


def known_assets(product: Product, item_href: str) -> dict[str, Any]:
    """Assets known from the catalog: the product and its list of files."""
    if product.href.startswith("https://") and not product.source.startswith("stac:"):
        return {
            "product": {
                "href": product.href,
                "title": "Folder of the product",
                "roles": ["data"],
                **product_item.alternate_fields(product.href),
            }
        }
    return {
        "product": {
            "href": f"{item_href}/files",
            "type": "application/json",
            "title": "Files of the product",
            "roles": ["metadata"],
        }
    }
