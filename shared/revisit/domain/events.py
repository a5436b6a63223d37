"""Events: past-tense facts that carry ids; the record is the truth.

An event is published on its `topic`; `ports.cloudevents` encodes and decodes it.
"""

from dataclasses import dataclass
from typing import ClassVar

from revisit.domain.ids import derive_id
from revisit.domain.job import Lane


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; `subject` and `version` identify the fact, and its id is derived from them."""

    topic: ClassVar[str]

    @property
    def subject(self) -> str:
        """Id of the record that the event is about."""
        raise TypeError(f"{type(self).__name__} names no subject")

    @property
    def version(self) -> str:
        """Distinguishes two events about the same subject."""
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
    """The sources are due for a refresh."""

    topic: ClassVar[str] = "catalog.refresh"
    at: str
    """Time of the tick, RFC 3339."""
    source: str = ""
    """SPEC of the source to refresh; empty means all sources."""

    @property
    def subject(self) -> str:
        return self.source or "all"

    @property
    def version(self) -> str:
        return self.at


@dataclass(frozen=True, slots=True)
class ProductNew(Event):
    """A product was added to the catalog, or its files have changed."""

    topic: ClassVar[str] = "product.new"
    product: str
    """Id of the product; the product itself is a record."""
    published: str = ""
    """The product's `version`."""
    source: str = ""
    """SPEC of the source that lists it; two sources may have the same product."""
    files: str = ""
    """Mark of the product's files where they have changed since it was announced; empty otherwise."""

    @property
    def subject(self) -> str:
        return self.product

    @property
    def version(self) -> str:
        return "|".join(part for part in (self.published, self.source, self.files) if part)


@dataclass(frozen=True, slots=True)
class OrderCreated(Event):
    """An order was accepted whose products are still to be selected."""

    topic: ClassVar[str] = "order.created"
    order: str
    selections: int = 1
    """The order's `selections`: a repeated selection is a new event."""

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
    """The job's `again`: a job that starts again is a new event."""

    @property
    def subject(self) -> str:
        return self.job

    @property
    def version(self) -> str:
        return str(self.again) if self.again else ""


@dataclass(frozen=True, slots=True)
class JobStarted(_JobEvent):
    """A job was created for an acquisition."""

    topic: ClassVar[str] = "job.started"


@dataclass(frozen=True, slots=True)
class JobExtracted(_JobEvent):
    """The bands of a job were cut out and stored."""

    topic: ClassVar[str] = "job.extracted"


@dataclass(frozen=True, slots=True)
class JobFinished(_JobEvent):
    """A job ended as done, skipped or failed."""

    topic: ClassVar[str] = "job.finished"


@dataclass(frozen=True, slots=True)
class DeliveriesDue(Event):
    """Pending deliveries and outbox entries are due for a check."""

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
"""Topic -> the event published on it."""
