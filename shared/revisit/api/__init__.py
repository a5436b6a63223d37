"""The HTTP API and the web page, as a Flask application over a backend."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from revisit.ports.backend import Backend

if TYPE_CHECKING:
    from flask import Flask

    from revisit.api.http.request_context import RequestAuthenticator, Route

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Host names of this computer; a page of another host cannot send them (protection from DNS rebinding)."""

MAX_BODY_BYTES = 1_000_000
"""Largest request body."""


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
        data: The data folder; its file `token` holds the token where none is given.
        token: Every request must carry it (Authorization: Bearer), except for the page, /health and feeds;
            empty requires none.
        hosts: Host names that requests may name, without ports; empty allows any, where the platform routes
            by it. By default those of this computer, and any in a deployment that users sign in to.
        authenticate: Returns who sent a request; by default users sign in as the backend's settings say, and
            without sign-in everybody is the owner of this computer.
        web: Folder of the page; by default that of this checkout, if it has one.
    """
    from flask import Flask

    from revisit.api.http import cors, problems, security_headers
    from revisit.api.http.authentication import make_authenticator
    from revisit.api.http.pipeline import add_routes
    from revisit.api.http.url_paths import normalize_slashes
    from revisit.api.resources import make_resources
    from revisit.api.routes import static_site

    app = Flask("revisit", static_folder=None)
    app.wsgi_app = normalize_slashes(app.wsgi_app)  # type: ignore[method-assign, assignment]
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]  # an attribute of Flask's default provider
    allowed_origins = backend.settings.authenticator.allowed_origins if backend.settings.authenticator else ()
    if hosts is None:
        hosts = () if backend.settings.authenticator else LOCAL_HOSTS
    security_headers.register_security(app, hosts, token or _read_token(data), allowed_origins)
    cors.register_cors(app, allowed_origins)
    problems.register_error_handlers(app)
    authenticate = authenticate or make_authenticator(backend)
    add_routes(app, all_routes(), backend, authenticate, make_resources(backend))
    static_site.register_static_site(app, web or Path(__file__).parents[3] / "web")
    return app


def all_routes() -> "list[Route]":
    """All routes except those of the page."""
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
