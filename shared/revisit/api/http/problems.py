"""Errors as problem details (RFC 9457): the one table from what was raised to what is answered."""

import json
import logging
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from revisit.api.http.request_context import BadBody
from revisit.api.http.security_headers import reason, sender
from revisit.errors import BadInput, BadShape, Conflict, GiveUp, NotFound, Retry, Stale, TooMany, Unknown

STATUS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (NotFound, 404, "not-found", "No such thing"),
    (Conflict, 409, "conflict", "Contradicts what is there"),
    (Stale, 412, "stale", "Changed meanwhile"),
    (Unknown, 401, "unknown", "Who is asking"),
    (TooMany, 429, "too-many", "Too much at once"),
    (BadShape, 422, "bad-shape", "That is no sound polygon"),
    (BadInput, 422, "bad-input", "That makes no sense"),
    (GiveUp, 422, "cannot-be-done", "Cannot be done"),
    (Retry, 503, "later", "Try again later"),
)
"""Error, status, type, title: the first line that fits. What else is raised is our fault, and 500."""

TYPES = "/docs#"
"""Where each type is told of, which is also what it is known by."""
STAC = "/stac"
BLANK = "about:blank"
"""The type of what the status says all about (RFC 9457, section 4.2.1)."""

MEDIA_TYPE = "application/problem+json"

LONGEST = 1_000
"""Characters of a sentence: a value of 900 kB that was sent is not sent back."""
MOST_FAULTS = 20
"""Told of one body."""

log = logging.getLogger("revisit")


def speak(app: Flask) -> None:
    """Answer every error as a problem."""

    def answer(error: Exception) -> Response:
        if isinstance(error, Unknown):
            log.warning("nobody we know asks for %s", request.url_rule.rule if request.url_rule else "",
                        extra={"line": {"request_id": g.get("request_id", ""), "origin": sender()}})
        for kind, status, type, title in STATUS:
            if isinstance(error, kind):
                # STAC API and OGC API Features have no other status for a question that makes no sense.
                status = 400 if status == 422 and request.path.startswith(STAC) else status
                return problem(status, title, str(error), _headers(error), _more(error), TYPES + type)
        if isinstance(error, HTTPException):
            status = error.code or 500
            headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After", "WWW-Authenticate")}
            if status == 401:
                headers.setdefault("WWW-Authenticate", "Bearer")
            return problem(status, reason(status), error.description or reason(status), headers)
        log.error("%s %s failed", request.method, request.path, exc_info=error, extra={"line": {"request_id": g.get("request_id", "")}})
        return problem(500, "Something went wrong here", "The fault is ours and has been noted; the request's id finds it in the log.", {})

    app.register_error_handler(Exception, answer)


def _headers(error: Exception) -> dict[str, str]:
    """What a client needs beside the sentence."""
    if isinstance(error, TooMany):
        return {"Retry-After": str(error.wait_s), "RateLimit-Limit": str(error.limit),
                "RateLimit-Remaining": str(max(error.limit - error.used, 0)), "RateLimit-Reset": str(error.wait_s)}
    if isinstance(error, Unknown):
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": "5"} if isinstance(error, Retry) else {}


def _more(error: Exception) -> dict[str, Any]:
    """What a page shows beside the sentence: where a shape is wrong, which member of a body."""
    if isinstance(error, BadShape):
        return {"errors": [{"at": at, "why": why} for at, why in error.errors[:MOST_FAULTS]], "repairable": error.repairable}
    return {"errors": [{"pointer": error.pointer, "why": error.why}]} if isinstance(error, BadBody) else {}


def problem(status: int, title: str, detail: str, headers: dict[str, str], more: dict[str, Any] | None = None, type: str = BLANK) -> Response:
    """One problem."""
    body = {"type": type, "title": title, "status": status, "detail": _shortened(detail), "instance": _shortened(request.path),
            "request_id": g.get("request_id", ""), **(more or {})}
    return Response(json.dumps(body, ensure_ascii=False), status, {**headers, "Cache-Control": "no-store"}, content_type=MEDIA_TYPE)


def _shortened(text: str) -> str:
    """A sentence without the middle of what is too long in it: its end is the remedy."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST * 2 // 3]} ... {text[-LONGEST // 4:]}"
