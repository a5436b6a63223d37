"""Records as documents in Firestore: one commit holds effect, dedupe mark and outbox.

A document carries its record as JSON text in `body`, since GeoJSON's nested arrays are no value of Firestore's, and beside it the
fields it is found by and the owner that the security rules go by.
"""

import random
import threading
import time
import typing
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from google.api_core import exceptions
from google.api_core.retry import Retry as Retrying
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from revisit.adapters.gcp.errors import asking
from revisit.adapters.gcp.outbox import Outbox, Row
from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock
from revisit.errors import GiveUp, Retry
from revisit.ports.envelope import Envelope
from revisit.ports.record_types import KINDS, decode, encode, expires, index_of, name_of

if TYPE_CHECKING:
    from google.cloud.firestore import Client, CollectionReference, DocumentReference, DocumentSnapshot

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
            with self._asking():
                try:
                    result, rows = self._try(work)
                    break
                except Overtaken as error:
                    if time.monotonic() > until:
                        raise exceptions.Aborted(f"others were quicker for {PATIENCE_S:g} s") from error
            # A different wait for each; whoever was quicker is done.
            time.sleep(random.uniform(0, longest))  # noqa: S311
            longest = min(2 * longest, 1.0)
        if rows:
            self._outbox.flush(rows)
        return result

    def _try[T](self, work: Callable[["FirestoreTransaction"], T]) -> tuple[T, list[Row]]:
        transaction = FirestoreTransaction(self._client, self._outbox, self._now())
        self._within.transaction = True
        try:
            result = work(transaction)
        except (GiveUp, Retry):
            # Of two records that were never so at the same time nothing follows.
            transaction.verify()
            raise
        finally:
            self._within.transaction = False
            transaction.close()
        return result, transaction.commit()

    def _query(self, kind: type[Any], fields: dict[str, Any]) -> Any:
        if unknown := fields.keys() - set(KINDS[kind]):
            raise ValueError(f"a {name_of(kind)} is not found by {', '.join(sorted(unknown))}; only by {', '.join(KINDS[kind])}")
        query: Any = self._client.collection(name_of(kind))
        for name, value in sorted(fields.items()):
            query = query.where(filter=FieldFilter(name, "array_contains" if name in _plural(kind) else "==", str(value)))
        return query

    def _asking(self) -> Any:
        return asking("Firestore", _about(self._settings), ROLE)


class Overtaken(Exception):
    """What a transaction read was changed by another before it could write."""


class FirestoreTransaction:
    """Reads, then writes, all at once and only if everything read is still as it was.

    Nothing is locked, as Firebase's own web client does it: whoever dies on the way holds nobody up, where a transaction of the
    server's would keep what it read from all others for a minute.
    """

    def __init__(self, client: "Client", outbox: Outbox, now: datetime) -> None:
        self._client = client
        self._outbox = outbox
        self._now = now
        self._over = False
        self._read: dict[DocumentReference, DocumentSnapshot[Any]] = {}
        self._written: dict[DocumentReference, dict[str, Any] | None] = {}
        """Fields, or None for a document to be deleted."""
        self._sent: dict[DocumentReference, Envelope] = {}

    def close(self) -> None:
        """After this it refuses everything."""
        self._over = True

    def get[T](self, kind: type[T], id: str) -> T | None:
        return _read(self._fetch(name_of(kind), id), kind)

    def put(self, record: Any) -> None:
        self._write(document(self._client, name_of(type(record)), record.id), fields_of(record))

    def delete(self, kind: type[Any], id: str) -> None:
        self._write(document(self._client, name_of(kind), id), None)

    def marked(self, mark: str) -> bool:
        found = self._fetch(MARK, mark)
        return bool(found.exists and found.get(EXPIRES) > self._now)

    def mark(self, mark: str) -> None:
        self._write(document(self._client, MARK, mark), {"at": self._now, EXPIRES: self._now + MARKS_KEPT})

    def send(self, envelope: Envelope) -> None:
        place, fields = self._outbox.entry(envelope, self._now)
        self._write(place, fields)
        self._sent[place] = envelope

    def verify(self) -> None:
        """See that what was read was all so at one moment.

        Raises:
            Overtaken: It was not.
        """
        if len(self._read) > 1:
            self._commit({})

    def commit(self) -> list[Row]:
        """Write; returns what was put into the outbox.

        Raises:
            Overtaken: Something that was read has changed; nothing was written.
        """
        if not self._written:
            self.verify()
            return []
        written = dict(zip(self._written, self._commit(self._written), strict=False))
        return [Row(envelope, written[place].update_time) for place, envelope in self._sent.items()]

    def _commit(self, written: "dict[DocumentReference, dict[str, Any] | None]") -> list[Any]:
        batch = self._client.batch()
        for place, fields in written.items():
            seen = self._read.get(place)
            if fields is None:
                batch.delete(place, None if seen is None else _unchanged(seen))
            elif seen is None:
                batch.set(place, fields)
            elif seen.exists:
                batch.update(place, dict.fromkeys(seen.to_dict() or (), firestore.DELETE_FIELD) | fields, _unchanged(seen))
            else:
                batch.create(place, fields)
        for place, seen in self._read.items():
            if place in written:
                continue
            # Both change nothing; what matters is their precondition.
            if seen.exists:
                batch.update(place, {_NO_FIELD: firestore.DELETE_FIELD}, _unchanged(seen))
            else:
                batch.delete(place, _unchanged(seen))
        try:
            return list(batch.commit(timeout=SECONDS))
        except (exceptions.FailedPrecondition, exceptions.Conflict) as error:
            raise Overtaken(str(error)) from error
        except exceptions.NotFound as error:
            if not self._read:
                raise
            raise Overtaken(str(error)) from error

    def _fetch(self, collection: str, id: str) -> "DocumentSnapshot[Any]":
        self._check()
        if self._written:
            raise RuntimeError("a transaction reads before its first write: read all that is needed, then put, mark and send")
        place = document(self._client, collection, id)
        if place not in self._read:
            self._read[place] = place.get(timeout=SECONDS, retry=_patience)
        return self._read[place]

    def _write(self, place: "DocumentReference", fields: dict[str, Any] | None) -> None:
        self._check()
        self._written[place] = fields

    def _check(self) -> None:
        if self._over:
            raise RuntimeError("the transaction is over; do all reading and writing within the function given to `transact`")


_NO_FIELD = "unchanged"
"""No document has it."""


def _unchanged(seen: "DocumentSnapshot[Any]") -> Any:
    """The precondition that a document is still as it was seen, or still missing."""
    return firestore.Client.write_option(**({"last_update_time": seen.update_time} if seen.exists else {"exists": False}))


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
