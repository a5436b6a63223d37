"""Transactional outbox: events are committed with their cause and published after it, or by a later sweep."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.api_core.retry import Retry as Retrying
from google.cloud.firestore_v1.base_query import FieldFilter

from revisit.adapters.gcp.errors import translate_errors
from revisit.domain.clock import Clock
from revisit.errors import TransientError
from revisit.ports import cloudevents
from revisit.ports.batch_sizes import MAX_OUTBOX_ROWS_PER_COMMIT
from revisit.ports.cloudevents import Envelope

if TYPE_CHECKING:
    from google.cloud.firestore import Client, DocumentReference

OUTBOX_COLLECTION = "outbox"
STALE_AFTER = timedelta(seconds=60)
"""Older rows were left by a crash: publication after a commit takes less time."""
ROW_TTL = timedelta(days=30)
"""Lifetime of a row, published or not (TTL)."""
TIMEOUT_S = 20.0
"""Longest that one request may take with its retries; the client's default is minutes."""

_RETRY = Retrying(initial=0.2, maximum=4.0, timeout=TIMEOUT_S)

log = logging.getLogger("revisit")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event in the outbox."""

    envelope: Envelope
    update_time: Any
    """Firestore's update time: a row that was written again later is a different row."""


class Outbox:
    """The outbox of one database."""

    def __init__(
        self, client: "Client", publish: Callable[[Sequence[Envelope]], list[bool]], now: Clock
    ) -> None:
        """
        Args:
            client: Of the database.
            publish: Publishes envelopes and returns for each whether it was published.
            now: The clock.
        """
        self._client = client
        self._publish = publish
        self._now = now

    def entry(self, envelope: Envelope, now: datetime) -> "tuple[DocumentReference, dict[str, Any]]":
        """The document of an event and its fields; an event that is still in the outbox has the same
        document."""
        return self._client.collection(OUTBOX_COLLECTION).document(envelope.id), {
            "topic": envelope.event.topic,
            "lane": envelope.lane,
            "body": envelope.encode(),
            "at": now,
            "expires": now + ROW_TTL,
        }

    def flush(self, rows: Sequence[OutboxRow]) -> int:
        """Publish rows and delete them; rows that cannot be published are left for the sweep.

        Returns:
            How many were published.
        """
        published = [
            row for row, sent in zip(rows, self._publish([row.envelope for row in rows]), strict=True) if sent
        ]
        for start in range(0, len(published), MAX_OUTBOX_ROWS_PER_COMMIT):
            self._remove(published[start : start + MAX_OUTBOX_ROWS_PER_COMMIT])
        return len(published)

    def sweep(self) -> int:
        """Publish the rows that a crash left; returns how many."""
        before, swept = self._now() - STALE_AFTER, 0
        while True:
            with translate_errors("Firestore", "the outbox", "roles/datastore.user"):
                query = (
                    self._client.collection(OUTBOX_COLLECTION)
                    .where(filter=FieldFilter("at", "<=", before))
                    .order_by("at")
                    .limit(MAX_OUTBOX_ROWS_PER_COMMIT)
                )
                rows = [
                    OutboxRow(cloudevents.decode(found.get("body")), found.update_time)
                    for found in query.stream(timeout=TIMEOUT_S, retry=_RETRY)
                ]
            out = self.flush(rows)
            swept += out
            if len(rows) < MAX_OUTBOX_ROWS_PER_COMMIT or out < len(rows):
                return swept

    def pending(self) -> list[tuple[str, str, datetime]]:
        """Topic, lane and time of each row in the outbox."""
        with translate_errors("Firestore", "the outbox", "roles/datastore.user"):
            fields = (
                self._client.collection(OUTBOX_COLLECTION)
                .select(["topic", "lane", "at"])
                .stream(timeout=TIMEOUT_S, retry=_RETRY)
            )
            return [(found.get("topic"), found.get("lane"), found.get("at")) for found in fields]

    def _remove(self, rows: Iterable[OutboxRow]) -> None:
        # A row that was written again meanwhile, as by a replay, is a new row and stays.
        rows = list(rows)
        try:
            with translate_errors("Firestore", "the outbox", "roles/datastore.user"):
                batch = self._client.batch()
                for row in rows:
                    batch.delete(
                        self._client.collection(OUTBOX_COLLECTION).document(row.envelope.id),
                        option=self._client.write_option(last_update_time=row.update_time),
                    )
                batch.commit(timeout=TIMEOUT_S)
        except (exceptions.FailedPrecondition, exceptions.NotFound):
            if len(rows) > 1:
                for row in rows:
                    self._remove([row])
        except TransientError as error:
            # Handlers ignore an event that is published twice.
            log.warning("published events are still in the outbox: %s", error)
