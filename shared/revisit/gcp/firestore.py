"""Records as documents in Firestore: one transaction holds effect, dedupe mark and outbox.

A document carries its record as JSON text in `body`, since GeoJSON's nested arrays are no value of Firestore's, and beside it the
fields it is found by and the owner that the security rules go by.
"""

import random
import threading
import time
import typing
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from google.api_core import exceptions
from google.api_core.retry import Retry as Retrying
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from revisit.clock import Clock
from revisit.errors import GiveUp, Retry
from revisit.gcp.failure import asking
from revisit.gcp.outbox import Outbox, Row
from revisit.gcp.settings import Settings
from revisit.records import KINDS, decode, encode, expires, index_of, name_of
from revisit.wire import Envelope

if TYPE_CHECKING:
    from google.cloud.firestore import Client, CollectionReference, DocumentReference

MARK = "mark"
MARKS_KEPT = timedelta(days=30)
"""Firestore's own TTL takes them away after that, within a day or so."""
EXPIRES = "expires"
"""The field that TTL goes by."""
SECONDS = 20.0
"""Longest a read may take, its tries included."""
PATIENCE_S = 30.0
"""A transaction that others get in the way of is not begun again later than this."""
LONGEST_ID = 1500
"""Bytes of a document's id."""

_patience = Retrying(initial=0.2, maximum=4.0, timeout=SECONDS)


def client_of(settings: Settings) -> "Client":
    """The client of a deployment's database."""
    with asking("Firestore", _about(settings), ROLE):
        return firestore.Client(project=settings.project, database=settings.database)


ROLE = "roles/datastore.user"


def _about(settings: Settings) -> str:
    return f"the database {settings.database} of project {settings.project}"


class FirestoreRecords:
    """The Records port on one database; instances, processes and threads may share it."""

    def __init__(self, client: "Client", outbox: Outbox, settings: Settings, now: Clock) -> None:
        self._client = client
        self._outbox = outbox
        self._settings = settings
        self._now = now
        self._within = threading.local()
        """Whether this thread is in a transaction."""

    def get[T](self, kind: type[T], id: str) -> T | None:
        with self._asking():
            found = document(self._client, name_of(kind), id).get(timeout=SECONDS, retry=_patience)
        return _read(found, kind)

    def find[T](self, kind: type[T], after: str = "", limit: int = 1000, **fields: Any) -> list[T]:
        query = self._query(kind, fields).order_by("__name__").limit(limit)
        if after:
            query = query.start_after({"__name__": document(self._client, name_of(kind), after)})
        with self._asking():
            found = list(query.stream(timeout=SECONDS, retry=_patience))
        return [record for record in (_read(one, kind) for one in found) if record is not None]

    def count(self, kind: type[Any], **fields: Any) -> int:
        with self._asking():
            [[answer]] = self._query(kind, fields).count().get(timeout=SECONDS, retry=_patience)
        return int(answer.value)

    def transact[T](self, work: Callable[["FirestoreTransaction"], T]) -> T:
        """See `Records.transact`; what it sends is published before it returns, and by the sweeper should that fail."""
        if getattr(self._within, "transaction", False):
            raise RuntimeError("a transaction within a transaction is refused; do all of it in one")
        until, longest = time.monotonic() + PATIENCE_S, 0.1
        while True:
            try:
                with self._asking():
                    result, rows = self._try(work)
                break
            except Retry as error:
                if not isinstance(error.__cause__, exceptions.Aborted) or time.monotonic() > until:
                    raise
                # Another transaction was quicker; a different wait for each lets one of them through.
                time.sleep(random.uniform(0, longest))  # noqa: S311
                longest = min(2 * longest, 3.0)
        if rows:
            self._outbox.flush(rows)
        return result

    def _try[T](self, work: Callable[["FirestoreTransaction"], T]) -> tuple[T, list[Row]]:
        # The client would try again at once, and so would all others that it met.
        transaction = self._client.transaction(max_attempts=1)
        opened: list[FirestoreTransaction] = []

        @firestore.transactional
        def run(inner: "firestore.Transaction") -> T:
            opened[:] = [FirestoreTransaction(self._client, inner, self._outbox, self._now)]
            self._within.transaction = True
            try:
                return work(opened[0])
            finally:
                self._within.transaction = False
                opened[0].close()

        try:
            result: T = run(transaction)
        except ValueError as error:
            if isinstance(error.__cause__, exceptions.Aborted):
                raise _Contended(str(error)) from error
            raise
        return result, opened[0].rows(transaction.write_results)

    def _query(self, kind: type[Any], fields: dict[str, Any]) -> Any:
        if unknown := fields.keys() - set(KINDS[kind]):
            raise ValueError(f"a {name_of(kind)} is not found by {', '.join(sorted(unknown))}; only by {', '.join(KINDS[kind])}")
        query: Any = self._client.collection(name_of(kind))
        for name, value in sorted(fields.items()):
            query = query.where(filter=FieldFilter(name, "array_contains" if name in _plural(kind) else "==", str(value)))
        return query

    def _asking(self) -> Any:
        return asking("Firestore", _about(self._settings), ROLE)


class _Contended(exceptions.Aborted):
    """Every attempt of a transaction met another one."""


class FirestoreTransaction:
    """Reads, then writes, within one transaction of the client."""

    def __init__(self, client: "Client", transaction: "firestore.Transaction", outbox: Outbox, now: Clock) -> None:
        self._client = client
        self._transaction: firestore.Transaction | None = transaction
        self._outbox = outbox
        self._now = now()
        self._writes = 0
        self._sent: list[tuple[int, Envelope]] = []
        """Events with the places of their writes."""

    def close(self) -> None:
        """After this it refuses everything."""
        self._transaction = None

    def rows(self, results: "Iterable[Any] | None") -> list[Row]:
        """What was put into the outbox, as the commit's results tell it."""
        written = list(results or ())
        return [Row(envelope, written[place].update_time) for place, envelope in self._sent]

    def get[T](self, kind: type[T], id: str) -> T | None:
        return _read(self._fetch(name_of(kind), id), kind)

    def put(self, record: Any) -> None:
        self._writing().set(document(self._client, name_of(type(record)), record.id), fields_of(record))

    def delete(self, kind: type[Any], id: str) -> None:
        self._writing().delete(document(self._client, name_of(kind), id))

    def marked(self, mark: str) -> bool:
        found = self._fetch(MARK, mark)
        return bool(found.exists and found.get(EXPIRES) > self._now)

    def mark(self, mark: str) -> None:
        self._writing().set(document(self._client, MARK, mark), {"at": self._now, EXPIRES: self._now + MARKS_KEPT})

    def send(self, envelope: Envelope) -> None:
        self._sent.append((self._writes, envelope))
        self._writing().set(*self._outbox.entry(envelope, self._now))

    def _fetch(self, collection: str, id: str) -> Any:
        if self._writes:
            raise RuntimeError("a transaction reads before its first write: read all that is needed, then put, mark and send")
        return document(self._client, collection, id).get(transaction=self._open(), timeout=SECONDS, retry=_patience)

    def _writing(self) -> Any:
        transaction = self._open()
        self._writes += 1
        return transaction

    def _open(self) -> "firestore.Transaction":
        if self._transaction is None:
            raise RuntimeError("the transaction is over; do all reading and writing within the function given to `transact`")
        return self._transaction


def document(client: "Client", collection: str, id: str) -> "DocumentReference":
    """The document of an id, whatever characters it has (Firestore: "Constraints on document IDs")."""
    held: CollectionReference = client.collection(collection)
    name = id.replace("%", "%25").replace("/", "%2F")
    if name[:1] in (".", "_"):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if not 1 <= len(name.encode("utf-8", "replace")) <= LONGEST_ID:
        raise GiveUp(f"{id[:80]!r} cannot be the id of a record: it has {len(id)} characters, where 1 to {LONGEST_ID} bytes are kept")
    return held.document(name)


def fields_of(record: Any) -> dict[str, Any]:
    """A record as the fields of its document."""
    plural = _plural(type(record))
    found = {name: list(values) if name in plural else values[0] for name, values in index_of(record).items()}
    owner = {"owner": record.owner} if hasattr(record, "owner") else {}
    moment = expires(record)
    return {**found, **owner, **({EXPIRES: moment} if moment else {}), "body": encode(record).decode()}


_known: dict[type[Any], frozenset[str]] = {}


def _plural(kind: type[Any]) -> frozenset[str]:
    """The indexed fields that hold several values."""
    if kind not in _known:
        hints = typing.get_type_hints(kind)
        _known[kind] = frozenset(name for name in KINDS[kind] if typing.get_origin(hints[name]) is tuple)
    return _known[kind]


def _read[T](found: Any, kind: type[T]) -> T | None:
    if not found.exists:
        return None
    try:
        return decode(found.get("body"), kind)
    except (KeyError, msgspec.MsgspecError) as error:
        raise GiveUp(f"the record {found.reference.path} is damaged ({error}); run `revisit doctor`") from error
