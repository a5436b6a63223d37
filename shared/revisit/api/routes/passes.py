"""/passes: when the satellites come next."""

from typing import Any

import msgspec
from flask import Response, request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import Asked, asks
from revisit.api.routes.aoi_input import aoi_of
from revisit.domain.passes import Pass
from revisit.errors import BadInput
from revisit.presenters.documents import seen
from revisit.services.products.passes import MOST_DAYS, passes_of

DAYS = 30


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /passes."""

    aoi: dict[str, Any] | str
    days: int = DAYS
    repair: bool = False


def of_tiles(asked: Asked) -> ResponseReturnValue:
    tiles = tuple(name.strip() for name in request.args.get("tile", "").split(",") if name.strip())
    return _told(asked, passes_of(asked.backend, None, tiles, asked.number("days", DAYS, 1, MOST_DAYS)), ", ".join(tiles))


@asks
def of_aoi(asked: Asked) -> ResponseReturnValue:
    body = asked.body(Place)
    return _told(asked, passes_of(asked.backend, aoi_of(body.aoi, body.repair, asked.owner), (), body.days), "an AOI")


def _told(asked: Asked, passes: list[Pass], place: str) -> ResponseReturnValue:
    """As JSON, or as a calendar where that is asked for."""
    form = request.args.get("format") or ("ics" if request.accept_mimetypes.best_match(["application/json", "text/calendar"]) == "text/calendar" else "json")
    if form not in ("json", "ics"):
        raise BadInput(f"format {form[:40]!r} is not offered; choose json or ics")
    if form == "ics":
        from revisit.delivery.icalendar import MEDIA_TYPE, calendar

        return Response(calendar(passes, f"Sentinel-2 over {place}", asked.backend.now()), content_type=MEDIA_TYPE,
                        headers={"Content-Disposition": 'attachment; filename="passes.ics"'})
    return {"passes": [seen(one) for one in passes]}


ROUTES = (
    ("GET", "/passes", of_tiles),
    ("POST", "/passes", of_aoi),
)
