"""/me: who asks, all that is theirs, and its end."""

from flask.typing import ResponseReturnValue

from revisit import commands
from revisit.api.asked import Asked


def show(asked: Asked) -> ResponseReturnValue:
    me = asked.me
    return {"owner": me.owner, "operator": me.operator, "scopes": sorted(me.scopes | ({"operator"} if me.operator else set())), "key": me.key or None}


def export(asked: Asked) -> ResponseReturnValue:
    return commands.export(asked.backend, asked.owner), {"Content-Disposition": 'attachment; filename="revisit.json"', "Cache-Control": "no-store"}


def delete(asked: Asked) -> ResponseReturnValue:
    asked.in_person_only()
    return commands.erase(asked.backend, asked.owner)


ROUTES = (
    ("GET", "/me", show),
    ("GET", "/me/export", export),
    ("DELETE", "/me", delete),
)
