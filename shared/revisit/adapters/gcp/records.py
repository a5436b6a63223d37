"""Records as documents in Firestore; one commit holds effect, dedupe key and outbox rows.

A document has its record as JSON text in `body`, since Firestore does not accept GeoJSON's nested arrays,
beside the indexed fields and the owner that the security rules check.
"""

import contextlib
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

from revisit.adapters.gcp.errors import translate_errors
from revisit.adapters.gcp.outbox import Outbox, OutboxRow
from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock
from revisit.errors import PermanentError, TransientError
from revisit.net.retry import RetryPolicy
from revisit.ports.cloudevents import Envelope
from revisit.ports.record_types import (
    KINDS,
    SORTED_LISTS,
    check_sorted_list,
    collection_name,
    decode,
    encode,
    expires_at,
    indexed_values,
    sort_keys,
)

if TYPE_CHECKING:
    from google.cloud.firestore import Client, CollectionReference, DocumentReference, DocumentSnapshot

MARK_COLLECTION = "mark"
SETTING_COLLECTION = "setting"
MARK_TTL = timedelta(days=30)
"""Lifetime of a dedupe key; Firestore's TTL deletes it within a day after that."""
EXPIRES_FIELD = "expires"
"""The field of the TTL policy."""
TIMEOUT_S = 20.0
"""Longest that a read may take with its retries, seconds."""
TRANSACTION_TIMEOUT_S = 30.0
"""A transaction in conflict with others is not repeated later than this, seconds."""
POLL_INTERVAL_S = 2.0
"""How often a caller that waits for a commit reads again; each read is billed."""
MAX_ID_BYTES = 1500
"""Longest id of a document in UTF-8."""

_RETRY = Retrying(initial=0.2, maximum=4.0, timeout=TIMEOUT_S)


def create_client(settings: Settings) -> "Client":
    """The client of a deployment's database."""
    with translate_errors("Firestore", _describe_database(settings), ROLE):
        return firestore.Client(project=settings.project, database=settings.database)


ROLE = "roles/datastore.user"


def _describe_database(settings: Settings) -> str:
    return f"the database {settings.database} of project {settings.project}"


class FirestoreRecords:
    """The Records port on one database; instances, processes and threads may share it."""

    def __init__(self, client: "Client", outbox: Outbox, settings: Settings, now: Clock) -> None:
        self._client = client
        self._outbox = outbox
        self._settings = settings
        self._now = now
        self._thread_state = threading.local()
        """Whether this thread is in a transaction."""
        self._has_sort_keys = False
        """Whether all documents are known to carry their sort keys."""

    def get[T](self, kind: type[T], id: str) -> T | None:
        with self._translate_errors():
            found = document(self._client, collection_name(kind), id).get(timeout=TIMEOUT_S, retry=_RETRY)
        return _decode_snapshot(found, kind)

    def find[T](self, kind: type[T], after: str = "", limit: int = 1000, **fields: Any) -> list[T]:
        query = self._build_query(kind, fields).order_by("__name__").limit(limit)
        if after:
            query = query.start_after({"__name__": document(self._client, collection_name(kind), after)})
        with self._translate_errors():
            found = list(query.stream(timeout=TIMEOUT_S, retry=_RETRY))
        return [record for record in (_decode_snapshot(each, kind) for each in found) if record is not None]

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
        check_sorted_list(kind, fields, sort)
        self._add_sort_keys()
        direction = firestore.Query.DESCENDING if descending else firestore.Query.ASCENDING
        query = self._build_query(kind, fields).order_by(sort, direction=direction)
        query = query.order_by("__name__", direction=direction).limit(limit)
        if after is not None:
            key, id = after
            position = {"__name__": document(self._client, collection_name(kind), id)} if id else {}
            query = query.start_after({sort: key, **position})
        with self._translate_errors():
            found = list(query.stream(timeout=TIMEOUT_S, retry=_RETRY))
        return [record for record in (_decode_snapshot(each, kind) for each in found) if record is not None]

    def _add_sort_keys(self) -> None:
        """Write the sort keys of documents of an earlier version, once for each database."""
        if self._has_sort_keys:
            return
        lists = str(sorted((collection_name(kind), names) for kind, names in SORTED_LISTS.items()))
        setting = document(self._client, SETTING_COLLECTION, "sorted lists")
        with self._translate_errors():
            found = setting.get(timeout=TIMEOUT_S, retry=_RETRY)
            if not found.exists or found.get("lists") != lists:
                for kind in SORTED_LISTS:
                    self._add_sort_keys_of(kind)
                setting.set({"lists": lists}, timeout=TIMEOUT_S)
        self._has_sort_keys = True

    def _add_sort_keys_of(self, kind: type[Any]) -> None:
        for snapshot in self._client.collection(collection_name(kind)).stream():
            record = _decode_snapshot(snapshot, kind)
            keys = sort_keys(record)
            if keys.items() <= (snapshot.to_dict() or {}).items():
                continue
            # One that is changed meanwhile is written with its sort keys.
            with contextlib.suppress(exceptions.FailedPrecondition, exceptions.NotFound):
                snapshot.reference.update(keys, _precondition(snapshot), timeout=TIMEOUT_S)

    def count(self, kind: type[Any], **fields: Any) -> int:
        with self._translate_errors():
            [[answer]] = self._build_query(kind, fields).count().get(timeout=TIMEOUT_S, retry=_RETRY)
        return int(answer.value)

    def wait_for_commit(self, last_seen: int, timeout_s: float) -> int:
        time.sleep(min(timeout_s, POLL_INTERVAL_S))
        return last_seen + 1

    def transact[T](self, work: Callable[["FirestoreTransaction"], T]) -> T:
        """See `Records.transact`. Events are published before it returns, or by the sweep if that fails."""
        if getattr(self._thread_state, "transaction", False):
            raise RuntimeError("a transaction was started within a transaction; do its work in the open one")
        contention = RetryPolicy(0.1, max_delay_s=1.0, max_elapsed_s=TRANSACTION_TIMEOUT_S, full_jitter=True)
        with self._translate_errors():
            try:
                result, rows = contention.call(lambda: self._attempt(work), TransactionConflictError)
            except TransactionConflictError as error:
                raise exceptions.Aborted(
                    f"concurrent transactions committed first for {TRANSACTION_TIMEOUT_S:g} s"
                ) from error
        if rows:
            self._outbox.flush(rows)
        return result

    def _attempt[T](self, work: Callable[["FirestoreTransaction"], T]) -> tuple[T, list[OutboxRow]]:
        transaction = FirestoreTransaction(self._client, self._outbox, self._now())
        self._thread_state.transaction = True
        try:
            result = work(transaction)
        except (PermanentError, TransientError):
            # The error may come from records that never had these values at the same time.
            transaction.verify()
            raise
        finally:
            self._thread_state.transaction = False
            transaction.close()
        return result, transaction.commit()

    def _build_query(self, kind: type[Any], fields: dict[str, Any]) -> Any:
        if unknown := fields.keys() - set(KINDS[kind]):
            raise ValueError(
                f"a {collection_name(kind)} is not found by {', '.join(sorted(unknown))}; only by "
                f"{', '.join(KINDS[kind])}"
            )
        query: Any = self._client.collection(collection_name(kind))
        for name, value in sorted(fields.items()):
            query = query.where(
                filter=FieldFilter(
                    name, "array_contains" if name in _tuple_fields(kind) else "==", str(value)
                )
            )
        return query

    def _translate_errors(self) -> Any:
        return translate_errors("Firestore", _describe_database(self._settings), ROLE)


class TransactionConflictError(Exception):
    """A document that the transaction read was changed before the transaction could commit."""


class FirestoreTransaction:
    """A transaction with optimistic concurrency: reads, then one commit that fails if anything read has
    changed.

    Like Firebase's web client it takes no locks. A worker that dies blocks nobody, while a transaction of the
    server would lock the documents for a minute.
    """

    def __init__(self, client: "Client", outbox: Outbox, now: datetime) -> None:
        self._client = client
        self._outbox = outbox
        self._now = now
        self._closed = False
        self._snapshots: dict[DocumentReference, DocumentSnapshot[Any]] = {}
        self._writes: dict[DocumentReference, dict[str, Any] | None] = {}
        """Fields of a document; None deletes it."""
        self._envelopes: dict[DocumentReference, Envelope] = {}

    def close(self) -> None:
        """End the transaction; every later call raises RuntimeError."""
        self._closed = True

    def get[T](self, kind: type[T], id: str) -> T | None:
        return _decode_snapshot(self._fetch(collection_name(kind), id), kind)

    def put(self, record: Any) -> None:
        self._write(document(self._client, collection_name(type(record)), record.id), fields_of(record))

    def delete(self, kind: type[Any], id: str) -> None:
        self._write(document(self._client, collection_name(kind), id), None)

    def has_dedupe_key(self, key: str) -> bool:
        found = self._fetch(MARK_COLLECTION, key)
        return bool(found.exists and found.get(EXPIRES_FIELD) > self._now)

    def add_dedupe_key(self, key: str) -> None:
        self._write(
            document(self._client, MARK_COLLECTION, key),
            {"at": self._now, EXPIRES_FIELD: self._now + MARK_TTL},
        )

    def send(self, envelope: Envelope) -> None:
        reference, fields = self._outbox.entry(envelope, self._now)
        self._write(reference, fields)
        self._envelopes[reference] = envelope

    def verify(self) -> None:
        """Check that everything read was valid at one point in time.

        Raises:
            TransactionConflictError: A document has changed.
        """
        if len(self._snapshots) > 1:
            self._commit({})

    def commit(self) -> list[OutboxRow]:
        """Write everything.

        Returns:
            The rows added to the outbox.

        Raises:
            TransactionConflictError: A document that was read has changed; nothing was written.
        """
        if not self._writes:
            self.verify()
            return []
        written = dict(zip(self._writes, self._commit(self._writes), strict=False))
        return [
            OutboxRow(envelope, written[reference].update_time)
            for reference, envelope in self._envelopes.items()
        ]

    def _commit(self, writes: "dict[DocumentReference, dict[str, Any] | None]") -> list[Any]:
        batch = self._client.batch()
        for reference, fields in writes.items():
            snapshot = self._snapshots.get(reference)
            if fields is None:
                batch.delete(reference, None if snapshot is None else _precondition(snapshot))
            elif snapshot is None:
                batch.set(reference, fields)
            elif snapshot.exists:
                batch.update(
                    reference,
                    dict.fromkeys(snapshot.to_dict() or (), firestore.DELETE_FIELD) | fields,
                    _precondition(snapshot),
                )
            else:
                batch.create(reference, fields)
        for reference, snapshot in self._snapshots.items():
            if reference in writes:
                continue
            # Both operations change nothing; only their precondition matters.
            if snapshot.exists:
                batch.update(reference, {_ABSENT_FIELD: firestore.DELETE_FIELD}, _precondition(snapshot))
            else:
                batch.delete(reference, _precondition(snapshot))
        try:
            return list(batch.commit(timeout=TIMEOUT_S))
        except (exceptions.FailedPrecondition, exceptions.Conflict) as error:
            raise TransactionConflictError(str(error)) from error
        except exceptions.NotFound as error:
            if not self._snapshots:
                raise
            raise TransactionConflictError(str(error)) from error

    def _fetch(self, collection: str, id: str) -> "DocumentSnapshot[Any]":
        self._require_open()
        if self._writes:
            raise RuntimeError(
                "a transaction reads before its first write: read all that is needed, then put, mark and send"
            )
        reference = document(self._client, collection, id)
        if reference not in self._snapshots:
            self._snapshots[reference] = reference.get(timeout=TIMEOUT_S, retry=_RETRY)
        return self._snapshots[reference]

    def _write(self, reference: "DocumentReference", fields: dict[str, Any] | None) -> None:
        self._require_open()
        self._writes[reference] = fields

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError(
                "the transaction is over; do all reading and writing within the function given to `transact`"
            )


_ABSENT_FIELD = "unchanged"
"""A field that no document has."""


def _precondition(snapshot: "DocumentSnapshot[Any]") -> Any:
    """The precondition that a document is unchanged since it was read, or still missing."""
    return firestore.Client.write_option(
        **({"last_update_time": snapshot.update_time} if snapshot.exists else {"exists": False})
    )


def document(client: "Client", collection: str, id: str) -> "DocumentReference":
    """The document of an id with any characters (Firestore, "Constraints on document IDs").

    Raises:
        PermanentError: The id is empty or too long.
    """
    documents: CollectionReference = client.collection(collection)
    name = id.replace("%", "%25").replace("/", "%2F")
    if name[:1] in (".", "_"):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if not 1 <= len(name.encode("utf-8", "replace")) <= MAX_ID_BYTES:
        raise PermanentError(
            f"{id[:80]!r} cannot be the id of a record: it has {len(id)} characters, where 1 to "
            f"{MAX_ID_BYTES} bytes are kept"
        )
    return documents.document(name)


def fields_of(record: Any) -> dict[str, Any]:
    """A record as the fields of its document."""
    plural = _tuple_fields(type(record))
    found = {
        name: list(values) if name in plural else values[0] for name, values in indexed_values(record).items()
    }
    owner = {"owner": record.owner} if hasattr(record, "owner") else {}
    moment = expires_at(record)
    return {
        **found,
        **sort_keys(record),
        **owner,
        **({EXPIRES_FIELD: moment} if moment else {}),
        "body": encode(record).decode(),
    }


_tuple_fields_by_kind: dict[type[Any], frozenset[str]] = {}


def _tuple_fields(kind: type[Any]) -> frozenset[str]:
    """The indexed fields that are tuples."""
    if kind not in _tuple_fields_by_kind:
        hints = typing.get_type_hints(kind)
        _tuple_fields_by_kind[kind] = frozenset(
            name for name in KINDS[kind] if typing.get_origin(hints.get(name)) is tuple
        )
    return _tuple_fields_by_kind[kind]


def _decode_snapshot[T](snapshot: Any, kind: type[T]) -> T | None:
    if not snapshot.exists:
        return None
    try:
        return decode(snapshot.get("body"), kind)
    except (KeyError, msgspec.MsgspecError) as error:
        raise PermanentError(
            f"the record {snapshot.reference.path} is damaged ({error}); run `revisit doctor`"
        ) from error
