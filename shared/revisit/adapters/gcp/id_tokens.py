"""ID tokens of Identity Platform and Firebase, verified: signed by Google, for this very project, of
somebody, and not over.

Form and claims: Firebase, "Verify ID tokens using a third-party JWT library". The audience is what keeps the
tokens of every other
project out: Google signs theirs with the same keys.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock, system_clock
from revisit.errors import InvalidInputError, TransientError, UnauthenticatedError
from revisit.ports.authenticator import Authenticator, Claims

if TYPE_CHECKING:
    from google.auth.transport import Response

CERTIFICATES_URL = "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
"""Google's certificates for these tokens, by key id."""
ISSUER = "https://securetoken.google.com/"
DEMO_PREFIX = "demo-"
"""Projects whose names begin so do not exist (Firebase, "Local Emulator Suite"): only they take tokens that
nobody signed."""
CLOCK_SKEW_S = 10
"""How far two clocks may be apart."""
TIMEOUT_S = 10
"""Longest that fetching the certificates may take."""
MAX_TOKEN_LENGTH = 8192
"""Characters of a token."""

type CertificateRequest = Callable[..., "Response"]


def create_authenticator(settings: Settings, certificates: CertificateRequest | None = None) -> Authenticator:
    """The door of a deployment.

    Args:
        certificates: Where Google's are fetched, other than from Google in tests.

    Raises:
        InvalidInputError: The project is empty, or an emulator would let anybody into a real one.
    """
    if not settings.project:
        raise InvalidInputError(
            "REVISIT_PROJECT is empty: without it the tokens of every project in the world would be let in; set it to yours"
        )
    if settings.auth_emulator and not settings.project.startswith(DEMO_PREFIX):
        raise InvalidInputError(
            f"FIREBASE_AUTH_EMULATOR_HOST is set to {settings.auth_emulator!r}, whose tokens nobody signs, yet project "
            f"{settings.project!r} may be a real one: take the variable away, or name a project that begins with {DEMO_PREFIX}"
        )
    read = (
        partial(_decode_emulator_token, project=settings.project)
        if settings.auth_emulator
        else partial(_verify_token, project=settings.project, certificates=certificates or CertificateCache())
    )
    return Authenticator(
        lambda token: _read_claims(read, token, settings.operators), settings.allowed_origins
    )


def _read_claims(
    decode: Callable[[str], Mapping[str, Any]], token: str, operators: tuple[str, ...]
) -> Claims:
    if not token.isascii() or len(token) > MAX_TOKEN_LENGTH:
        raise UnauthenticatedError("this is not an ID token; sign in again")
    claims = decode(token)
    email, verified = str(claims.get("email") or ""), claims.get("email_verified") is True
    listed = verified and email.lower() in {one.lower() for one in operators}
    return Claims(str(claims["sub"]), email, verified, claims.get("operator") is True or listed)


def _verify_token(token: str, project: str, certificates: CertificateRequest) -> Mapping[str, Any]:
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.oauth2 import id_token

    try:
        claims: Mapping[str, Any] = id_token.verify_firebase_token(
            token, certificates, audience=project, clock_skew_in_seconds=CLOCK_SKEW_S
        )
    except TransportError as error:
        raise TransientError(
            "Google's certificates cannot be fetched, so that nobody's token can be verified"
        ) from error
    except (GoogleAuthError, ValueError, TypeError, KeyError) as error:
        raise UnauthenticatedError(
            f"the ID token is not one of project {project}, or it is over; sign in again"
        ) from error
    return claims


def _decode_emulator_token(token: str, project: str) -> Mapping[str, Any]:
    """A token of the emulator: everything holds but the signature, which it does not have."""
    from google.auth import jwt

    try:
        claims: Mapping[str, Any] = jwt.decode(token, verify=False)
        expired = claims["exp"] + CLOCK_SKEW_S < system_clock().timestamp()
    except (ValueError, TypeError, KeyError) as error:
        raise UnauthenticatedError("this is not an ID token of the emulator; sign in again") from error
    sub = claims.get("sub")
    if (
        expired
        or claims.get("aud") != project
        or claims.get("iss") != ISSUER + project
        or not isinstance(sub, str)
        or not sub
    ):
        raise UnauthenticatedError(
            f"the emulator's token is not one of project {project}, or it is over; sign in again"
        )
    return claims


class CertificateCache:
    """Fetches Google's certificates as google-auth's transport does, and keeps them for as long as they say
    (RFC 9111, max-age)."""

    def __init__(self, url: str = CERTIFICATES_URL, now: Clock = system_clock) -> None:
        self._url, self._now = url, now
        self._lock = threading.Lock()
        self._cached: Response | None = None
        self._expires_at: datetime | None = None
        self._session: CertificateRequest | None = None

    def __call__(self, url: str, method: str = "GET", **options: Any) -> "Response":
        del url, method, options  # google-auth asks for these certificates only
        with self._lock:
            if self._cached is None or self._expires_at is None or self._now() >= self._expires_at:
                self._cached, self._expires_at = self._fetch()
            return self._cached

    def _fetch(self) -> "tuple[Response, datetime]":
        if self._session is None:
            from google.auth.transport.requests import Request

            self._session = Request()
        answer = self._session(self._url, method="GET", timeout=TIMEOUT_S)
        # What fails is not kept; google-auth itself refuses to go on with it.
        age = max_age(answer.headers) if answer.status == 200 else timedelta(0)
        return answer, self._now() + age


def max_age(headers: Mapping[str, str]) -> timedelta:
    """How long an answer may be kept; not at all where it does not say."""
    cache_control = next(
        (value for name, value in headers.items() if name.lower() == "cache-control"), ""
    ).lower()
    if "no-store" in cache_control or "no-cache" in cache_control:
        return timedelta(0)
    for part in cache_control.split(","):
        name, _, value = part.strip().partition("=")
        if name == "max-age" and value.strip('"').isdecimal():
            return timedelta(seconds=min(int(value.strip('"')), 86_400))
    return timedelta(0)
