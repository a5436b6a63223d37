"""/orders: create, estimate, list, show and cancel orders, and read their results."""

from hashlib import sha256
from typing import Any

import msgspec
from flask import Response, make_response, request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import (
    Names,
    RequestContext,
    Route,
    parse_period_end,
    parse_period_start,
)
from revisit.api.routes.aoi_input import parse_aoi
from revisit.api.routes.results import ITEM_TYPE, result_item
from revisit.api.routes.subscriptions import recipe_from_body, results, series
from revisit.domain.order import Order
from revisit.errors import InvalidInputError
from revisit.ports.system_records import SourceState
from revisit.presenters import documents, orders
from revisit.services.orders.cancel import cancel_order
from revisit.services.orders.create import create_order, estimate_order, get_order, list_order_page
from revisit.services.orders.selection import OrderRequest
from revisit.services.subscriptions.results import list_ended_jobs, list_jobs

MAX_ORDERS = 500
"""Orders of one page."""
MAX_ITEMS = 1000


class CreateOrderBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /orders and of POST /orders/estimate."""

    aoi: dict[str, Any] | str | None = None
    tile: str = ""
    products: tuple[str, ...] = ()
    indices: Names = ()
    bands: Names = ()
    resolution_m: float | None = None
    resampling: str = "bilinear"
    source: str = ""
    start: str | None = None
    end: str | None = None
    level: str | None = None
    max_cloud: float | None = None
    min_clear: float | None = None
    min_coverage: float | None = None
    min_clear_of: str = "aoi"
    per_tile: bool = False
    repair: bool = False


def order_request_from_body(context: RequestContext, body: CreateOrderBody) -> OrderRequest:
    """The order request of a body."""
    aoi = parse_aoi(body.aoi, body.repair, context.owner_id) if body.aoi is not None else None
    return OrderRequest(
        recipe_from_body(body),
        aoi,
        body.tile,
        body.products,
        validate_source(context, body.source),
        parse_period_start(body.start),
        parse_period_end(body.end),
        body.level,  # type: ignore[arg-type]  # checked by OrderRequest
        body.max_cloud,
        body.min_clear,
        context.owner_id,
        body.min_coverage,
        body.min_clear_of,  # type: ignore[arg-type]  # checked by OrderRequest
        per_tile=body.per_tile,
    )


def create(context: RequestContext) -> ResponseReturnValue:
    request = order_request_from_body(context, context.decode_body(CreateOrderBody))
    order = create_order(context.backend, request, defer_listing=True)
    return documents.order_summary(order), 202, {"Location": f"/orders/{order.id}"}


def estimate(context: RequestContext) -> ResponseReturnValue:
    return orders.estimate(
        estimate_order(
            context.backend, order_request_from_body(context, context.decode_body(CreateOrderBody))
        )
    )


def validate_source(context: RequestContext, spec: str) -> str:
    """A SPEC that this server refreshes or has refreshed; requests cannot open other sources.

    Raises:
        InvalidInputError: It is neither.
    """
    if not spec:
        return spec
    known = (*context.backend.sources, *(state.id for state in context.backend.records.find(SourceState)))
    if spec not in known:
        raise InvalidInputError(
            f"source {spec[:200]!r} is none of this server's;"
            f" choose from {', '.join(dict.fromkeys(known)) or 'none so far'}"
        )
    return spec


def list_(context: RequestContext) -> ResponseReturnValue:
    limit = context.query_int("limit", 50, 1, MAX_ORDERS)
    page = list_order_page(context.backend, context.owner_id, limit, request.args.get("after", ""))
    return {"orders": [documents.order_summary(order) for order in page.items], "next": page.next or None}


def show(context: RequestContext, id: str) -> Response:
    return _order_response(context, id)


def cancel(context: RequestContext, id: str) -> Response:
    cancel_order(context.backend, id, context.owner_id)
    return _order_response(context, id)


def _order_response(context: RequestContext, id: str) -> Response:
    """An order with an ETag that changes with everything but its age."""
    order = get_order(context.backend, id, context.owner_id)
    document = orders.order_details(
        order, list_jobs(context.backend, order.id, context.owner_id), context.backend.now()
    )
    response = make_response(document)
    if order.state in ("selecting", "running"):
        response.headers["Retry-After"] = str(orders.retry_after_s(order))
        response.set_etag(
            sha256(msgspec.json.encode({**document, "age_s": None})).hexdigest()[:40], weak=True
        )
    return response


def items(context: RequestContext, id: str) -> Response:
    """The jobs that have ended as STAC Items by time, including skipped ones, which state the reason."""
    order = get_order(context.backend, id, context.owner_id)
    limit = context.query_int("limit", MAX_ITEMS, 1, MAX_ITEMS)
    collection = item_collection(context, order, limit, request.args.get("after", ""))
    return Response(msgspec.json.encode(collection), content_type=ITEM_TYPE)


def item_collection(
    context: RequestContext, order: Order, limit: int = MAX_ITEMS, after: str = ""
) -> dict[str, Any]:
    """A page of an order's results after the job with the id `after`, with a link to the next page."""
    order_url = f"{request.url_root.rstrip('/')}/orders/{order.id}"
    links = [
        {"rel": "self", "href": f"{order_url}/items", "type": ITEM_TYPE},
        {"rel": "collection", "href": order_url, "type": "application/json"},
    ]
    page = list_ended_jobs(context.backend, order, limit, after)
    if page.next:
        next_url = f"{order_url}/items?limit={limit}&after={page.next}"
        links.append({"rel": "next", "href": next_url, "type": ITEM_TYPE})
    features = [result_item(job) for job in page.items]
    return {
        "type": "FeatureCollection",
        "features": features,
        "links": links,
        "numberMatched": len(order.jobs) - order.open,
        "numberReturned": len(features),
    }


ROUTES = (
    Route("POST", "/orders", create, idempotent=True),
    Route("POST", "/orders/estimate", estimate, read_only=True),
    Route("GET", "/orders", list_),
    Route("GET", "/orders/<id>", show),
    Route("DELETE", "/orders/<id>", cancel),
    Route("GET", "/orders/<id>/results", results),
    Route("GET", "/orders/<id>/items", items),
    Route("GET", "/orders/<id>/series", series),
)
