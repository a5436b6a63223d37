"""/keys: what programs carry in their owner's place."""

import msgspec
from flask.typing import ResponseReturnValue

from revisit import services
from revisit.api.http.request_context import Asked, Names
from revisit.presenters import documents


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /keys."""

    name: str
    scopes: Names = ("read",)
    days: int | None = None


def create(asked: Asked) -> ResponseReturnValue:
    """Make a key. An Idempotency-Key is not heeded: what it would keep is the key itself."""
    asked.in_person_only()
    body = asked.body(Wish)
    if "operator" in body.scopes:
        asked.operator_only()
    made, text = services.make_key(asked.backend, body.name, body.scopes, body.days, asked.owner)
    return {**documents.key(made, asked.backend.now()), "secret": text}, 201, {"Location": f"/keys/{made.id}", "Cache-Control": "no-store"}


def list_(asked: Asked) -> ResponseReturnValue:
    now = asked.backend.now()
    return {"keys": [documents.key(one, now) for one in services.keys(asked.backend, asked.owner)]}


def revoke(asked: Asked, id: str) -> ResponseReturnValue:
    asked.in_person_only()
    services.revoke_key(asked.backend, id, asked.owner)
    return "", 204


ROUTES = (
    ("POST", "/keys", create),
    ("GET", "/keys", list_),
    ("DELETE", "/keys/<id>", revoke),
)
