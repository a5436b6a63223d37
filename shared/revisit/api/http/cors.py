"""CORS (Fetch standard, section 3.2): pages of the deployment's own sites, named exactly, may send requests.

The API reads no cookies, so a page can act for a user only with that user's token.
"""

from collections.abc import Collection

from flask import Flask, Response, request

ALLOWED_METHODS = "GET, HEAD, POST, PATCH, DELETE"
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Range"
EXPOSED_HEADERS = (
    "Location, ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id, "
    "Accept-Ranges, Content-Range, Content-Length, Content-Disposition, WWW-Authenticate"
)
"""Response headers that a page may read."""
PREFLIGHT_MAX_AGE_S = "3600"
"""How long a browser may cache the answer to a preflight request."""


def register_cors(app: Flask, allowed_origins: Collection[str]) -> None:
    """Answer preflight requests of these origins, and add CORS headers for them."""
    if not allowed_origins:
        return

    def preflight() -> Response | None:
        if (
            request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers
            and request.headers.get("Origin") in allowed_origins
        ):
            return Response(
                status=204,
                headers={
                    "Access-Control-Allow-Methods": ALLOWED_METHODS,
                    "Access-Control-Allow-Headers": ALLOWED_HEADERS,
                    "Access-Control-Max-Age": PREFLIGHT_MAX_AGE_S,
                },
            )
        return None

    def add_cors_headers(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin in allowed_origins and origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    app.before_request(preflight)
    app.after_request(add_cors_headers)
