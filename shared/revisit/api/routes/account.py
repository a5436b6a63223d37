"""/me: who asks, all that is theirs, and its end."""

from flask.typing import ResponseReturnValue

from revisit import services
from revisit.api.http.request_context import Asked


def show(asked: Asked) -> ResponseReturnValue:
    me = asked.me
    return {"owner": me.owner, "operator": me.operator, "scopes": sorted(me.scopes | ({"operator"} if me.operator else set())), "key": me.key or None}


def export(asked: Asked) -> ResponseReturnValue:
    return services.export(asked.backend, asked.owner), {"Content-Disposition": 'attachment; filename="revisit.json"', "Cache-Control": "no-store"}


def delete(asked: Asked) -> ResponseReturnValue:
    asked.in_person_only()
    return services.erase(asked.backend, asked.owner)


ROUTES = (
    ("GET", "/me", show),
    ("GET", "/me/export", export),
    ("DELETE", "/me", delete),
)
