"""What has happened: past-tense facts that carry ids; the record is the truth.

Each event's `topic` is where it is published; `wire` turns one into a CloudEvent and back.
"""

from dataclasses import dataclass
from typing import ClassVar

from revisit.domain.ids import derive_id
from revisit.domain.job import Lane


@dataclass(frozen=True, slots=True)
class Event:
    """Any fact; its `subject` and `version` say which, so its id is derived."""

    topic: ClassVar[str]

    @property
    def subject(self) -> str:
        """Id of what it happened to."""
        raise TypeError(f"{type(self).__name__} names no subject")

    @property
    def version(self) -> str:
        """Tells two facts about one subject apart."""
        return ""

    @property
    def lane(self) -> Lane:
        """Live events are handled before those of a backfill."""
        return "live"

    @property
    def id(self) -> str:
        return derive_id("event", self.topic, self.subject, self.version)


@dataclass(frozen=True, slots=True)
class RefreshDue(Event):
    """It is time to ask the sources what is new."""

    topic: ClassVar[str] = "catalog.refresh"
    at: str
    """The tick it belongs to, RFC 3339."""
    source: str = ""
    """SPEC of the one source meant; empty means all."""

    @property
    def subject(self) -> str:
        return self.source or "all"

    @property
    def version(self) -> str:
        return self.at


@dataclass(frozen=True, slots=True)
class ProductNew(Event):
    """A product that somebody may wait for is in the catalog for the first time, or anew."""

    topic: ClassVar[str] = "product.new"
    product: str
    """Id; the product itself is a record."""
    published: str = ""
    """Its `version`."""

    @property
    def subject(self) -> str:
        return self.product

    @property
    def version(self) -> str:
        return self.published


@dataclass(frozen=True, slots=True)
class OrderCreated(Event):
    """An order was accepted whose products are still to be selected."""

    topic: ClassVar[str] = "order.created"
    order: str
    selections: int = 1
    """The order's `selections`: requesting the selection again is another fact."""

    @property
    def subject(self) -> str:
        return self.order

    @property
    def version(self) -> str:
        return str(self.selections)


@dataclass(frozen=True, slots=True)
class _JobEvent(Event):
    job: str
    lane: Lane = "live"
    """The lane of the job."""
    again: int = 0
    """The job's `reset_for_replay`: what is begun anew is another fact."""

    @property
    def subject(self) -> str:
        return self.job

    @property
    def version(self) -> str:
        return str(self.again) if self.again else ""


@dataclass(frozen=True, slots=True)
class JobStarted(_JobEvent):
    """Somebody wants an acquisition worked."""

    topic: ClassVar[str] = "job.started"


@dataclass(frozen=True, slots=True)
class JobExtracted(_JobEvent):
    """The bands of a job are cut out and stored."""

    topic: ClassVar[str] = "job.extracted"


@dataclass(frozen=True, slots=True)
class JobFinished(_JobEvent):
    """A job is done, skipped or failed."""

    topic: ClassVar[str] = "job.finished"


@dataclass(frozen=True, slots=True)
class DeliveriesDue(Event):
    """It is time to look for deliveries whose moment has come."""

    topic: ClassVar[str] = "deliveries.due"
    at: str

    @property
    def subject(self) -> str:
        return "deliveries"

    @property
    def version(self) -> str:
        return self.at


EVENTS: dict[str, type[Event]] = {
    event.topic: event
    for event in (RefreshDue, ProductNew, OrderCreated, JobStarted, JobExtracted, JobFinished, DeliveriesDue)
}
"""Every topic and the event that is published on it."""
