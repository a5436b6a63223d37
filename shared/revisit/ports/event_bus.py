"""Port for events on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from revisit.domain.job import Lane
from revisit.ports.system_records import DeadLetter


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way to one function."""

    id: str
    function: str
    """Name of the function's folder."""
    body: bytes
    """`Envelope.encode`."""
    attempt: int
    """1 at the first delivery; also the fencing number of the lease."""
    lane: Lane


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What one function has before it, in one lane."""

    function: str
    lane: Lane
    ready: int
    leased: int
    delayed: int
    """Waiting for their next attempt."""
    oldest_s: float
    """Age of the oldest message, seconds."""


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """What a service that carries messages says it holds."""

    depths: tuple[QueueDepth, ...] = ()
    """All that is not yet answered for counts as ready."""
    measured_at: datetime | None = None
    """Of the figures, where they are not of now."""
    note: str = ""
    """Why there are none; empty where there are."""


class Bus(Protocol):
    """Carries what the outbox holds to the functions that want it."""

    def publish_pending(self) -> int:
        """Publish what a crash left in the outbox; returns how many."""
        ...

    def collect_dead_letters(self, save: Callable[[DeadLetter], None]) -> int:
        """Hand over what the bus gave up by itself, since nobody ever answered; each is let go once `keep`
        returns. Returns how many."""
        ...

    def depth(self) -> list[QueueDepth]:
        """What is queued, by function and lane; where a service carries it, what that does not have yet."""
        ...

    def statistics(self) -> BusStatistics:
        """What such a service holds. It is asked for what it says of itself, and not in vain: where it does
        not answer, that is noted."""
        ...
