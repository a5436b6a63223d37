"""Items found, page by page, and one by one."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Response, request

from revisit.api.http.request_context import Asked, asks
from revisit.api.stac import assets as files
from revisit.api.stac.search_request import Search, of_address, of_body
from revisit.api.stac.serializer import GEOJSON, answer, here, link, root_links, shown
from revisit.errors import NotFound
from revisit.stac import item_search
from revisit.stac.product_item import COLLECTIONS
from revisit.stac.search_query import RESULTS
from revisit.stac.sorted_search import sorted_page


def search(asked: Asked) -> Response:
    return _page(asked, of_address(), f"{here()}/search")


@asks
def posted(asked: Asked) -> Response:
    return _page(asked, of_body(asked), f"{here()}/search")


def items(asked: Asked, id: str) -> Response:
    if id not in (*COLLECTIONS.values(), RESULTS):
        raise NotFound(f"there is no collection {id[:80]!r}; /stac/collections lists them")
    collection = f"{here()}/collections/{id}"
    return _page(asked, of_address(id), f"{collection}/items", [link("collection", collection), link("parent", collection)])


def item(asked: Asked, id: str, item: str) -> Response:
    found = item_search.one(asked.backend, id, item, asked.owner)
    return answer(shown(found, None if found.job else files.assets(asked, found.product)), GEOJSON)


def _page(asked: Asked, search: Search, address: str, more: list[dict[str, Any]] | None = None) -> Response:
    found = sorted_page(asked.backend, search.wanted, search.sort, asked.owner, search.limit, search.after)
    links = [*root_links(_self(address), GEOJSON), *(more or [])]
    if found.next:
        links.append(_next(search, address, found.next))
    assets = files.assets_of(asked, found.items) if search.selection.shows("assets") else [None] * len(found.items)
    features = [search.selection.of_item(shown(*one)) for one in zip(found.items, assets, strict=True)]
    counted = {} if found.matched is None else {"numberMatched": found.matched}
    return answer({"type": "FeatureCollection", "features": features, "links": links, "numberReturned": len(features), **counted}, GEOJSON)


def _self(address: str) -> str:
    return f"{address}?{request.query_string.decode()}" if request.method == "GET" and request.query_string else address


def _next(search: Search, address: str, token: str) -> dict[str, Any]:
    """The way to the next page: all that was asked for, and where to go on."""
    if request.method == "GET":
        given = [(name, text) for name, text in request.args.items(multi=True) if name != "token"]
        return link("next", f"{address}?{urlencode([*given, ('token', token)])}", GEOJSON, method="GET")
    body = {name: value for name, value in msgspec.to_builtins(search.body).items() if value is not None} | {"token": token}
    return link("next", address, GEOJSON, method="POST", body=body)


ROUTES = (
    ("GET", "/stac/search", search),
    ("POST", "/stac/search", posted),
    ("GET", "/stac/collections/<id>/items", items),
    ("GET", "/stac/collections/<id>/items/<item>", item),
)
