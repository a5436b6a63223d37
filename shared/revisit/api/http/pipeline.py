"""The pipeline of a request: authentication, audit, scope, idempotency, handler.

Audit precedes scope and idempotency, so that a request that is refused or repeated is recorded as well.
Errors propagate to the handler in `problems`.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from flask import Flask, Response, make_response, request

from revisit.api.http.audit_log import audit_request
from revisit.api.http.idempotency import answer_repeats
from revisit.api.http.request_context import RequestAuthenticator, RequestContext, Route
from revisit.api.resources import AppResources
from revisit.ports.backend import Backend

type Proceed = Callable[[RequestContext], Response]
"""The rest of the pipeline."""
type Step = Callable[[RequestContext, Proceed], Response]


def check_scope(context: RequestContext, proceed: Proceed) -> Response:
    """Refuse an API key that lacks the scope of the route."""
    context.require_scope("read" if context.route.reads else "write")
    return proceed(context)


STEPS: tuple[Step, ...] = (audit_request, check_scope, answer_repeats)
"""What follows authentication, outermost first."""


def add_routes(
    app: Flask,
    routes: Iterable[Route],
    backend: Backend,
    authenticate: RequestAuthenticator,
    resources: AppResources,
) -> None:
    """Serve routes: authenticate each request, then send it through the `STEPS` to the route's handler."""

    def serve(route: Route, **path_values: Any) -> Response:
        context = RequestContext(backend, authenticate(request), route, resources)

        def handle(context: RequestContext) -> Response:
            return make_response(route.handler(context, **path_values))

        proceed: Proceed = handle
        for step in reversed(STEPS):
            proceed = partial(_run_step, step=step, proceed=proceed)
        return proceed(context)

    for route in routes:
        name = f"{route.method} {route.path}"
        app.add_url_rule(route.path, name, partial(serve, route), methods=[route.method])


def _run_step(context: RequestContext, step: Step, proceed: Proceed) -> Response:
    return step(context, proceed)
