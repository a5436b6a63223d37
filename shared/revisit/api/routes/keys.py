"""/keys: API keys of the caller."""

import msgspec
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import Names, RequestContext, Route
from revisit.presenters import documents
from revisit.services.accounts.keys import create_key, list_keys, revoke_key


class CreateKeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /keys."""

    name: str
    scopes: Names = ("read",)
    days: int | None = None


def create(context: RequestContext) -> ResponseReturnValue:
    """Create a key; not idempotent, since the stored answer would contain the secret."""
    context.reject_api_key()
    body = context.decode_body(CreateKeyBody)
    if "operator" in body.scopes:
        context.require_operator()
    key, secret = create_key(context.backend, body.name, body.scopes, body.days, context.owner_id)
    return (
        {**documents.api_key(key, context.backend.now()), "secret": secret},
        201,
        {"Location": f"/keys/{key.id}", "Cache-Control": "no-store"},
    )


def list_(context: RequestContext) -> ResponseReturnValue:
    now = context.backend.now()
    return {"keys": [documents.api_key(one, now) for one in list_keys(context.backend, context.owner_id)]}


def revoke(context: RequestContext, id: str) -> ResponseReturnValue:
    context.reject_api_key()
    revoke_key(context.backend, id, context.owner_id)
    return "", 204


ROUTES = (
    Route("POST", "/keys", create),
    Route("GET", "/keys", list_),
    Route("DELETE", "/keys/<id>", revoke),
)
