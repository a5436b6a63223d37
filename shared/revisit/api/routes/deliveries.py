"""/subscriptions/{id}/deliveries and /deliveries: deliveries with their attempts, and redelivery."""

from flask import request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.presenters import documents
from revisit.services.subscriptions.redeliver import list_deliveries, redeliver

MAX_DELIVERIES = 500
"""Deliveries of one page."""


def list_(context: RequestContext, id: str) -> ResponseReturnValue:
    limit, args = context.query_int("limit", 100, 1, MAX_DELIVERIES), request.args
    page = list_deliveries(
        context.backend, id, context.owner_id, args.get("state", ""), args.get("after", ""), limit
    )
    return {
        "deliveries": [documents.delivery(delivery) for delivery in page.items],
        "next": page.next or None,
    }


def retry(context: RequestContext, id: str) -> ResponseReturnValue:
    return documents.delivery(redeliver(context.backend, id, context.owner_id)), 202


ROUTES = (
    Route("GET", "/subscriptions/<id>/deliveries", list_),
    Route("POST", "/deliveries/<id>/redeliver", retry, idempotent=True),
)
