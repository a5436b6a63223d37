"""/dead-letters and /refresh: for those who run the service."""

from urllib.parse import quote

from flask import request
from flask.typing import ResponseReturnValue

from revisit import services
from revisit.api.http.idempotency import once
from revisit.api.http.request_context import Asked
from revisit.api.routes.orders import known_source
from revisit.domain.clock import rfc3339
from revisit.domain.events import RefreshDue
from revisit.errors import BadInput
from revisit.presenters import documents


def list_(asked: Asked) -> ResponseReturnValue:
    asked.operator_only()
    return {"dead_letters": [{**documents.dead_letter(letter), "replay": f"/dead-letters/{quote(letter.id, safe='')}/replay"}
                             for letter in services.dead_letters(asked.backend)]}


def show(asked: Asked, id: str) -> ResponseReturnValue:
    asked.operator_only()
    return documents.dead_letter(services.dead_letter(asked.backend, id), body=True)


def replay(asked: Asked, id: str) -> ResponseReturnValue:
    asked.operator_only()
    return once(asked, lambda: ({"replayed": services.replay(asked.backend, id).id}, 202))


def refresh(asked: Asked) -> ResponseReturnValue:
    """Have the sources asked for what is new."""
    asked.operator_only()

    def work() -> ResponseReturnValue:
        spec = known_source(asked, request.args.get("source", ""))
        if not spec and not asked.backend.sources:
            raise BadInput("no source is refreshed here; start the server with --source SPEC")
        event = RefreshDue(rfc3339(asked.backend.now()), spec)
        asked.backend.commit(lambda commit: commit.emit(event), last=False)
        return {"asked": spec or "all sources", "at": event.at}, 202

    return once(asked, work)


ROUTES = (
    ("GET", "/dead-letters", list_),
    ("GET", "/dead-letters/<id>", show),
    ("POST", "/dead-letters/<id>/replay", replay),
    ("POST", "/refresh", refresh),
)
