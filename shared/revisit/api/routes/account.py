"""/me: the principal of the request, export and deletion of the account."""

from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.services.accounts.account import delete_account, export_account


def show(context: RequestContext) -> ResponseReturnValue:
    me = context.principal
    return {
        "owner": me.owner_id,
        "operator": me.operator,
        "scopes": sorted(me.scopes | ({"operator"} if me.operator else set())),
        "key": me.key_id or None,
    }


def export(context: RequestContext) -> ResponseReturnValue:
    return export_account(context.backend, context.owner_id), {
        "Content-Disposition": 'attachment; filename="revisit.json"',
        "Cache-Control": "no-store",
    }


def delete(context: RequestContext) -> ResponseReturnValue:
    context.reject_api_key()
    return delete_account(context.backend, context.owner_id)


ROUTES = (
    Route("GET", "/me", show),
    Route("GET", "/me/export", export),
    Route("DELETE", "/me", delete),
)
