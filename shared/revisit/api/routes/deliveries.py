"""/subscriptions/{id}/deliveries and /deliveries: what was carried outward, and one more try."""

from flask import Response, request
from flask.typing import ResponseReturnValue

from revisit import services
from revisit.api.http.idempotency import once
from revisit.api.http.request_context import Asked
from revisit.presenters import documents

MOST = 500
"""Of one answer."""


def list_(asked: Asked, id: str) -> ResponseReturnValue:
    limit, args = asked.number("limit", 100, 1, MOST), request.args
    found = services.deliveries(asked.backend, id, asked.owner, args.get("state", ""), args.get("after", ""), limit)
    return {"deliveries": [documents.delivery(way) for way in found.page], "next": found.next or None}


def redeliver(asked: Asked, id: str) -> Response:
    def work() -> ResponseReturnValue:
        return documents.delivery(services.redeliver(asked.backend, id, asked.owner)), 202

    return once(asked, work)


ROUTES = (
    ("GET", "/subscriptions/<id>/deliveries", list_),
    ("POST", "/deliveries/<id>/redeliver", redeliver),
)
