"""Everything a function is handed beside its event: the ports, answered by one home, and the one atomic commit."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from revisit.domain.clock import Clock
from revisit.domain.events import Event
from revisit.errors import GiveUp, NotFound
from revisit.ports.assets import Assets
from revisit.ports.authenticator import SignIn
from revisit.ports.catalog import Catalog
from revisit.ports.envelope import Envelope
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
        self._transaction.send(cause.followed_by(event, now) if cause else Envelope(event, now, path=(event.topic,)))


def no_key() -> bytes:
    """Of a home that signs nothing."""
    raise GiveUp("there is no key here to sign webhooks with")


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
    channels: Path | None = None
    """Folder of file channels; None where there is no disk to keep them on."""
    signing_key: Callable[[], bytes] = no_key
    """The key that the secrets of webhooks are derived from; read on first use, since most functions sign nothing."""
    base_url: str = ""
    """Where the API is reached; without it what is sent outward carries no link."""
    max_age: timedelta | None = None
    """Events older than this are put aside; None where the queue keeps them until they are handled."""
    cause: Envelope | None = None
    """The event being handled."""
    handler: str = ""
    """The function handling it."""
    sign_in: SignIn | None = None
    """How its users sign in; None where everybody let in is the owner."""

    def handling(self, cause: Envelope, handler: str) -> "Backend":
        """This backend, for one handler's run on one event."""
        return replace(self, cause=cause, handler=handler)

    @property
    def done_mark(self) -> str:
        """Set with the commit that completes the handling of the cause."""
        return f"{self.handler}:{self.cause.id}" if self.cause else ""

    def commit[T](self, work: Callable[[Commit], T], last: bool = True) -> T | None:
        """Effect, dedupe mark and events, all or nothing.

        Args:
            work: Reads, then puts and emits through the `Commit` it is given; may be run again.
            last: Whether this completes the handling of the cause. If another run has completed it already, nothing happens
                and None is returned: a slow worker whose lease ran out changes nothing.
        """
        mark = self.done_mark if last else ""

        def run(transaction: Transaction) -> T | None:
            if mark and transaction.marked(mark):
                return None
            result = work(Commit(transaction, self))
            if mark:
                transaction.mark(mark)
            return result

        return self.records.transact(run)

    def done(self) -> None:
        """Complete the handling of the cause with no effect but the mark."""
        self.commit(lambda _: None)

    def record[T](self, kind: type[T], id: str) -> T:
        """The record of that id.

        Raises:
            NotFound: There is none.
        """
        found = self.records.get(kind, id)
        if found is None:
            raise NotFound(f"there is no {kind.__name__.lower()} {id!r}")
        return found


# ---------------------------------------------------------------------------------------------------------------- catalog












# ---------------------------------------------------------------------------------------------------------------- sources






# ---------------------------------------------------------------------------------------------------------------- records








# ----------------------------------------------------------------------------------------------------------- assets and bus
