"""/orders: periods worked once."""

from typing import Any

import msgspec
from flask import Response
from flask.typing import ResponseReturnValue

from revisit import commands
from revisit.api.asked import Asked, begin, end
from revisit.api.aois import aoi_of
from revisit.api.once import once
from revisit.api.results import ITEM_TYPE, item
from revisit.api.subscriptions import recipe_of, results, series
from revisit.bookkeeping import SourceState
from revisit.commands import shown
from revisit.errors import BadInput

MOST_ORDERS = 500
"""Of one answer."""


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /orders."""

    aoi: dict[str, Any]
    indices: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    resolution_m: float | None = None
    resampling: str = "bilinear"
    source: str = ""
    start: str | None = None
    end: str | None = None
    repair: bool = False


def create(asked: Asked) -> Response:
    def work() -> ResponseReturnValue:
        placed = fulfil(asked.backend, wish_of(asked, asked.body(Wanted)))
        return shown.order_line(placed), 202, {"Location": f"/orders/{placed.id}"}

    return once(asked, work)


def known_source(asked: Asked, spec: str) -> str:
    """A SPEC that this server refreshes or has refreshed: what comes over the network opens no other places.
def wish_of(asked: Asked, body: Wanted) -> Wish:
    """What a body asks for."""
    aoi = aoi_of(body.aoi, body.repair, asked.owner) if body.aoi is not None else None
    return Wish(recipe_of(body), aoi, body.tile, body.products, known_source(asked, body.source), begin(body.start), end(body.end),
                body.level, body.max_cloud, body.min_clear, asked.owner)  # type: ignore[arg-type]  # the level is checked there



    Raises:
        BadInput: It is none of these.
    """
    known = (*asked.backend.sources, *(state.id for state in asked.backend.records.find(SourceState)))
    if spec and spec not in known:
        raise BadInput(f"source {spec[:200]!r} is none of this server's; choose from {', '.join(dict.fromkeys(known)) or 'none so far'}")
    return spec


def list_(asked: Asked) -> ResponseReturnValue:
    limit = asked.number("limit", 50, 1, MOST_ORDERS)
    return {"orders": [shown.order_line(one) for one in commands.orders(asked.backend, asked.owner)[:limit]]}


def show(asked: Asked, id: str) -> ResponseReturnValue:
    placed = commands.order_of(asked.backend, id, asked.owner)
    answer = shown.order(placed, commands.results(asked.backend, placed.id, asked.owner))
    return answer, {"Retry-After": "1"} if placed.open else {}


ROUTES = (
    ("POST", "/orders", create),
    ("GET", "/orders", list_),
    ("GET", "/orders/<id>", show),
    ("GET", "/orders/<id>/results", results),
    ("GET", "/orders/<id>/series", series),
)
