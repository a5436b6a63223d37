"""The OpenAPI 3.1 document of the API, assembled from one file per subject, and its page.

A file describes the parameters and responses of its routes. Responses that every route of a kind can have are
added here. Extension members of an operation:

    x-who          access: open (everyone), theirs (each caller has their own), mine (one owner's; not found
                   for others), whole (operators)
    x-in-person    rejected for API keys
    x-asks         a POST that changes nothing: the scope read suffices
"""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from flask import Response
from flask.typing import ResponseReturnValue

from revisit import __version__
from revisit.api.http.request_context import RequestContext, Route
from revisit.errors import NotFoundError

PARTS_DIR = Path(__file__).parents[1] / "openapi"
DOCS_DIR = Path(__file__).parents[1] / "docs"
DOCS_MEDIA_TYPES = {
    "docs.html": "text/html; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "docs.css": "text/css; charset=utf-8",
}
HTTP_METHODS = ("get", "post", "put", "patch", "delete")

_PROBLEM, _UNAVAILABLE, _NOT_MODIFIED = (
    {"$ref": f"#/components/responses/{name}"} for name in ("Problem", "Later", "Unchanged")
)


@cache
def specification() -> dict[str, Any]:
    """The merged document."""
    merged: dict[str, Any] = _read_part("base.json")
    for file in sorted(path.name for path in PARTS_DIR.glob("*.json") if path.name != "base.json"):
        part = _read_part(file)
        _add_unique(merged["paths"], part.get("paths", {}), file)
        for kind, named in part.get("components", {}).items():
            _add_unique(merged["components"].setdefault(kind, {}), named, file)
        merged["tags"] += part.get("tags", [])
    for path, methods in merged["paths"].items():
        for method in HTTP_METHODS:
            if method in methods:
                methods[method] = _add_common_responses(path, method, methods[method])
    merged["info"]["version"] = __version__
    return merged


@cache
def specification_json() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(specification())


def show(context: RequestContext) -> Response:
    del context
    return Response(specification_json(), content_type="application/json")


def docs_page(context: RequestContext, file: str = "docs.html") -> ResponseReturnValue:
    del context
    if file not in DOCS_MEDIA_TYPES:
        raise NotFoundError(f"the API reference has no file {file[:80]!r}")
    return Response((DOCS_DIR / file).read_bytes(), content_type=DOCS_MEDIA_TYPES[file])


def _read_part(name: str) -> Any:
    return msgspec.json.decode((PARTS_DIR / name).read_bytes())


def _add_unique(target: dict[str, Any], new: dict[str, Any], file: str) -> None:
    if duplicates := target.keys() & new.keys():
        raise ValueError(
            f"{file} names {', '.join(sorted(duplicates))}, which another file of the document defines too"
        )
    target |= new


def _add_common_responses(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """An operation with the responses common to its kind; its own responses take precedence."""
    common = {
        "403": _PROBLEM,
        "503": _UNAVAILABLE,
    }  # wrong host or missing permission; a source or store does not answer
    if method == "get":
        common["304"] = _NOT_MODIFIED
    if operation["x-who"] != "open":
        common["401"] = _PROBLEM
    if "{" in path:
        common["404"] = _PROBLEM
    if "requestBody" in operation:
        common |= dict.fromkeys(("413", "415"), _PROBLEM)
    if "requestBody" in operation or any(
        parameter.get("in") != "path" for parameter in operation.get("parameters", ())
    ):
        common["422"] = _PROBLEM
    answers = dict(sorted((common | operation["responses"]).items()))
    return {**operation, "responses": answers, **({"security": []} if operation["x-who"] == "open" else {})}


ROUTES = (
    Route("GET", "/openapi.json", show),
    Route("GET", "/docs", docs_page),
    Route("GET", "/docs/<file>", docs_page),
)
