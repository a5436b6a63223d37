"""The audit log: one record for each request that may change something, where users sign in."""

from collections.abc import Callable

from flask import Response, after_this_request, request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.api.http.security_headers import client_pseudonym, request_id
from revisit.domain.audit_record import Audit, audit_id, pseudonymize
from revisit.domain.clock import format_rfc3339

MAX_ENTRIES = 500
"""Entries of one page."""


def audit_request(context: RequestContext, proceed: Callable[[RequestContext], Response]) -> Response:
    """Record the request once it is answered, whether it succeeds or fails."""
    if context.backend.settings.authenticator is not None and not context.route.reads:
        after_this_request(AuditWriter(context))
    return proceed(context)


class AuditWriter:
    """Writes the audit record of one request when its answer is ready.

    If the record cannot be written, the answer is 503 and the client sends the request again: ids are
    derived, so a repeat changes nothing twice.
    """

    def __init__(self, context: RequestContext) -> None:
        self._context = context
        self._called = False

    def __call__(self, response: Response) -> Response:
        if self._called:  # the answer to a failure to write the record
            return response
        self._called = True
        now, route = self._context.backend.now(), self._context.route
        entry = Audit(
            audit_id(now, request_id()),
            now,
            pseudonymize("owner", self._context.owner_id),
            self._context.principal.key_id,
            f"{route.method} {route.path}",
            request.path,
            response.status_code,
            client_pseudonym(),
            request_id(),
        )
        self._context.backend.commit(lambda commit: commit.put(entry), completes_event=False)
        return response


def list_(context: RequestContext) -> ResponseReturnValue:
    """A page of entries by time, oldest first."""
    context.require_operator()
    limit = context.query_int("limit", 100, 1, MAX_ENTRIES)
    entries = context.backend.records.find(Audit, after=request.args.get("after", "")[:200], limit=limit)
    return {
        "audit": [
            {
                "id": entry.id,
                "at": format_rfc3339(entry.at),
                "who": entry.who,
                "key": entry.key or None,
                "what": entry.what,
                "about": entry.about,
                "status": entry.status,
                "origin": entry.origin,
                "request": entry.request,
            }
            for entry in entries
        ]
    }


ROUTES = (Route("GET", "/audit", list_),)
