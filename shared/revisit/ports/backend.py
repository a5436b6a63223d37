"""Everything a function is handed beside its event: the ports, answered by one home, and the one atomic
commit."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from revisit.domain.clock import Clock
from revisit.domain.events import Event
from revisit.errors import NotFoundError, PermanentError
from revisit.ports.assets import Assets
from revisit.ports.authenticator import Authenticator
from revisit.ports.catalog import Catalog
from revisit.ports.cloudevents import Envelope
from revisit.ports.event_bus import Bus
from revisit.ports.records import Records, Transaction
from revisit.ports.sources import Source

if TYPE_CHECKING:
    pass


class Commit:
    """A transaction seen from a handler: it also emits events that carry on from the handler's own cause."""

    def __init__(self, transaction: Transaction, backend: "Backend") -> None:
        self._transaction = transaction
        self._backend = backend
        self.get = transaction.get
        self.put = transaction.put
        self.delete = transaction.delete

    def emit(self, event: Event) -> None:
        """Send an event with this commit."""
        cause, now = self._backend.cause, self._backend.now()
        self._transaction.send(
            cause.follow_up(event, now) if cause else Envelope(event, now, path=(event.topic,))
        )


def missing_webhook_key() -> bytes:
    """Of a home that signs nothing."""
    raise PermanentError("there is no key here to sign webhooks with")


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything a function is handed beside its event."""

    catalog: Callable[[], Catalog]
    """Made on first use: most functions never ask for it."""
    records: Records
    assets: Assets
    bus: Bus
    source: Callable[[str], Source]
    """The source of a SPEC."""
    sources: tuple[str, ...]
    """SPECs that a refresh asks when none is named."""
    now: Clock
    channel_folder: Path | None = None
    """Folder of file channels; None where there is no disk to keep them on."""
    webhook_key: Callable[[], bytes] = missing_webhook_key
    """The key that the secrets of webhooks are derived from; read on first use, since most functions sign
    nothing."""
    base_url: str = ""
    """Where the API is reached; without it what is sent outward carries no link."""
    max_age: timedelta | None = None
    """Events older than this are put aside; None where the queue keeps them until they are handled."""
    cause: Envelope | None = None
    """The event being handled."""
    handler: str = ""
    """The function handling it."""
    authenticator: Authenticator | None = None
    """How its users sign in; None where everybody let in is the owner."""

    def with_cause(self, cause: Envelope, handler: str) -> "Backend":
        """This backend, for one handler's run on one event."""
        return replace(self, cause=cause, handler=handler)

    @property
    def dedupe_key(self) -> str:
        """Set with the commit that completes the handling of the cause."""
        return f"{self.handler}:{self.cause.id}" if self.cause else ""

    def commit[T](self, work: Callable[[Commit], T], completes_event: bool = True) -> T | None:
        """Effect, dedupe mark and events, all or nothing.

        Args:
            work: Reads, then puts and emits through the `Commit` it is given; may be run again.
            completes_event: Whether this completes the handling of the cause. If another run has completed it
                already, nothing happens
                and None is returned: a slow worker whose lease ran out changes nothing.
        """
        mark = self.dedupe_key if completes_event else ""

        def run(transaction: Transaction) -> T | None:
            if mark and transaction.has_dedupe_key(mark):
                return None
            result = work(Commit(transaction, self))
            if mark:
                transaction.add_dedupe_key(mark)
            return result

        return self.records.transact(run)

    def mark_done(self) -> None:
        """Complete the handling of the cause with no effect but the mark."""
        self.commit(lambda _: None)

    def get_record[T](self, kind: type[T], id: str) -> T:
        """The record of that id.

        Raises:
            NotFoundError: There is none.
        """
        found = self.records.get(kind, id)
        if found is None:
            raise NotFoundError(f"there is no {kind.__name__.lower()} {id!r}")
        return found


# ----------------------------------------------------------------------------------------------------------------
# catalog


# ----------------------------------------------------------------------------------------------------------------
# sources


# ----------------------------------------------------------------------------------------------------------------
# records


# -----------------------------------------------------------------------------------------------------------
# assets and bus
