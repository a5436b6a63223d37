"""Slashes in the path of a request: doubled ones and those at the end say nothing."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REDIRECTED = ("/docs",)
"""Pages whose links are relative to their address, so the browser must know the right one."""


def normalize_slashes(app: "WSGIApplication") -> "WSGIApplication":
    """A WSGI application that answers /stac/ and //stac as `app` answers /stac, in any method."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        given = environ.get("PATH_INFO", "")
        path = re.sub("/{2,}", "/", given).rstrip("/") or "/"
        if path == given or not given:
            return app(environ, start_response)
        if path in REDIRECTED:
            moved = Response(status=308, headers={"Location": environ.get("SCRIPT_NAME", "") + path})
            return moved(environ, start_response)
        return app({**environ, "PATH_INFO": path}, start_response)

    return serve
