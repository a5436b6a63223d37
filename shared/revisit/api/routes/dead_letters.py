"""/dead-letters and /refresh, for operators of the service."""

from urllib.parse import quote

from flask import request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.api.routes.orders import validate_source
from revisit.domain.clock import format_rfc3339
from revisit.domain.events import RefreshDue
from revisit.errors import InvalidInputError
from revisit.presenters import documents
from revisit.services.operations.dead_letters import get_dead_letter, list_dead_letters, replay_dead_letter


def list_(context: RequestContext) -> ResponseReturnValue:
    context.require_operator()
    return {
        "dead_letters": [
            {**documents.dead_letter(letter), "replay": f"/dead-letters/{quote(letter.id, safe='')}/replay"}
            for letter in list_dead_letters(context.backend)
        ]
    }


def show(context: RequestContext, id: str) -> ResponseReturnValue:
    context.require_operator()
    return documents.dead_letter(get_dead_letter(context.backend, id), body=True)


def replay(context: RequestContext, id: str) -> ResponseReturnValue:
    context.require_operator()
    return {"replayed": replay_dead_letter(context.backend, id).id}, 202


def refresh(context: RequestContext) -> ResponseReturnValue:
    """Request a refresh of one source or of all."""
    context.require_operator()
    spec = validate_source(context, request.args.get("source", ""))
    if not spec and not context.backend.sources:
        raise InvalidInputError("this server has no sources to refresh; start it with --source SPEC")
    event = RefreshDue(format_rfc3339(context.backend.now()), spec)
    context.backend.commit(lambda commit: commit.emit(event), completes_event=False)
    return {"asked": spec or "all sources", "at": event.at}, 202


ROUTES = (
    Route("GET", "/dead-letters", list_),
    Route("GET", "/dead-letters/<id>", show),
    Route("POST", "/dead-letters/<id>/replay", replay, idempotent=True),
    Route("POST", "/refresh", refresh, idempotent=True),
)
