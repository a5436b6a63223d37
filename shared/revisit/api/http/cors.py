"""Which pages of other origins may ask (CORS, Fetch standard section 3.2): those of the deployment's own sites, named exactly.

No cookie is ever read, so that no page can act for a user without holding their token.
"""

from collections.abc import Collection

from flask import Flask, Response, request

METHODS = "GET, HEAD, POST, PATCH, DELETE"
SENT = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Range"
SEEN = ("Location, ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id, Accept-Ranges, Content-Range, "
        "Content-Length, Content-Disposition, WWW-Authenticate")
"""Headers of an answer that a page may read."""
REMEMBERED_S = "3600"
"""How long a browser need not ask again whether it may."""


def allow(app: Flask, sites: Collection[str]) -> None:
    """Answer the browsers of these sites' users; those of others get no word of permission."""
    if not sites:
        return

    def preflight() -> Response | None:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers and request.headers.get("Origin") in sites:
            return Response(status=204, headers={"Access-Control-Allow-Methods": METHODS, "Access-Control-Allow-Headers": SENT,
                                                 "Access-Control-Max-Age": REMEMBERED_S})
        return None

    def permit(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin in sites and origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = SEEN
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    app.before_request(preflight)
    app.after_request(permit)
