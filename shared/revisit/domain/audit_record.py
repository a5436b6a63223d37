"""Entries of the append-only audit log: who changed what, and when."""

from dataclasses import dataclass
from datetime import datetime

from revisit.domain.ids import derive_id


@dataclass(frozen=True, slots=True)
class Audit:
    """One request that changes something, whatever its result."""

    id: str
    """Starts with the time, so that entries sort by it."""
    at: datetime
    who: str
    """Pseudonym of the user: distinguishes users, and identifies nobody after the account is deleted."""
    key: str
    """Id of the API key; empty for an ID token."""
    what: str
    """Method and route, such as "DELETE /subscriptions/<id>"."""
    about: str
    """The requested path."""
    status: int
    """HTTP status."""
    origin: str
    """Pseudonym of the client's address."""
    request: str
    """Id of the request, as in its response."""


def audit_id(at: datetime, request: str) -> str:
    """An id that sorts by time."""
    return f"{at:%Y%m%dT%H%M%S%f}-{request}"


def pseudonymize(kind: str, value: str) -> str:
    """A pseudonym: the same for the same value."""
    return derive_id(kind, value)
