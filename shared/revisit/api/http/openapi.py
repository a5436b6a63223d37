"""The specification of this API (OpenAPI 3.1), which is the source of truth: put together of one piece a room, and served as a page too.

A piece tells what its routes take and give. What any route of its kind may answer besides is added here, so that no piece repeats it.
Own members of an operation:

    x-who          whose it is: open (everybody's), theirs (each asker has their own), mine (of one owner; it is not there for others),
                   whole (for those who look after the whole)
    x-in-person    refused to keys
    x-asks         a POST that changes nothing: a key that reads is enough
"""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from flask import Response
from flask.typing import ResponseReturnValue

from revisit import __version__
from revisit.api.http.request_context import Asked
from revisit.errors import NotFound

PIECES = Path(__file__).parents[1] / "openapi"
PAGE = Path(__file__).parents[1] / "docs"
FILES = {"docs.html": "text/html; charset=utf-8", "docs.js": "text/javascript; charset=utf-8", "docs.css": "text/css; charset=utf-8"}
METHODS = ("get", "post", "put", "patch", "delete")
WHO = ("open", "theirs", "mine", "whole")

_PROBLEM, _LATER, _UNCHANGED = ({"$ref": f"#/components/responses/{name}"} for name in ("Problem", "Later", "Unchanged"))


@cache
def specification() -> dict[str, Any]:
    """All pieces as one document."""
    merged: dict[str, Any] = _read("base.json")
    for file in sorted(path.name for path in PIECES.glob("*.json") if path.name != "base.json"):
        piece = _read(file)
        _add(merged["paths"], piece.get("paths", {}), file)
        for kind, named in piece.get("components", {}).items():
            _add(merged["components"].setdefault(kind, {}), named, file)
        merged["tags"] += piece.get("tags", [])
    for path, methods in merged["paths"].items():
        for method in METHODS:
            if method in methods:
                methods[method] = _completed(path, method, methods[method])
    merged["info"]["version"] = __version__
    return merged


@cache
def document() -> bytes:
    """The specification as it is sent."""
    return msgspec.json.encode(specification())


def show(asked: Asked) -> Response:
    del asked
    return Response(document(), content_type="application/json")


def page(asked: Asked, file: str = "docs.html") -> ResponseReturnValue:
    del asked
    if file not in FILES:
        raise NotFound(f"the page of the specification has no file {file[:80]!r}")
    return Response((PAGE / file).read_bytes(), content_type=FILES[file])


def _read(name: str) -> Any:
    return msgspec.json.decode((PIECES / name).read_bytes())


def _add(there: dict[str, Any], new: dict[str, Any], file: str) -> None:
    if twice := there.keys() & new.keys():
        raise ValueError(f"{file} names {', '.join(sorted(twice))}, which another piece of the specification has")
    there |= new


def _completed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """An operation with the answers that any of its kind may give; those it tells of itself stand."""
    common = {"403": _PROBLEM, "503": _LATER}  # another Host, no right; something does not answer
    if method == "get":
        common["304"] = _UNCHANGED
    if operation["x-who"] != "open":
        common["401"] = _PROBLEM
    if "{" in path:
        common["404"] = _PROBLEM
    if "requestBody" in operation:
        common |= dict.fromkeys(("413", "415"), _PROBLEM)
    if "requestBody" in operation or any(parameter.get("in") != "path" for parameter in operation.get("parameters", ())):
        common["422"] = _PROBLEM
    answers = dict(sorted((common | operation["responses"]).items()))
    return {**operation, "responses": answers, **({"security": []} if operation["x-who"] == "open" else {})}


ROUTES = (
    ("GET", "/openapi.json", show),
    ("GET", "/docs", page),
    ("GET", "/docs/<file>", page),
)
