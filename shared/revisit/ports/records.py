"""Port for records, read and committed in transactions."""

from collections.abc import Callable
from typing import Any, Protocol

from revisit.ports.cloudevents import Envelope


class RecordReader(Protocol):
    """Reads records by id and by their indexed fields (`record_types.KINDS`)."""

    def get[T](self, kind: type[T], id: str) -> T | None:
        """The record, or None."""
        ...

    def find[T](self, kind: type[T], after: str = "", limit: int = 1000, **fields: Any) -> list[T]:
        """A page of the records whose indexed fields have the given values, by id.

        Args:
            kind: Class of the records.
            after: Id of the last record of the previous page.
            limit: Length of the page.
            fields: Indexed field -> value; a field that is a tuple matches if it contains the value.
        """
        ...

    def find_sorted[T](
        self,
        kind: type[T],
        sort: str,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 100,
        descending: bool = False,
        **fields: Any,
    ) -> list[T]:
        """A page of one of the `SORTED_LISTS`: its cost follows the page (keyset pagination).

        Args:
            sort: The list's sort key; records of one key are sorted by id.
            after: Sort key and id of the last record of the previous page; an empty id skips its whole key.
            fields: Values that the list's indexed fields must equal.
        """
        ...

    def count(self, kind: type[Any], **fields: Any) -> int:
        """How many records `find` returns over all pages."""
        ...


class Transaction(Protocol):
    """Reads, then writes, all or nothing. Reads after the first write raise RuntimeError, as in Firestore."""

    def get[T](self, kind: type[T], id: str) -> T | None: ...

    def put(self, record: Any) -> None:
        """Create or replace a record of a known kind."""
        ...

    def delete(self, kind: type[Any], id: str) -> None: ...

    def has_dedupe_key(self, key: str) -> bool:
        """Whether a dedupe key is set."""
        ...

    def add_dedupe_key(self, key: str) -> None:
        """Set a dedupe key, for 30 days."""
        ...

    def send(self, envelope: Envelope) -> None:
        """Add an event to the outbox; an event with the same id that is still in it is not added twice."""
        ...


class Records(RecordReader, Protocol):
    """Reads records, and reads and writes them in transactions."""

    def transact[T](self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one serializable transaction, which any exception rolls back.

        `work` may run more than once, so it must read and write through the transaction only.

        Raises:
            TransientError: The store is busy or full; nothing was written.
        """
        ...

    def wait_for_commit(self, last_seen: int, timeout_s: float) -> int:
        """Wait until a commit that sends events follows the one seen last, or the time is over.

        A store that cannot notify waits and then returns another number, so its callers poll. A notification
        may be lost where a process dies, so read now and then in any case.

        Args:
            last_seen: What the previous call returned; with a time of 0 s a first call returns at once.
        """
        ...
