"""/subscriptions/{id}/deliveries and /deliveries: what was carried outward, and one more try."""

from flask import Response, request
from flask.typing import ResponseReturnValue

from revisit.api.http.idempotency import run_idempotent
from revisit.api.http.request_context import RequestContext
from revisit.presenters import documents
from revisit.services.subscriptions.redeliver import list_deliveries, redeliver

MAX_DELIVERIES = 500
"""Of one answer."""


def list_(context: RequestContext, id: str) -> ResponseReturnValue:
    limit, args = context.query_int("limit", 100, 1, MAX_DELIVERIES), request.args
    found = list_deliveries(
        context.backend, id, context.owner_id, args.get("state", ""), args.get("after", ""), limit
    )
    return {"deliveries": [documents.delivery(way) for way in found.items], "next": found.next or None}


def retry(context: RequestContext, id: str) -> Response:
    def work() -> ResponseReturnValue:
        return documents.delivery(redeliver(context.backend, id, context.owner_id)), 202

    return run_idempotent(context, work)


ROUTES = (
    ("GET", "/subscriptions/<id>/deliveries", list_),
    ("POST", "/deliveries/<id>/redeliver", retry),
)
