"""Checks of host, origin and server token before every route, and security headers on every answer."""

import hmac
from collections.abc import Collection
from uuid import uuid4

from flask import Flask, Response, request
from werkzeug.exceptions import Forbidden, Unauthorized
from werkzeug.http import HTTP_STATUS_CODES

from revisit.domain.api_key import KEY_PREFIX
from revisit.domain.audit_record import pseudonymize

QUICKLOOK_ORIGINS = (
    "https://storage.googleapis.com",
    "https://sentinel-cogs.s3.us-west-2.amazonaws.com",
    "https://roda.sentinel-hub.com",
)
"""Origins of product quicklooks: images may be loaded from them, and nothing else from other origins."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    f"img-src 'self' data: blob: {' '.join(QUICKLOOK_ORIGINS)}; connect-src 'self'; font-src 'self'; "
    "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PUBLIC_RULES = ("/", "/<path:name>", "/health", "/openapi.json", "/docs", "/docs/<file>")
"""URL rules that need no credentials."""


def register_security(
    app: Flask, hosts: Collection[str], token: str, allowed_origins: Collection[str] = ()
) -> None:
    """Check every request before its route, and add the headers to every answer.

    Args:
        hosts: Host names that requests may name; empty allows any.
        token: Token that requests must carry; empty requires none.
        allowed_origins: Other origins whose pages may change data, with the user's token or key: no browser
            sends these by itself.
    """

    def check_request() -> None:
        if hosts and _host_name(request.host) not in hosts:
            raise Forbidden(f"{request.host[:80]!r} is not a host name of this server")
        if (
            request.method not in SAFE_METHODS
            and not _same_origin()
            and not (request.headers.get("Origin") in allowed_origins and bearer_token())
        ):
            raise Forbidden("pages of other origins may not change data on this server")
        # API keys are verified by authentication.
        if token and not is_public() and not _has_token(token) and not bearer_token().startswith(KEY_PREFIX):
            raise Unauthorized("send the token of this server: Authorization: Bearer ...")

    def add_headers(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        response.headers["X-Request-Id"] = request_id()
        response.headers.setdefault("Cache-Control", "no-cache")
        if (
            request.method in ("GET", "HEAD")
            and response.status_code == 200
            and not response.direct_passthrough
        ):
            response.add_etag()
            response.make_conditional(request)
        return response

    app.before_request(check_request)
    app.after_request(add_headers)


def _host_name(text: str) -> str:
    """A host without its port."""
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0].lower()


def _same_origin() -> bool:
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin.partition("://")[2].lower() == request.host.lower()
    return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")


def is_public() -> bool:
    """Whether the route needs no credentials: page, health, specification, feeds with secret addresses."""
    rule = request.url_rule.rule if request.url_rule else ""
    return rule in PUBLIC_RULES or rule.startswith("/feeds/")


def bearer_token() -> str:
    """The token or key in the Authorization header; never read from the URL, which logs and browsers keep."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def client_pseudonym() -> str:
    """Pseudonym of the client's address, which Google's front end appends to X-Forwarded-For."""
    return pseudonymize(
        "origin",
        request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or request.remote_addr or "",
    )


def _has_token(token: str) -> bool:
    return hmac.compare_digest(bearer_token().encode(), token.encode())


def request_id() -> str:
    """Id of the current request, in its answer and in the log."""
    known: str = request.environ.setdefault("revisit.request_id", uuid4().hex[:16])
    return known


def status_phrase(status: int) -> str:
    """The phrase of a status code."""
    return HTTP_STATUS_CODES.get(status, "Error")
