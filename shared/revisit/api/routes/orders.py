"""/orders: what was seen of a place, worked once."""

from hashlib import sha256
from typing import Any

import msgspec
from flask import Response, make_response, request
from flask.typing import ResponseReturnValue

from revisit import services
from revisit.api.http.idempotency import once
from revisit.api.http.request_context import Asked, Names, asks, begin, end
from revisit.api.routes.aoi_input import aoi_of
from revisit.api.routes.results import ITEM_TYPE, item
from revisit.api.routes.subscriptions import recipe_of, results, series
from revisit.domain.job import FINISHED
from revisit.domain.order import Order
from revisit.errors import BadInput
from revisit.ports.system_records import SourceState
from revisit.presenters import documents, orders
from revisit.services.orders.cancel import cancel as take_back
from revisit.services.orders.create import foresee, fulfil
from revisit.services.orders.selection import Wish

MOST_ORDERS = 500
"""Of one answer."""
MOST_ITEMS = 1000


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
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
    repair: bool = False


def wish_of(asked: Asked, body: Wanted) -> Wish:
    """What a body asks for."""
    aoi = aoi_of(body.aoi, body.repair, asked.owner) if body.aoi is not None else None
    return Wish(recipe_of(body), aoi, body.tile, body.products, known_source(asked, body.source), begin(body.start), end(body.end),
                body.level, body.max_cloud, body.min_clear, asked.owner)  # type: ignore[arg-type]  # the level is checked there


def create(asked: Asked) -> Response:
    def work() -> ResponseReturnValue:
        placed = fulfil(asked.backend, wish_of(asked, asked.body(Wanted)))
        return documents.order_line(placed), 202, {"Location": f"/orders/{placed.id}"}

    return once(asked, work)


@asks
def estimate(asked: Asked) -> ResponseReturnValue:
    return orders.estimate(foresee(asked.backend, wish_of(asked, asked.body(Wanted))))


def known_source(asked: Asked, spec: str) -> str:
    """A SPEC that this server refreshes or has refreshed: what comes over the network opens no other places.

    Raises:
        BadInput: It is none of these.
    """
    if not spec:
        return spec
    known = (*asked.backend.sources, *(state.id for state in asked.backend.records.find(SourceState)))
    if spec not in known:
        raise BadInput(f"source {spec[:200]!r} is none of this server's; choose from {', '.join(dict.fromkeys(known)) or 'none so far'}")
    return spec


def list_(asked: Asked) -> ResponseReturnValue:
    limit = asked.number("limit", 50, 1, MOST_ORDERS)
    return {"orders": [documents.order_line(one) for one in services.orders(asked.backend, asked.owner)[:limit]]}


def show(asked: Asked, id: str) -> Response:
    return _answer(asked, id)


def cancel(asked: Asked, id: str) -> Response:
    take_back(asked.backend, id, asked.owner)
    return _answer(asked, id)


def _answer(asked: Asked, id: str) -> Response:
    """An order, with a tag that changes when anything but its age does."""
    placed = services.order_of(asked.backend, id, asked.owner)
    told = orders.order(placed, services.results(asked.backend, placed.id, asked.owner), asked.backend.now())
    answer = make_response(told)
    if placed.state == "running":
        answer.headers["Retry-After"] = str(orders.wait_s(placed))
        answer.set_etag(sha256(msgspec.json.encode({**told, "age_s": None})).hexdigest()[:40], weak=True)
    return answer


def items(asked: Asked, id: str) -> Response:
    """The jobs that have ended as STAC Items, by time: the skipped ones too, which say why."""
    placed = services.order_of(asked.backend, id, asked.owner)
    found = item_collection(asked, placed, asked.number("limit", MOST_ITEMS, 1, MOST_ITEMS), asked.number("after", 0, 0, 10**9))
    return Response(msgspec.json.encode(found), content_type=ITEM_TYPE)


def item_collection(asked: Asked, placed: Order, limit: int = MOST_ITEMS, after: int = 0) -> dict[str, Any]:
    """A part of what came of an order, and the way to the next part."""
    ended = [job for job in services.results(asked.backend, placed.id, asked.owner) if job.state in FINISHED]
    here = f"{request.url_root.rstrip('/')}/orders/{placed.id}"
    links = [{"rel": "self", "href": f"{here}/items", "type": ITEM_TYPE}, {"rel": "collection", "href": here, "type": "application/json"}]
    if after + limit < len(ended):
        links.append({"rel": "next", "href": f"{here}/items?limit={limit}&after={after + limit}", "type": ITEM_TYPE})
    features = [item(job) for job in ended[after:after + limit]]
    return {"type": "FeatureCollection", "features": features, "links": links, "numberMatched": len(ended), "numberReturned": len(features)}


ROUTES = (
    ("POST", "/orders", create),
    ("POST", "/orders/estimate", estimate),
    ("GET", "/orders", list_),
    ("GET", "/orders/<id>", show),
    ("DELETE", "/orders/<id>", cancel),
    ("GET", "/orders/<id>/results", results),
    ("GET", "/orders/<id>/items", items),
    ("GET", "/orders/<id>/series", series),
)
