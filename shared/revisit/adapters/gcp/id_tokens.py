"""Verifies ID tokens of Identity Platform and Firebase: signature, audience, issuer and expiry.

Claims and rules: Firebase, "Verify ID tokens using a third-party JWT library". Google signs the tokens of
every project with the same keys, so only the audience keeps the tokens of other projects out.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock, system_clock
from revisit.errors import InvalidInputError, TransientError, UnauthenticatedError
from revisit.net.http_client import create_client, read_bounded, send
from revisit.net.retry import AttemptFailedError
from revisit.ports.authenticator import Authenticator, Claims

if TYPE_CHECKING:
    import httpx

CERTIFICATES_URL = "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
"""Google's certificates for these tokens, by key id."""
ISSUER = "https://securetoken.google.com/"
DEMO_PREFIX = "demo-"
"""Prefix of projects that do not exist (Firebase, "Local Emulator Suite"); only they accept unsigned
tokens."""
CLOCK_SKEW_S = 10
"""Tolerated difference between two clocks."""
TIMEOUT_S = 10.0
"""Longest that downloading the certificates may take."""
MAX_CERTIFICATE_BYTES = 1_000_000
MAX_TOKEN_LENGTH = 8192
"""Characters of a token."""

type CertificateRequest = Callable[..., Any]
"""A transport of google-auth."""


def create_authenticator(settings: Settings, certificates: CertificateRequest | None = None) -> Authenticator:
    """ID-token verifier and allowed CORS origins of a deployment.

    Args:
        settings: Project, operators, origins and emulator.
        certificates: Transport that returns Google's certificates, for tests.

    Raises:
        InvalidInputError: The project is empty, or an emulator is set for a project that may be real.
    """
    if not settings.project:
        raise InvalidInputError(
            "REVISIT_PROJECT is empty; set it to your project: without an audience no ID token is accepted"
        )
    if settings.auth_emulator and not settings.project.startswith(DEMO_PREFIX):
        raise InvalidInputError(
            f"FIREBASE_AUTH_EMULATOR_HOST is set to {settings.auth_emulator!r}, whose tokens are unsigned, "
            f"but project {settings.project!r} may be real; unset the variable, or use a project that begins "
            f"with {DEMO_PREFIX}"
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
    listed = verified and email.lower() in {operator.lower() for operator in operators}
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
            "Google's certificates cannot be downloaded, so no ID token can be verified now; retry later"
        ) from error
    except (GoogleAuthError, ValueError, TypeError, KeyError) as error:
        raise UnauthenticatedError(
            f"the ID token is not valid for project {project}, or has expired; sign in again"
        ) from error
    return claims


def _decode_emulator_token(token: str, project: str) -> Mapping[str, Any]:
    """Claims of an unsigned token of the emulator, after every check but that of the signature."""
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
            f"the emulator's token is not valid for project {project}, or has expired; sign in again"
        )
    return claims


class CertificateCache:
    """Downloads Google's certificates and keeps them as long as their max-age allows (RFC 9111).

    Called like a transport of google-auth, which verifies tokens by it.
    """

    def __init__(self, url: str = CERTIFICATES_URL, now: Clock = system_clock) -> None:
        self._url, self._now = url, now
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._cached: _CertificateResponse | None = None
        self._expires_at: datetime | None = None

    def __call__(self, url: str, method: str = "GET", **options: Any) -> "_CertificateResponse":
        del url, method, options  # google-auth requests these certificates only
        with self._lock:
            if self._cached is None or self._expires_at is None or self._now() >= self._expires_at:
                self._cached = self._fetch()
                age = max_age(self._cached.headers) if self._cached.status == 200 else timedelta(0)
                self._expires_at = self._now() + age
            return self._cached

    def _fetch(self) -> "_CertificateResponse":
        from google.auth.exceptions import TransportError

        if self._client is None:
            self._client = create_client(TIMEOUT_S)
        try:
            with send(self._client, "GET", self._url) as response:
                content = read_bounded(response, MAX_CERTIFICATE_BYTES, TIMEOUT_S)
        except AttemptFailedError as failure:
            raise TransportError(f"{self._url} {failure}") from failure
        return _CertificateResponse(response.status_code, dict(response.headers), content)


@dataclass(frozen=True, slots=True)
class _CertificateResponse:
    """A response as google-auth reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def max_age(headers: Mapping[str, str]) -> timedelta:
    """How long a response may be cached; zero where it states nothing."""
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
