"""The web page: the files of web/, served at the root."""

from pathlib import Path

from flask import Flask, abort, request, send_from_directory
from flask.typing import ResponseReturnValue

MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain",
}
"""Served suffixes and their media types, independent of the computer's MIME tables."""


def register_static_site(app: Flask, web_dir: Path) -> None:
    """Serve the files of a folder."""

    def file(name: str = "index.html") -> ResponseReturnValue:
        if (
            request.path == "/"
            and request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
        ):
            from revisit.api.routes.processes import landing

            return landing(), {"Vary": "Accept"}
        media_type = MEDIA_TYPES.get(Path(name).suffix)
        if media_type is None:
            abort(404)
        answer = send_from_directory(web_dir, name, mimetype=media_type, conditional=True, max_age=0)
        answer.headers["Cache-Control"] = "no-cache"
        return answer

    app.add_url_rule("/", "page", file)
    app.add_url_rule("/<path:name>", "file", file)
