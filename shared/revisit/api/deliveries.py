"""/subscriptions/{id}/deliveries and /deliveries: what was carried outward, and one more try."""

from flask import Response, request
from flask.typing import ResponseReturnValue

from revisit import commands
from revisit.api.asked import Asked
from revisit.api.once import once
from revisit.commands import shown

MOST = 500
"""Of one answer."""


def list_(asked: Asked, id: str) -> ResponseReturnValue:
    limit, args = asked.number("limit", 100, 1, MOST), request.args
    found = commands.deliveries(asked.backend, id, asked.owner, args.get("state", ""), args.get("after", ""), limit)
    return {"deliveries": [shown.delivery(way) for way in found.page], "next": found.next or None}


def redeliver(asked: Asked, id: str) -> Response:
    def work() -> ResponseReturnValue:
        return shown.delivery(commands.redeliver(asked.backend, id, asked.owner)), 202

    return once(asked, work)


ROUTES = (
    ("GET", "/subscriptions/<id>/deliveries", list_),
    ("POST", "/deliveries/<id>/redeliver", redeliver),
)
