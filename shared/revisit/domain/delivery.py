"""Deliveries of alerts to channels, with their attempts."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from revisit.domain.ids import derive_id

State = Literal["due", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a delivery."""

    at: datetime
    outcome: str
    """"200", "timeout", "refused: ...": one short line."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Delivery of one alert to one channel, at least once; its id is the same for all attempts."""

    id: str
    alert: str
    subscription: str
    channel: str
    """Id of the channel in the subscription."""
    target: str
    """Address of the channel when the alert was written."""
    created: datetime
    due: datetime | None
    """Time of the next attempt; None when it has ended."""
    attempts: tuple[Attempt, ...] = ()
    state: State = "due"
    claim: int = 0
    """Fencing token: only the holder of the latest claim may record a result."""
    host: str = ""
    """Host of the receiver; consecutive failures are counted per host."""
    owner: str = "local"
    """Owner of the subscription."""

    def with_changes(self, **changes: Any) -> "Delivery":
        """The same delivery with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Failures of a host, or of one channel on it: written at the first failure, deleted at the next
    success."""

    id: str
    """The host, or the id of the channel."""
    failures: int
    """Number of consecutive failures."""
    since: datetime
    """Time of the first of them."""
    probe: datetime
    """No attempt before this time: the circuit breaker of the host is open."""


def delivery_id(alert: str, channel: str) -> str:
    """One delivery per alert and channel."""
    return derive_id("delivery", alert, channel)
