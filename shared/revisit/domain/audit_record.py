"""One line of the book that is only ever added to: who changed what, and when."""

from dataclasses import dataclass
from datetime import datetime

from revisit.domain.ids import derive_id


@dataclass(frozen=True, slots=True)
class Audit:
    """One request that changes something, whatever came of it."""

    id: str
    """Begins with the moment, so that lines follow one another by it."""
    at: datetime
    who: str
    """Derived from the owner, so that it tells people apart and says nothing of them once they are gone."""
    key: str
    """Id of the key that was sent; empty where they came themselves."""
    what: str
    """Method and route: "DELETE /subscriptions/<id>"."""
    about: str
    """The path asked for."""
    status: int
    """HTTP."""
    origin: str
    """Derived from the address it came from."""
    request: str
    """Id of the request, as its answer told it."""


def audit_id(at: datetime, request: str) -> str:
    """Sorts by time."""
    return f"{at:%Y%m%dT%H%M%S%f}-{request}"


def pseudonymize(kind: str, value: str) -> str:
    """The same for the same name, always."""
    return derive_id(kind, value)
