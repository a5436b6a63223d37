"""The page: the files of web/, as they are."""

from pathlib import Path

from flask import Flask, Response, send_from_directory


def serve(app: Flask, web: Path) -> None:
    """Serve the folder, where there is one."""
    if not (web / "index.html").is_file():
        return

    def page() -> Response:
        return file("index.html")

    def file(name: str) -> Response:
        return send_from_directory(web, name, conditional=True, max_age=0)

    app.add_url_rule("/", "page", page)
    app.add_url_rule("/web/<path:name>", "file", file)
