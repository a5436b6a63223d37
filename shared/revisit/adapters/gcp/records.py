"""Records as documents in Firestore; one commit holds effect, dedupe key and outbox rows."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from revisit.adapters.gcp.errors import translate_errors
from revisit.adapters.gcp.outbox import Outbox, OutboxRow
from revisit.adapters.gcp.record_document import (
    READ_RETRY,
    TIMEOUT_S,
    decode_snapshot,
    document,
    precondition,
    tuple_fields,
)
from revisit.adapters.gcp.record_transaction import FirestoreTransaction, TransactionConflictError
from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock
from revisit.errors import PermanentError, TransientError
from revisit.net.retry import RetryPolicy
from revisit.ports.record_types import KINDS, SORTED_LISTS, check_sorted_list, collection_name, sort_keys

if TYPE_CHECKING:
    from google.cloud.firestore import Client

SETTING_COLLECTION = "setting"
TRANSACTION_TIMEOUT_S = 30.0
"""A transaction in conflict with others is not repeated later than this, seconds."""
POLL_INTERVAL_S = 2.0
"""How often a caller that waits for a commit reads again; each read is billed."""


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
            found = document(self._client, collection_name(kind), id).get(timeout=TIMEOUT_S, retry=READ_RETRY)
        return decode_snapshot(found, kind)

    def find[T](self, kind: type[T], after: str = "", limit: int = 1000, **fields: Any) -> list[T]:
        query = self._build_query(kind, fields).order_by("__name__").limit(limit)
        if after:
            query = query.start_after({"__name__": document(self._client, collection_name(kind), after)})
        with self._translate_errors():
            found = list(query.stream(timeout=TIMEOUT_S, retry=READ_RETRY))
        return [record for record in (decode_snapshot(each, kind) for each in found) if record is not None]

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
            found = list(query.stream(timeout=TIMEOUT_S, retry=READ_RETRY))
        return [record for record in (decode_snapshot(each, kind) for each in found) if record is not None]

    def _add_sort_keys(self) -> None:
        """Write the sort keys of documents of an earlier version, once for each database."""
        if self._has_sort_keys:
            return
        lists = str(sorted((collection_name(kind), names) for kind, names in SORTED_LISTS.items()))
        setting = document(self._client, SETTING_COLLECTION, "sorted lists")
        with self._translate_errors():
            found = setting.get(timeout=TIMEOUT_S, retry=READ_RETRY)
            if not found.exists or found.get("lists") != lists:
                for kind in SORTED_LISTS:
                    self._add_sort_keys_of(kind)
                setting.set({"lists": lists}, timeout=TIMEOUT_S)
        self._has_sort_keys = True

    def _add_sort_keys_of(self, kind: type[Any]) -> None:
        for snapshot in self._client.collection(collection_name(kind)).stream():
            record = decode_snapshot(snapshot, kind)
            keys = sort_keys(record)
            if keys.items() <= (snapshot.to_dict() or {}).items():
                continue
            # One that is changed meanwhile is written with its sort keys.
            with contextlib.suppress(exceptions.FailedPrecondition, exceptions.NotFound):
                snapshot.reference.update(keys, precondition(snapshot), timeout=TIMEOUT_S)

    def count(self, kind: type[Any], **fields: Any) -> int:
        with self._translate_errors():
            [[answer]] = self._build_query(kind, fields).count().get(timeout=TIMEOUT_S, retry=READ_RETRY)
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
                filter=FieldFilter(name, "array_contains" if name in tuple_fields(kind) else "==", str(value))
            )
        return query

    def _translate_errors(self) -> Any:
        return translate_errors("Firestore", _describe_database(self._settings), ROLE)
