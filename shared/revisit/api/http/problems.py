"""Errors as problem details (RFC 9457): the one table from what was raised to what is answered."""

import json
import logging
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from revisit.api.http.request_context import InvalidBodyError
from revisit.api.http.security_headers import client_pseudonym, status_phrase
from revisit.errors import (
    ConflictError,
    InvalidGeometryError,
    InvalidInputError,
    NotFoundError,
    PermanentError,
    PreconditionFailedError,
    QuotaExceededError,
    TransientError,
    UnauthenticatedError,
)

ERROR_RESPONSES: tuple[tuple[type[Exception], int, str, str], ...] = (
    (NotFoundError, 404, "not-found", "No such thing"),
    (ConflictError, 409, "conflict", "Contradicts what is there"),
    (PreconditionFailedError, 412, "stale", "Changed meanwhile"),
    (UnauthenticatedError, 401, "unknown", "Who is asking"),
    (QuotaExceededError, 429, "too-many", "Too much at once"),
    (InvalidGeometryError, 422, "bad-shape", "That is no sound polygon"),
    (InvalidInputError, 422, "bad-input", "That makes no sense"),
    (PermanentError, 422, "cannot-be-done", "Cannot be done"),
    (TransientError, 503, "later", "Try again later"),
)
"""Error, status, type, title: the first line that fits. What else is raised is our fault, and 500."""

TYPE_URL_PREFIX = "/docs#"
"""Where each type is told of, which is also what it is known by."""
STAC_PREFIX = "/stac"
BLANK_TYPE = "about:blank"
"""The type of what the status says all about (RFC 9457, section 4.2.1)."""

MEDIA_TYPE = "application/problem+json"

MAX_TEXT_LENGTH = 1_000
"""Characters of a sentence: a value of 900 kB that was sent is not sent back."""
MAX_FAULTS = 20
"""Told of one body."""

log = logging.getLogger("revisit")


def register_error_handlers(app: Flask) -> None:
    """Answer every error as a problem."""

    def handle_error(error: Exception) -> Response:
        if isinstance(error, UnauthenticatedError):
            log.warning(
                "nobody we know asks for %s",
                request.url_rule.rule if request.url_rule else "",
                extra={"line": {"request_id": g.get("request_id", ""), "origin": client_pseudonym()}},
            )
        for kind, status, type, title in ERROR_RESPONSES:
            if isinstance(error, kind):
                # STAC API and OGC API Features have no other status for a question that makes no sense.
                status = 400 if status == 422 and request.path.startswith(STAC_PREFIX) else status
                return problem(
                    status,
                    title,
                    str(error),
                    _error_headers(error),
                    _extra_members(error),
                    TYPE_URL_PREFIX + type,
                )
        if isinstance(error, HTTPException):
            status = error.code or 500
            headers = {
                name: value
                for name, value in error.get_headers()
                if name in ("Allow", "Retry-After", "WWW-Authenticate")
            }
            if status == 401:
                headers.setdefault("WWW-Authenticate", "Bearer")
            return problem(status, status_phrase(status), error.description or status_phrase(status), headers)
        log.error(
            "%s %s failed",
            request.method,
            request.path,
            exc_info=error,
            extra={"line": {"request_id": g.get("request_id", "")}},
        )
        return problem(
            500,
            "Something went wrong here",
            "The fault is ours and has been noted; the request's id finds it in the log.",
            {},
        )

    app.register_error_handler(Exception, handle_error)


def _error_headers(error: Exception) -> dict[str, str]:
    """What a client needs beside the sentence."""
    if isinstance(error, QuotaExceededError):
        return {
            "Retry-After": str(error.retry_after_s),
            "RateLimit-Limit": str(error.limit),
            "RateLimit-Remaining": str(max(error.limit - error.used, 0)),
            "RateLimit-Reset": str(error.retry_after_s),
        }
    if isinstance(error, UnauthenticatedError):
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": "5"} if isinstance(error, TransientError) else {}


def _extra_members(error: Exception) -> dict[str, Any]:
    """What a page shows beside the sentence: where a shape is wrong, which member of a body."""
    if isinstance(error, InvalidGeometryError):
        return {
            "errors": [{"at": at, "why": why} for at, why in error.errors[:MAX_FAULTS]],
            "repairable": error.repairable,
        }
    return (
        {"errors": [{"pointer": error.pointer, "why": error.reason}]}
        if isinstance(error, InvalidBodyError)
        else {}
    )


def problem(
    status: int,
    title: str,
    detail: str,
    headers: dict[str, str],
    extra_members: dict[str, Any] | None = None,
    type: str = BLANK_TYPE,
) -> Response:
    """One problem."""
    body = {
        "type": type,
        "title": title,
        "status": status,
        "detail": _truncate(detail),
        "instance": _truncate(request.path),
        "request_id": g.get("request_id", ""),
        **(extra_members or {}),
    }
    return Response(
        json.dumps(body, ensure_ascii=False),
        status,
        {**headers, "Cache-Control": "no-store"},
        content_type=MEDIA_TYPE,
    )


def _truncate(text: str) -> str:
    """A sentence without the middle of what is too long in it: its end is the remedy."""
    return (
        text
        if len(text) <= MAX_TEXT_LENGTH
        else f"{text[: MAX_TEXT_LENGTH * 2 // 3]} ... {text[-MAX_TEXT_LENGTH // 4 :]}"
    )
