"""Authenticator port: verifies ID tokens of a deployment, and lists the allowed CORS origins."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified ID token states about its user."""

    uid: str
    """Id of the user, the owner of everything they create."""
    email: str = ""
    email_verified: bool = False
    """Whether the e-mail address is verified; no e-mail is sent to an unverified one."""
    operator: bool = False
    """Whether the user operates the deployment."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """ID-token verifier and allowed CORS origins."""

    verify: Callable[[str], Claims]
    """Verifies an ID token. Raises UnauthenticatedError for an invalid one, TransientError if it cannot
    be verified now."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of pages that may call the API, such as https://watch.example.org."""
