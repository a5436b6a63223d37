"""The HTTP API and the page, as a Flask application over a backend."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from revisit.ports.backend import Backend

if TYPE_CHECKING:
    from flask import Flask

    from revisit.api.http.request_context import RequestAuthenticator, Route

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names of this computer; a page elsewhere that has itself resolved to it does not know them (DNS
rebinding)."""

MAX_BODY_BYTES = 1_000_000
"""Bytes of a request."""


def create_app(
    backend: Backend,
    data: Path | None = None,
    *,
    token: str = "",
    hosts: Collection[str] | None = None,
    authenticate: "RequestAuthenticator | None" = None,
    web: Path | None = None,
) -> "Flask":
    """Make the application.

    Args:
        backend: What it answers from.
        data: The data folder; a file `token` in it is the token, where none is given.
        token: Where there is one, every request but those for the page, /health and feeds carries it:
            Authorization: Bearer.
        hosts: What a request's Host may be, ports aside; empty means any, where the platform routes by it. By
            default this computer's
            names, and any in a deployment that users sign in to.
        identify: Tells who asks; by default what the backend's users sign in with, and where they do not sign
            in whoever is let in
            is the owner of this computer.
        web: Folder of the page; by default the one of this checkout, where there is one.
    """
    from flask import Flask

    from revisit.api.http import audit_log, cors, problems, security_headers
    from revisit.api.http.authentication import make_authenticator
    from revisit.api.http.request_context import add_routes
    from revisit.api.routes import static_site

    app = Flask("revisit", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    allowed_origins = backend.settings.authenticator.allowed_origins if backend.settings.authenticator else ()
    if hosts is None:
        hosts = () if backend.settings.authenticator else LOCAL_HOSTS
    security_headers.register_security(app, hosts, token or _read_token(data), allowed_origins)
    cors.register_cors(app, allowed_origins)
    audit_log.register_audit(app, backend)
    problems.register_error_handlers(app)
    add_routes(app, all_routes(), backend, authenticate or make_authenticator(backend))
    static_site.register_static_site(app, web or Path(__file__).parents[3] / "web")
    return app


def all_routes() -> "list[Route]":
    """Every route but those of the page."""
    from revisit.api import stac
    from revisit.api.http import audit_log, openapi
    from revisit.api.routes import (
        account,
        aoi_input,
        dead_letters,
        deliveries,
        event_stream,
        feeds,
        keys,
        orders,
        passes,
        processes,
        recipes,
        results,
        status,
        subscriptions,
    )

    return [
        route
        for module in (
            status,
            aoi_input,
            subscriptions,
            deliveries,
            orders,
            results,
            stac,
            feeds,
            keys,
            account,
            dead_letters,
            audit_log,
            openapi,
            passes,
            recipes,
            processes,
            event_stream,
        )
        for route in module.ROUTES
    ]


def _read_token(data: Path | None) -> str:
    file = data / "token" if data else None
    return file.read_text().strip() if file and file.is_file() else ""
