"""ID tokens of Identity Platform and Firebase, verified: signed by Google, for this very project, of somebody, and not over.

Form and claims: Firebase, "Verify ID tokens using a third-party JWT library". The audience is what keeps the tokens of every other
project out: Google signs theirs with the same keys.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock, system_clock
from revisit.errors import BadInput, Retry, Unknown
from revisit.ports.authenticator import Claims, SignIn

if TYPE_CHECKING:
    from google.auth.transport import Response

CERTIFICATES = "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
"""Google's certificates for these tokens, by key id."""
ISSUER = "https://securetoken.google.com/"
DEMO = "demo-"
"""Projects whose names begin so do not exist (Firebase, "Local Emulator Suite"): only they take tokens that nobody signed."""
SKEW_S = 10
"""How far two clocks may be apart."""
SECONDS = 10
"""Longest that fetching the certificates may take."""
LONGEST = 8192
"""Characters of a token."""

type Fetch = Callable[..., "Response"]


def sign_in(settings: Settings, certificates: Fetch | None = None) -> SignIn:
    """The door of a deployment.

    Args:
        certificates: Where Google's are fetched, other than from Google in tests.

    Raises:
        BadInput: The project is empty, or an emulator would let anybody into a real one.
    """
    if not settings.project:
        raise BadInput("REVISIT_PROJECT is empty: without it the tokens of every project in the world would be let in; set it to yours")
    if settings.auth_emulator and not settings.project.startswith(DEMO):
        raise BadInput(f"FIREBASE_AUTH_EMULATOR_HOST is set to {settings.auth_emulator!r}, whose tokens nobody signs, yet project "
                       f"{settings.project!r} may be a real one: take the variable away, or name a project that begins with {DEMO}")
    read = partial(_unsigned, project=settings.project) if settings.auth_emulator else \
        partial(_signed, project=settings.project, certificates=certificates or Certificates())
    return SignIn(lambda token: _claims(read, token, settings.operators), settings.sites)


def _claims(read: Callable[[str], Mapping[str, Any]], token: str, operators: tuple[str, ...]) -> Claims:
    if not token.isascii() or len(token) > LONGEST:
        raise Unknown("this is not an ID token; sign in again")
    said = read(token)
    email, verified = str(said.get("email") or ""), said.get("email_verified") is True
    listed = verified and email.lower() in {one.lower() for one in operators}
    return Claims(str(said["sub"]), email, verified, said.get("operator") is True or listed)


def _signed(token: str, project: str, certificates: Fetch) -> Mapping[str, Any]:
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.oauth2 import id_token

    try:
        said: Mapping[str, Any] = id_token.verify_firebase_token(
            token, certificates, audience=project, clock_skew_in_seconds=SKEW_S)
    except TransportError as error:
        raise Retry("Google's certificates cannot be fetched, so that nobody's token can be verified") from error
    except (GoogleAuthError, ValueError, TypeError, KeyError) as error:
        raise Unknown(f"the ID token is not one of project {project}, or it is over; sign in again") from error
    return said


def _unsigned(token: str, project: str) -> Mapping[str, Any]:
    """A token of the emulator: everything holds but the signature, which it does not have."""
    from google.auth import jwt

    try:
        said: Mapping[str, Any] = jwt.decode(token, verify=False)
        over = said["exp"] + SKEW_S < system_clock().timestamp()
    except (ValueError, TypeError, KeyError) as error:
        raise Unknown("this is not an ID token of the emulator; sign in again") from error
    sub = said.get("sub")
    if over or said.get("aud") != project or said.get("iss") != ISSUER + project or not isinstance(sub, str) or not sub:
        raise Unknown(f"the emulator's token is not one of project {project}, or it is over; sign in again")
    return said


class Certificates:
    """Fetches Google's certificates as google-auth's transport does, and keeps them for as long as they say (RFC 9111, max-age)."""

    def __init__(self, url: str = CERTIFICATES, now: Clock = system_clock) -> None:
        self._url, self._now = url, now
        self._lock = threading.Lock()
        self._kept: Response | None = None
        self._until: datetime | None = None
        self._session: Fetch | None = None

    def __call__(self, url: str, method: str = "GET", **more: Any) -> "Response":
        del url, method, more  # google-auth asks for these certificates only
        with self._lock:
            if self._kept is None or self._until is None or self._now() >= self._until:
                self._kept, self._until = self._fetch()
            return self._kept

    def _fetch(self) -> "tuple[Response, datetime]":
        if self._session is None:
            from google.auth.transport.requests import Request

            self._session = Request()
        answer = self._session(self._url, method="GET", timeout=SECONDS)
        # What fails is not kept; google-auth itself refuses to go on with it.
        age = max_age(answer.headers) if answer.status == 200 else timedelta(0)
        return answer, self._now() + age


def max_age(headers: Mapping[str, str]) -> timedelta:
    """How long an answer may be kept; not at all where it does not say."""
    said = next((value for name, value in headers.items() if name.lower() == "cache-control"), "").lower()
    if "no-store" in said or "no-cache" in said:
        return timedelta(0)
    for part in said.split(","):
        name, _, value = part.strip().partition("=")
        if name == "max-age" and value.strip('"').isdecimal():
            return timedelta(seconds=min(int(value.strip('"')), 86_400))
    return timedelta(0)
