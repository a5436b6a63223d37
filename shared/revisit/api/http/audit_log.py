"""Every request of somebody known that changes something leaves one line (rules.md D2), where users sign
in."""

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext
from revisit.api.http.security_headers import SAFE_METHODS, client_pseudonym
from revisit.domain.audit_record import Audit, audit_id, pseudonymize
from revisit.domain.clock import format_rfc3339
from revisit.ports.backend import Backend

MAX_ENTRIES = 500
"""Lines of one answer."""


def register_audit(app: Flask, backend: Backend) -> None:
    """Write the line when the answer is ready. One that cannot be written makes the answer 503, and the
    request is sent again:
    ids are derived, so that it changes nothing twice."""
    if backend.settings.authenticator is None:
        return

    def write_audit_record(response: Response) -> Response:
        context: RequestContext | None = g.get("context")
        if (
            context is not None
            and request.method not in SAFE_METHODS
            and not g.get("read_only")
            and not g.get("audit_written")
        ):
            g.audit_written = True
            now, rule = backend.now(), request.url_rule.rule if request.url_rule else ""
            entry = Audit(
                audit_id(now, g.request_id),
                now,
                pseudonymize("owner", context.owner_id),
                context.principal.key_id,
                f"{request.method} {rule}",
                request.path,
                response.status_code,
                client_pseudonym(),
                g.request_id,
            )
            backend.commit(lambda commit: commit.put(entry), completes_event=False)
        return response

    app.after_request(write_audit_record)


def list_(context: RequestContext) -> ResponseReturnValue:
    """Lines by time, the oldest first, from after the one named."""
    context.require_operator()
    limit = context.query_int("limit", 100, 1, MAX_ENTRIES)
    entries = context.backend.records.find(Audit, after=request.args.get("after", "")[:200], limit=limit)
    return {
        "audit": [
            {
                "id": line.id,
                "at": format_rfc3339(line.at),
                "who": line.who,
                "key": line.key or None,
                "what": line.what,
                "about": line.about,
                "status": line.status,
                "origin": line.origin,
                "request": line.request,
            }
            for line in entries
        ]
    }


ROUTES = (("GET", "/audit", list_),)
