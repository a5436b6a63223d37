"""Transaction on the records of Firestore, committed only if nothing that it read has changed."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.cloud import firestore

from revisit.adapters.gcp.outbox import Outbox, OutboxRow
from revisit.adapters.gcp.record_document import (
    EXPIRES_FIELD,
    READ_RETRY,
    TIMEOUT_S,
    decode_snapshot,
    document,
    fields_of,
    precondition,
)
from revisit.ports.cloudevents import Envelope
from revisit.ports.record_types import collection_name

if TYPE_CHECKING:
    from google.cloud.firestore import Client, DocumentReference, DocumentSnapshot


MARK_COLLECTION = "mark"
MARK_TTL = timedelta(days=30)
"""Lifetime of a dedupe key; Firestore's TTL deletes it within a day after that."""


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
        return decode_snapshot(self._fetch(collection_name(kind), id), kind)

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
                batch.delete(reference, None if snapshot is None else precondition(snapshot))
            elif snapshot is None:
                batch.set(reference, fields)
            elif snapshot.exists:
                batch.update(
                    reference,
                    dict.fromkeys(snapshot.to_dict() or (), firestore.DELETE_FIELD) | fields,
                    precondition(snapshot),
                )
            else:
                batch.create(reference, fields)
        for reference, snapshot in self._snapshots.items():
            if reference in writes:
                continue
            # Both operations change nothing; only their precondition matters.
            if snapshot.exists:
                batch.update(reference, {_ABSENT_FIELD: firestore.DELETE_FIELD}, precondition(snapshot))
            else:
                batch.delete(reference, precondition(snapshot))
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
            self._snapshots[reference] = reference.get(timeout=TIMEOUT_S, retry=READ_RETRY)
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
