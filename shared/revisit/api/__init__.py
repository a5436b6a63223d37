"""The HTTP API and the page, as a Flask application over a backend."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from revisit.backend import Backend

if TYPE_CHECKING:
    from flask import Flask

    from revisit.api.asked import Identify

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names of this computer; a page elsewhere that has itself resolved to it does not know them (DNS rebinding)."""

MAX_BODY = 1_000_000
"""Bytes of a request."""


def create_app(backend: Backend, data: Path | None = None, *, token: str = "", hosts: Collection[str] = LOCAL_HOSTS,
               identify: "Identify | None" = None, web: Path | None = None) -> "Flask":
    """Make the application.

    Args:
        backend: What it answers from.
        data: The data folder; a file `token` in it is the token, where none is given.
        token: Where there is one, every request but those for the page, /health and feeds carries it: Authorization: Bearer.
        hosts: What a request's Host may be, ports aside; empty means any, where the platform routes by it.
        identify: Tells who asks; by default whoever is let in is the owner of this computer.
        web: Folder of the page; by default the one of this checkout, where there is one.
    """
    from flask import Flask

    from revisit.api import dead_letters, feeds, guards, orders, pages, problems, results, status, subscriptions
    from revisit.api.asked import add_routes, local_owner

    app = Flask("revisit", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    guards.guard(app, hosts, token or _token_in(data))
    problems.speak(app)
    for module in (status, subscriptions, orders, results, feeds, dead_letters):
        add_routes(app, module.ROUTES, backend, identify or local_owner)
    pages.serve(app, web or Path(__file__).parents[3] / "web")
    return app


def _token_in(data: Path | None) -> str:
    file = data / "token" if data else None
    return file.read_text().strip() if file and file.is_file() else ""
