"""/health, /status and /limits."""

from dataclasses import asdict

from flask.typing import ResponseReturnValue

from revisit import __version__
from revisit.api.http.request_context import RequestContext, Route
from revisit.ports.system_records import CatalogCursor
from revisit.presenters import documents
from revisit.services.accounts import quotas
from revisit.services.accounts.limits import limits_of
from revisit.services.operations.status import get_status


def health(context: RequestContext) -> ResponseReturnValue:
    """Check that the service answers and its records can be read."""
    context.backend.records.get(CatalogCursor, "catalog")
    return {"status": "ok", "version": __version__}


def status(context: RequestContext) -> ResponseReturnValue:
    context.require_operator()
    return get_status(context.backend)


def limits(context: RequestContext) -> ResponseReturnValue:
    used = quotas.get_usage(context.backend, context.owner_id)
    ends = used.pop("day_ends", None)
    return {**asdict(limits_of(context.owner_id)), "used": used, "day_ends": documents.json_time(ends)}


ROUTES = (
    Route("GET", "/health", health),
    Route("GET", "/status", status),
    Route("GET", "/limits", limits),
)
