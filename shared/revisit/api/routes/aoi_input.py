"""/aoi: what an area would mean, before anything is saved."""

from typing import Any

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from revisit import services
from revisit.api.http.request_context import Asked, asks
from revisit.domain.aoi import AOI
from revisit.errors import BadInput
from revisit.presenters import documents
from revisit.services.accounts.limits import limits_of


class Area(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /aoi."""

    aoi: dict[str, Any] | str
    repair: bool = False


def aoi_of(given: dict[str, Any] | str, repair: bool, owner: str) -> AOI:
    """The AOI of a body: GeoJSON, as an object or as text, or WKT."""
    return AOI.given(given, repair, limits_of(owner).area_km2)


@asks
def preview(asked: Asked) -> ResponseReturnValue:
    body = asked.body(Area)
    return documents.extent(services.extent_of(asked.backend, aoi_of(body.aoi, body.repair, asked.owner)))


def of_tile(asked: Asked) -> ResponseReturnValue:
    if not request.args.get("tile"):
        raise BadInput("name a tile, such as /aoi?tile=32TQM; the preview of an area is asked for with POST")
    return documents.extent(services.extent_of_tile(asked.backend, request.args["tile"]))


ROUTES = (
    ("POST", "/aoi", preview),
    ("GET", "/aoi", of_tile),
)
