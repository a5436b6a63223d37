"""How a deployment knows its users: what it learns of them from an ID token, and from which pages they may
come."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified ID token says of who sent it."""

    uid: str
    """The owner of all that they make."""
    email: str = ""
    email_verified: bool = False
    """Whether the address is theirs; nobody is written to at one that may not be."""
    operator: bool = False
    """Whether they look after the whole."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """The door of a deployment."""

    verify: Callable[[str], Claims]
    """Of an ID token; raises Unknown where it is not one of ours, Retry where that cannot be told at
    present."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of pages that may ask the API: https://watch.example.org."""
