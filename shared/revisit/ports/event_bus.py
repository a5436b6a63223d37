"""Event bus port: publishes outbox events, reports queues, collects dead letters."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from revisit.domain.job import Lane
from revisit.ports.system_records import DeadLetter


@dataclass(frozen=True, slots=True)
class Message:
    """One event for one function."""

    id: str
    function: str
    """Name of the function's folder."""
    body: bytes
    """The result of `Envelope.encode`."""
    attempt: int
    """1 at the first delivery; also the fencing token of the lease."""
    lane: Lane


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Messages for one function in one lane."""

    function: str
    lane: Lane
    ready: int
    leased: int
    delayed: int
    """Messages waiting for a retry."""
    oldest_s: float
    """Age of the oldest message in seconds."""


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """Figures of the message service about what it holds."""

    depths: tuple[QueueDepth, ...] = ()
    """Messages that are not acknowledged; all count as ready."""
    measured_at: datetime | None = None
    """Time of the figures, if they are not current."""
    note: str = ""
    """Why there are no figures; empty if there are."""


class Bus(Protocol):
    """Carries events from the outbox to the functions that subscribe to them."""

    def publish_pending(self) -> int:
        """Publish what a crash left in the outbox; returns the number of events."""
        ...

    def collect_dead_letters(self, save: Callable[[DeadLetter], None]) -> int:
        """Pass messages that the bus dead-lettered to `save`, and delete each when it returns;
        returns their number."""
        ...

    def depth(self) -> list[QueueDepth]:
        """Queued messages by function and lane; for a message service, only those not yet published."""
        ...

    def statistics(self) -> BusStatistics:
        """Figures of the message service; if it does not answer, a note says so."""
        ...


@runtime_checkable
class SupportsLookup(Protocol):
    """A bus that knows which events it holds."""

    def holds(self, event: str) -> bool:
        """Whether a message of the event with this id waits or is being handled."""
        ...
