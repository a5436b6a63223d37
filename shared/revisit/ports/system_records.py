"""What Revisit remembers of its own work: dead letters, answers given, sources asked, how far news was
announced."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be tried again, kept for a person to see and replay."""

    id: str
    """Of the message: the event's id and the function's name."""
    function: str
    topic: str
    reason: str
    at: datetime
    attempts: int
    body: str
    """The event as it travelled (base64 where it is not text)."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the API answered to a request that carried an Idempotency-Key: the same request gets the same
    answer for a day."""

    id: str
    """Derived from the owner and the key."""
    request: str
    """SHA-256 of method, path, query and body, hexadecimal."""
    status: int
    """0 while the request is being worked."""
    headers: dict[str, str]
    body: str
    at: datetime
    owner: str = "local"


@dataclass(frozen=True, slots=True)
class SourceState:
    """What Revisit remembers of one source between refreshes."""

    id: str
    """The SPEC."""
    listing: dict[str, Any] = field(default_factory=dict)
    """As the source's last `Listing.state`."""
    refreshed: datetime | None = None
    rows: int = 0
    """Products it had at its last full listing."""
    rejections: int = 0
    error: str = ""
    """Why the last refresh failed; empty if it did not."""
    first: datetime | None = None
    """When it was first listed to the end."""


@dataclass(frozen=True, slots=True)
class Announced:
    """How far into the catalog's log news has been announced."""

    id: str = "catalog"
    cursor: int = 0
