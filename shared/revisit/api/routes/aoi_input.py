"""/aoi: previews of an area or a tile, positions of other projections, and the AOIs of request bodies."""

from typing import Any

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.domain.aoi import AOI
from revisit.errors import InvalidInputError
from revisit.geo.projected_positions import convert_to_lon_lat
from revisit.presenters import documents
from revisit.services.accounts.limits import limits_of
from revisit.services.subscriptions.preview import summarize_aoi, summarize_tile


class PreviewAoiBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /aoi."""

    aoi: dict[str, Any] | str
    repair: bool = False


class ConvertPositionsBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /aoi/positions."""

    crs: str
    positions: list[tuple[float, float]]


def parse_aoi(value: dict[str, Any] | str, repair: bool, owner: str) -> AOI:
    """The AOI of a body: GeoJSON as an object or as text, or WKT."""
    return AOI.parse_or_repair(value, repair, limits_of(owner).area_km2)


def preview(context: RequestContext) -> ResponseReturnValue:
    body = context.decode_body(PreviewAoiBody)
    return documents.aoi_summary(
        summarize_aoi(context.backend, parse_aoi(body.aoi, body.repair, context.owner_id))
    )


def convert_positions(context: RequestContext) -> ResponseReturnValue:
    body = context.decode_body(ConvertPositionsBody)
    found = convert_to_lon_lat(body.crs, body.positions)
    return {"positions": found.positions, "crs": found.crs, "error_m": documents.json_number(found.error_m)}


def preview_tile(context: RequestContext) -> ResponseReturnValue:
    if not request.args.get("tile"):
        raise InvalidInputError("give a tile, such as /aoi?tile=32TQM; use POST for the preview of an area")
    return documents.aoi_summary(summarize_tile(context.backend, request.args["tile"]))


ROUTES = (
    Route("POST", "/aoi", preview, read_only=True),
    Route("GET", "/aoi", preview_tile),
    Route("POST", "/aoi/positions", convert_positions, read_only=True),
)
