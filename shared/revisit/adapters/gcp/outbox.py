"""The outbox: events committed with their cause, published right after it, and by a sweeper where a crash got
in between."""

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
"""Older rows were left behind: whoever wrote them is done publishing or dead."""
ROW_TTL = timedelta(days=30)
"""No row stays longer, published or not (TTL)."""
TIMEOUT_S = 20.0
"""Longest a question may take, its tries included: the client's own patience is minutes."""

_RETRY = Retrying(initial=0.2, maximum=4.0, timeout=TIMEOUT_S)

log = logging.getLogger("revisit")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event in the outbox."""

    envelope: Envelope
    update_time: Any
    """When Firestore wrote it: a row written again since is another one."""


class Outbox:
    """Rows of one database and the way they are published."""

    def __init__(
        self, client: "Client", publish: Callable[[Sequence[Envelope]], list[bool]], now: Clock
    ) -> None:
        """
        Args:
            publish: Gives for each envelope whether it has been published.
        """
        self._client = client
        self._publish = publish
        self._now = now

    def entry(self, envelope: Envelope, now: datetime) -> "tuple[DocumentReference, dict[str, Any]]":
        """The document of an event, and what stands in it. An event that is still there is the same one."""
        return self._client.collection(OUTBOX_COLLECTION).document(envelope.id), {
            "topic": envelope.event.topic,
            "lane": envelope.lane,
            "body": envelope.encode(),
            "at": now,
            "expires": now + ROW_TTL,
        }

    def flush(self, rows: Sequence[OutboxRow]) -> int:
        """Publish rows and take them away; those that cannot be published now are left for the sweeper.
        Returns how many went out."""
        published = [
            row for row, sent in zip(rows, self._publish([row.envelope for row in rows]), strict=True) if sent
        ]
        for start in range(0, len(published), MAX_OUTBOX_ROWS_PER_COMMIT):
            self._remove(published[start : start + MAX_OUTBOX_ROWS_PER_COMMIT])
        return len(published)

    def sweep(self) -> int:
        """Publish what was left behind; returns how many."""
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
        """Topic, lane and time of what is in the outbox now."""
        with translate_errors("Firestore", "the outbox", "roles/datastore.user"):
            fields = (
                self._client.collection(OUTBOX_COLLECTION)
                .select(["topic", "lane", "at"])
                .stream(timeout=TIMEOUT_S, retry=_RETRY)
            )
            return [(found.get("topic"), found.get("lane"), found.get("at")) for found in fields]

    def _remove(self, rows: Iterable[OutboxRow]) -> None:
        # A row that was written again meanwhile, as a replay does, is a new one and stays.
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
            # Published twice is harmless: whoever hears it again takes no notice.
            log.warning("published, but not yet out of the outbox: %s", error)
