"""What every request must pass, and what every answer carries."""

import hmac
from collections.abc import Collection
from uuid import uuid4

from flask import Flask, Response, g, request
from werkzeug.exceptions import Forbidden, Unauthorized
from werkzeug.http import HTTP_STATUS_CODES

from revisit.domain.api_key import KEY_PREFIX
from revisit.domain.audit_record import pseudonymize

QUICKLOOK_ORIGINS = (
    "https://storage.googleapis.com",
    "https://sentinel-cogs.s3.us-west-2.amazonaws.com",
    "https://roda.sentinel-hub.com",
)
"""Where quicklooks of products lie: pictures may come from there, and nothing else from anywhere else."""
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob: {' '.join(QUICKLOOK_ORIGINS)}; connect-src 'self'; font-src 'self'; "
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
"""Rules of what is everybody's."""


def register_security(
    app: Flask, hosts: Collection[str], token: str, allowed_origins: Collection[str] = ()
) -> None:
    """Put the guards before every route, and the headers on every answer.

    Args:
        sites: Origins whose pages may change things too, with a token or key of their user: no browser adds
            those by itself.
    """

    def check_request() -> None:
        g.request_id = uuid4().hex[:16]
        if hosts and _host_name(request.host) not in hosts:
            raise Forbidden(f"the request is for {request.host[:80]!r}, which this server is not called")
        if (
            request.method not in SAFE_METHODS
            and not _same_origin()
            and not (request.headers.get("Origin") in allowed_origins and bearer_token())
        ):
            raise Forbidden("a page of another origin may not change anything here")
        # A key is looked up where the route asks who it is.
        if token and not is_public() and not _has_token(token) and not bearer_token().startswith(KEY_PREFIX):
            raise Unauthorized("send the token of this server: Authorization: Bearer ...")

    def add_headers(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        response.headers["X-Request-Id"] = g.get("request_id", "")
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
    """The name without its port."""
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0].lower()


def _same_origin() -> bool:
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin.partition("://")[2].lower() == request.host.lower()
    return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")


def is_public() -> bool:
    """Whether what is asked for is everybody's: the page, the health, the specification, and feeds, whose
    address is the secret."""
    rule = request.url_rule.rule if request.url_rule else ""
    return rule in PUBLIC_RULES or rule.startswith("/feeds/")


def bearer_token() -> str:
    """The token or key that was sent; never one of the address, which logs and histories keep."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def client_pseudonym() -> str:
    """Tells addresses that requests come from apart without telling them. Google's front end puts the one it
    saw behind whatever
    the sender wrote there."""
    return pseudonymize(
        "origin",
        request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or request.remote_addr or "",
    )


def _has_token(token: str) -> bool:
    return hmac.compare_digest(bearer_token().encode(), token.encode())


def status_phrase(status: int) -> str:
    """The phrase of a status code."""
    return HTTP_STATUS_CODES.get(status, "Error")
