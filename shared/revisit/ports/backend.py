"""The backend: the ports that functions and services use, and the atomic commit over them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from revisit.domain.clock import Clock
from revisit.domain.events import Event
from revisit.domain.job import STALL_AFTER
from revisit.errors import NotFoundError, PermanentError
from revisit.ports.assets import Assets
from revisit.ports.authenticator import Authenticator
from revisit.ports.catalog import Catalog
from revisit.ports.cloudevents import Envelope
from revisit.ports.event_bus import Bus
from revisit.ports.record_types import collection_name
from revisit.ports.records import Records, Transaction
from revisit.ports.sources import Source


class Adapters(Protocol):
    """One adapter for each port. An adapter may be created on first access, so that a function needs only the
    libraries of the ports it uses."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def records(self) -> Records: ...

    @property
    def assets(self) -> Assets: ...

    @property
    def bus(self) -> Bus: ...


def missing_webhook_key() -> bytes:
    """The webhook key of a backend that has none."""
    raise PermanentError("this backend has no key to sign webhooks with")


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """Facts about where Revisit runs."""

    on_google_cloud: bool = False
    """Whether jobs run on Google Cloud, where they are billed."""
    channel_folder: Path | None = None
    """Folder of file channels; None if there is no disk to keep them on."""
    webhook_key: Callable[[], bytes] = missing_webhook_key
    """Returns the key that webhook secrets are derived from; called on first use, since most functions sign
    nothing. Raises PermanentError if there is no key."""
    base_url: str = ""
    """Public URL of the API; if empty, outgoing messages carry no links."""
    stall_after: timedelta = STALL_AFTER
    """Time after which the sweep publishes the event of an open job again whose state has not changed."""
    max_event_age: timedelta | None = None
    """Older events become dead letters; None if the queue keeps events until they are handled."""
    authenticator: Authenticator | None = None
    """Verifies users; None if every caller is the owner."""


class Commit:
    """A transaction as a handler sees it: it also emits events that follow from the handler's cause."""

    def __init__(self, transaction: Transaction, backend: "Backend") -> None:
        self._transaction = transaction
        self._backend = backend
        self.get = transaction.get
        self.put = transaction.put
        self.delete = transaction.delete

    @property
    def recheck(self) -> datetime:
        """When the sweep checks a job whose state this commit changes."""
        return self._backend.now() + self._backend.settings.stall_after

    def emit(self, event: Event) -> None:
        """Send an event with this commit (transactional outbox)."""
        cause, now = self._backend.cause, self._backend.now()
        self._transaction.send(
            cause.follow_up(event, now) if cause else Envelope(event, now, path=(event.topic,))
        )


@dataclass(frozen=True, slots=True)
class Backend:
    """What a function receives beside its event."""

    adapters: Adapters
    source: Callable[[str], Source]
    """Opens the source of a SPEC."""
    sources: tuple[str, ...]
    """SPECs that a refresh without a named source lists."""
    now: Clock
    settings: BackendSettings = field(default_factory=BackendSettings)
    cause: Envelope | None = None
    """The event being handled."""
    handler: str = ""
    """Name of the function that handles it."""

    @property
    def records(self) -> Records:
        return self.adapters.records

    @property
    def assets(self) -> Assets:
        return self.adapters.assets

    @property
    def bus(self) -> Bus:
        return self.adapters.bus

    def catalog(self) -> Catalog:
        """The catalog, which may be opened by this call."""
        return self.adapters.catalog

    def with_cause(self, cause: Envelope, handler: str) -> "Backend":
        """This backend for one run of a handler on one event."""
        return replace(self, cause=cause, handler=handler)

    @property
    def dedupe_key(self) -> str:
        """Key that marks the cause as handled; set in the commit that completes it."""
        return f"{self.handler}:{self.cause.id}" if self.cause else ""

    def commit[T](self, work: Callable[[Commit], T], completes_event: bool = True) -> T | None:
        """Commit effect, dedupe key and events in one transaction.

        Args:
            work: Reads, then puts and emits through the `Commit` it is given; it may run more than once.
            completes_event: Whether this commit completes the handling of the cause. If another run has
                completed it already, nothing happens: a slow worker whose lease expired changes nothing.

        Returns:
            What `work` returned; None if the cause had been handled already.

        Raises:
            TransientError: The store is busy or full; nothing was written.
        """
        key = self.dedupe_key if completes_event else ""

        def run(transaction: Transaction) -> T | None:
            if key and transaction.has_dedupe_key(key):
                return None
            result = work(Commit(transaction, self))
            if key:
                transaction.add_dedupe_key(key)
            return result

        return self.records.transact(run)

    def mark_done(self) -> None:
        """Complete the handling of the cause without any other effect."""
        self.commit(lambda _: None)

    def get_record[T](self, kind: type[T], id: str) -> T:
        """The record of that id.

        Raises:
            NotFoundError: There is none.
        """
        found = self.records.get(kind, id)
        if found is None:
            raise NotFoundError(f"there is no {collection_name(kind)} {id!r}")
        return found
