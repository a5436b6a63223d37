"""Carrying one alert to one channel, with its attempts."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from revisit.domain.ids import derive_id

State = Literal["due", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try."""

    at: datetime
    outcome: str
    """"200", "timeout", "refused: ...": one short line."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """At least once, with an id that stays the same over all attempts."""

    id: str
    alert: str
    subscription: str
    channel: str
    """Id of the channel in the subscription."""
    target: str
    """Where to, as the channel stood when the alert was written."""
    created: datetime
    due: datetime | None
    """When it is to be tried next; None when it is over."""
    attempts: tuple[Attempt, ...] = ()
    state: State = "due"
    claim: int = 0
    """Fencing number: a result is only recorded by the holder of the latest claim."""
    host: str = ""
    """The receiving host: failures in a row are counted by it."""
    owner: str = "local"
    """The subscription's."""

    def with_changes(self, **changes: Any) -> "Delivery":
        """The same delivery with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Receiver:
    """How a receiving host, or one channel on it, fails: written with its first failure, deleted with its
    next success."""

    id: str
    """The host, or the id of the channel."""
    failures: int
    """In a row."""
    since: datetime
    """Of the first of them."""
    probe: datetime
    """A host that failed too often is not tried before."""


def delivery_id(alert: str, channel: str) -> str:
    """One delivery per alert and channel."""
    return derive_id("delivery", alert, channel)
