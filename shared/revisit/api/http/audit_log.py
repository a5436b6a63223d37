"""Every request of somebody known that changes something leaves one line (rules.md D2), where users sign in."""

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import Asked
from revisit.api.http.security_headers import SAFE, sender
from revisit.domain.audit_record import Audit, audit_id, pseudonym
from revisit.domain.clock import rfc3339
from revisit.ports.backend import Backend

MOST = 500
"""Lines of one answer."""


def keep_book(app: Flask, backend: Backend) -> None:
    """Write the line when the answer is ready. One that cannot be written makes the answer 503, and the request is sent again:
    ids are derived, so that it changes nothing twice."""
    if backend.sign_in is None:
        return

    def write(response: Response) -> Response:
        asked: Asked | None = g.get("asked")
        if asked is not None and request.method not in SAFE and not g.get("asks") and not g.get("booked"):
            g.booked = True
            now, rule = backend.now(), request.url_rule.rule if request.url_rule else ""
            line = Audit(audit_id(now, g.request_id), now, pseudonym("owner", asked.owner), asked.me.key, f"{request.method} {rule}",
                         request.path, response.status_code, sender(), g.request_id)
            backend.commit(lambda commit: commit.put(line), last=False)
        return response

    app.after_request(write)


def list_(asked: Asked) -> ResponseReturnValue:
    """Lines by time, the oldest first, from after the one named."""
    asked.operator_only()
    limit = asked.number("limit", 100, 1, MOST)
    lines = asked.backend.records.find(Audit, after=request.args.get("after", "")[:200], limit=limit)
    return {"audit": [{"id": line.id, "at": rfc3339(line.at), "who": line.who, "key": line.key or None, "what": line.what, "about": line.about,
                       "status": line.status, "origin": line.origin, "request": line.request} for line in lines]}


ROUTES = (("GET", "/audit", list_),)
