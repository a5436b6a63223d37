"""Errors as problem details (RFC 9457): one table from error type to status, problem type and title."""

import json
import logging
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError

from revisit.api.http.request_context import InvalidBodyError
from revisit.api.http.security_headers import client_pseudonym, request_id, status_phrase
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
    (NotFoundError, 404, "not-found", "Not found"),
    (ConflictError, 409, "conflict", "Conflict"),
    (PreconditionFailedError, 412, "stale", "Precondition failed"),
    (UnauthenticatedError, 401, "unknown", "Unauthenticated"),
    (QuotaExceededError, 429, "too-many", "Quota exceeded"),
    (InvalidGeometryError, 422, "bad-shape", "Invalid geometry"),
    (InvalidInputError, 422, "bad-input", "Invalid input"),
    (PermanentError, 422, "cannot-be-done", "Cannot be processed"),
    (TransientError, 503, "later", "Temporarily unavailable"),
)
"""Error, status, type and title; the first row that matches applies. Every other error is a bug: 500."""

TYPE_URL_PREFIX = "/docs#"
"""Where each problem type is documented; part of its identifier."""
STAC_PREFIX = "/stac"
BLANK_TYPE = "about:blank"
"""Type of a problem that its status says all about (RFC 9457, section 4.2.1)."""

MEDIA_TYPE = "application/problem+json"

MAX_TEXT_LENGTH = 1_000
"""Longest detail in characters: a value of 900 kB is not sent back."""
MAX_FAULTS = 20
"""Faults listed for one body."""

log = logging.getLogger("revisit")


class OgcNotFoundError(NotFoundError):
    """Not found, with a problem type that an OGC standard defines."""

    def __init__(self, type_url: str, message: str) -> None:
        super().__init__(message)
        self.type_url = type_url


def register_error_handlers(app: Flask) -> None:
    """Answer every error as problem details, those outside the pipeline too, such as an unknown path."""
    app.register_error_handler(Exception, error_response)


def error_response(error: Exception) -> Response:
    """The problem details of an error."""
    if isinstance(error, InternalServerError) and isinstance(error.original_exception, Exception):
        error = error.original_exception  # raised after the handler, while the answer was completed
    if isinstance(error, UnauthenticatedError):
        log.warning(
            "unauthenticated request for %s",
            request.url_rule.rule if request.url_rule else "",
            extra={"line": {"request_id": request_id(), "origin": client_pseudonym()}},
        )
    for error_type, status, type, title in ERROR_RESPONSES:
        if isinstance(error, error_type):
            # STAC API and OGC API Features define 400 for invalid parameters, not 422.
            status = 400 if status == 422 and request.path.startswith(STAC_PREFIX) else status
            type_url = error.type_url if isinstance(error, OgcNotFoundError) else TYPE_URL_PREFIX + type
            return problem(status, title, str(error), _headers(error), _extra_members(error), type_url)
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
        extra={"line": {"request_id": request_id()}},
    )
    return problem(
        500,
        "Internal error",
        "The server failed to handle this request; quote its request_id when you report the error.",
        {},
    )


def _headers(error: Exception) -> dict[str, str]:
    """Headers that go with an error."""
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
    """Members that locate the fault: coordinates of a geometry, or a member of the body."""
    if isinstance(error, InvalidGeometryError):
        return {
            "errors": [{"at": at, "why": why} for at, why in error.errors[:MAX_FAULTS]],
            "repairable": error.repairable,
        }
    if isinstance(error, InvalidBodyError):
        return {"errors": [{"pointer": error.pointer, "why": error.reason}]}
    return {}


def problem(
    status: int,
    title: str,
    detail: str,
    headers: dict[str, str],
    extra_members: dict[str, Any] | None = None,
    type: str = BLANK_TYPE,
) -> Response:
    """A response with problem details."""
    body = {
        "type": type,
        "title": title,
        "status": status,
        "detail": _truncate(detail),
        "instance": _truncate(request.path),
        "request_id": request_id(),
        **(extra_members or {}),
    }
    return Response(
        json.dumps(body, ensure_ascii=False),
        status,
        {**headers, "Cache-Control": "no-store"},
        content_type=MEDIA_TYPE,
    )


def _truncate(text: str) -> str:
    """A long sentence without its middle; its end states the remedy."""
    if len(text) <= MAX_TEXT_LENGTH:
        return text
    return f"{text[: MAX_TEXT_LENGTH * 2 // 3]} ... {text[-MAX_TEXT_LENGTH // 4 :]}"
