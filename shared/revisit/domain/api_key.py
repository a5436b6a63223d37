"""API keys: a program acts for its owner with one; only the hash of the secret is stored."""

import hmac
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from revisit.errors import InvalidInputError

KEY_PREFIX = "rvt_"
"""Prefix by which people, log filters and secret scanners recognise a key."""
SCOPES = ("read", "write", "operator")
"""Scopes: read, create and change, operate the deployment."""
MAX_LIFETIME = timedelta(days=365)
MAX_OPERATOR_LIFETIME = timedelta(days=90)
"""Maximum lifetime of a key with the scope operator: it would outlive its owner's role."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, `rvt_<id>_<secret>`; the secret is shown once and never stored."""

    id: str
    owner: str
    name: str
    """Name given by the owner, such as "laptop"."""
    sha256: str
    """SHA-256 of the secret, hexadecimal."""
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime
    used: date | None = None
    """The last day on which it was used."""
    revoked: datetime | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.name.strip()) <= 100:
            raise InvalidInputError(f"a key's name has 1 to 100 characters, not {len(self.name.strip())}")
        if unknown := [scope for scope in self.scopes if scope not in SCOPES]:
            raise InvalidInputError(
                f"scope {unknown[0][:40]!r} does not exist; choose from {', '.join(SCOPES)}"
            )
        if not self.scopes:
            raise InvalidInputError(f"a key needs at least one scope; choose from {', '.join(SCOPES)}")
        longest = MAX_OPERATOR_LIFETIME if "operator" in self.scopes else MAX_LIFETIME
        if not timedelta(0) < self.expires - self.created <= longest:
            raise InvalidInputError(
                f"a key with scope {' and '.join(self.scopes)} is valid for 1 to {longest.days} days"
            )

    def verify(self, secret: str, now: datetime) -> bool:
        """Whether this is its secret, and the key is neither revoked nor expired."""
        same = hmac.compare_digest(hash_secret(secret), self.sha256)
        return same and self.revoked is None and now < self.expires

    def is_usable(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked is None and now < self.expires

    def with_changes(self, **changes: Any) -> "ApiKey":
        """The same key with some fields changed."""
        return replace(self, **changes)


def format_key(id: str, secret: str) -> str:
    """The key as its owner sends it."""
    return f"{KEY_PREFIX}{id}_{secret}"


def parse_key(key: str) -> tuple[str, str]:
    """Id and secret of a key; both empty if the text is not a key."""
    id, _, secret = key.removeprefix(KEY_PREFIX).partition("_")
    return (id, secret) if key.startswith(KEY_PREFIX) and id and secret else ("", "")


def hash_secret(secret: str) -> str:
    """The stored hash of a secret. A secret has 256 random bits, so no slow hash is needed against
    guessing."""
    return sha256(secret.encode()).hexdigest()
