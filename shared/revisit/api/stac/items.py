"""Item search, the items of collections, and single items."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Response, request

from revisit.api.http.request_context import RequestContext, Route
from revisit.api.stac import assets
from revisit.api.stac.search_request import SearchRequest, search_from_body, search_from_query
from revisit.api.stac.serializer import GEOJSON_TYPE, item_document, json_response, link, root_links, root_url
from revisit.errors import NotFoundError
from revisit.stac import item_search
from revisit.stac.item_search import SearchHit
from revisit.stac.product_item import COLLECTIONS
from revisit.stac.product_sources import find_sources
from revisit.stac.search_query import RESULTS_COLLECTION
from revisit.stac.sorted_search import find_sorted_page


def search(context: RequestContext) -> Response:
    return _item_page(context, search_from_query(), f"{root_url()}/search")


def post_search(context: RequestContext) -> Response:
    return _item_page(context, search_from_body(context), f"{root_url()}/search")


def items(context: RequestContext, id: str) -> Response:
    if id not in (*COLLECTIONS.values(), RESULTS_COLLECTION):
        raise NotFoundError(f"there is no collection {id[:80]!r}; /stac/collections lists them")
    collection = f"{root_url()}/collections/{id}"
    return _item_page(
        context,
        search_from_query(id),
        f"{collection}/items",
        [link("collection", collection), link("parent", collection)],
    )


def item(context: RequestContext, id: str, item: str) -> Response:
    hit = item_search.get_item(context.backend, id, item, context.owner_id)
    found_assets = None if hit.job else assets.item_assets(context, hit.product)
    return json_response(item_document(hit, found_assets, _sources(context, [hit])), GEOJSON_TYPE)


def _sources(context: RequestContext, hits: Sequence[SearchHit]) -> Mapping[str, Sequence[str]]:
    return find_sources(context.backend, [hit.product for hit in hits if not hit.job])


def _item_page(
    context: RequestContext, search: SearchRequest, url: str, extra_links: list[dict[str, Any]] | None = None
) -> Response:
    page = find_sorted_page(
        context.backend, search.query, search.sort, context.owner_id, search.limit, search.after
    )
    links = [*root_links(_self_url(url), GEOJSON_TYPE), *(extra_links or [])]
    if page.next:
        links.append(_next_link(search, url, page.next))
    assets_by_hit = (
        assets.page_assets(context, page.items)
        if search.fields.includes("assets")
        else [None] * len(page.items)
    )
    sources = _sources(context, page.items) if search.fields.includes("properties") else {}
    features = [
        search.fields.apply(item_document(*one, sources))
        for one in zip(page.items, assets_by_hit, strict=True)
    ]
    matched = {} if page.matched is None else {"numberMatched": page.matched}
    return json_response(
        {
            "type": "FeatureCollection",
            "features": features,
            "links": links,
            "numberReturned": len(features),
            **matched,
        },
        GEOJSON_TYPE,
    )


def _self_url(url: str) -> str:
    return (
        f"{url}?{request.query_string.decode()}" if request.method == "GET" and request.query_string else url
    )


def _next_link(search: SearchRequest, url: str, token: str) -> dict[str, Any]:
    """Link to the next page: the same request with the token to continue after."""
    if request.method == "GET":
        kept_query = [(name, text) for name, text in request.args.items(multi=True) if name != "token"]
        return link("next", f"{url}?{urlencode([*kept_query, ('token', token)])}", GEOJSON_TYPE, method="GET")
    body = {name: value for name, value in msgspec.to_builtins(search.body).items() if value is not None} | {
        "token": token
    }
    return link("next", url, GEOJSON_TYPE, method="POST", body=body)


ROUTES = (
    Route("GET", "/stac/search", search),
    Route("POST", "/stac/search", post_search, read_only=True),
    Route("GET", "/stac/collections/<id>/items", items),
    Route("GET", "/stac/collections/<id>/items/<item>", item),
)
