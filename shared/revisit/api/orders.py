"""/orders: periods worked once."""

from typing import Any

import msgspec
from flask import Response
from flask.typing import ResponseReturnValue

from revisit import commands
from revisit.api.asked import Asked, begin, end
from revisit.api.once import once
from revisit.api.subscriptions import aoi_of, recipe_of, results, series
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
        body = asked.body(Wish)
        placed = commands.order(asked.backend, aoi_of(body.aoi, body.repair, asked.owner), recipe_of(body), known_source(asked, body.source),
                                begin(body.start), end(body.end), asked.owner)
        return shown.order_line(placed), 202, {"Location": f"/orders/{placed.id}"}

    return once(asked, work)


def known_source(asked: Asked, spec: str) -> str:
    """A SPEC that this server refreshes or has refreshed: what comes over the network opens no other places.

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
