"""/passes: predicted passes over tiles or an AOI."""

from typing import Any

import msgspec
from flask import Response, request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.api.routes.aoi_input import parse_aoi
from revisit.domain.passes import Pass
from revisit.errors import InvalidInputError
from revisit.presenters.documents import expected_pass
from revisit.services.products.passes import MAX_DAYS, upcoming_passes

DEFAULT_DAYS = 30


class ListPassesBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /passes."""

    aoi: dict[str, Any] | str
    days: int = DEFAULT_DAYS
    repair: bool = False


def list_for_tiles(context: RequestContext) -> ResponseReturnValue:
    tiles = tuple(name.strip() for name in request.args.get("tile", "").split(",") if name.strip())
    return _passes_response(
        context,
        upcoming_passes(context.backend, None, tiles, context.query_int("days", DEFAULT_DAYS, 1, MAX_DAYS)),
        ", ".join(tiles),
    )


def list_for_aoi(context: RequestContext) -> ResponseReturnValue:
    body = context.decode_body(ListPassesBody)
    return _passes_response(
        context,
        upcoming_passes(context.backend, parse_aoi(body.aoi, body.repair, context.owner_id), (), body.days),
        "an AOI",
    )


def _passes_response(context: RequestContext, passes: list[Pass], area_name: str) -> ResponseReturnValue:
    """As JSON, or as a calendar if requested."""
    form = request.args.get("format") or (
        "ics"
        if request.accept_mimetypes.best_match(["application/json", "text/calendar"]) == "text/calendar"
        else "json"
    )
    if form not in ("json", "ics"):
        raise InvalidInputError(f"format {form[:40]!r} is not offered; choose json or ics")
    if form == "ics":
        from revisit.delivery.icalendar import MEDIA_TYPE, render_calendar

        return Response(
            render_calendar(passes, f"Sentinel-2 over {area_name}", context.backend.now()),
            content_type=MEDIA_TYPE,
            headers={"Content-Disposition": 'attachment; filename="passes.ics"'},
        )
    return {"passes": [expected_pass(one) for one in passes]}


ROUTES = (
    Route("GET", "/passes", list_for_tiles),
    Route("POST", "/passes", list_for_aoi, read_only=True),
)
