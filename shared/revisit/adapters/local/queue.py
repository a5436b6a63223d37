"""Durable message queue with leases and fencing tokens; messages of a dead worker are delivered again."""

import base64
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import apsw

from revisit.adapters.local.outbox import LANES, message_id
from revisit.adapters.local.records import write_record
from revisit.adapters.local.sqlite import Database
from revisit.adapters.local.wakeup import Wakeup
from revisit.adapters.process_identity import has_ended, process_name
from revisit.domain.clock import Clock
from revisit.domain.job import Lane
from revisit.ports.event_bus import BusStatistics, Message, QueueDepth
from revisit.ports.system_records import DeadLetter
from revisit.ports.topology import TRIGGER_TOPICS

MAX_ATTEMPTS = 8
"""Attempts after which a message becomes a dead letter. If the worker died in the eighth, a ninth attempt is
delivered, in which the guard of the function records the failure where its user sees it.
"""
LEASE_S = 120.0
MAX_DELAY_S = 900.0
"""Longest lease or delay. One that ends later was set before the clock was set back, and counts as
expired."""
BACKOFF_RANGE_S = (0.2, 600.0)
"""First and longest delay after a failed attempt."""
BACKOFF_FACTOR = 4.0
"""Factor from one delay to the next: eight attempts outlast a quarter of an hour without network."""


class LocalQueue:
    """`ports.EventBus` in one database file, and the leases of its workers; shared by threads and
    processes."""

    def __init__(self, database: Database, now: Clock, wakeup: Wakeup) -> None:
        self._database = database
        self._now = now
        self._wakeup = wakeup
        self._thread_local = threading.local()
        """Functions of the last `lease` of each thread."""

    def lease(self, functions: Sequence[str], limit: int = 1, lease_s: float = LEASE_S) -> list[Message]:
        """Lease messages of some functions.

        Live messages precede those of a backfill; within a lane, functions are served in the order given, the
        oldest message first. List the end of the chain before its beginning, so that started work is finished
        first.

        Args:
            lease_s: Seconds until the messages are delivered to other workers unless extended; at most 900.
        """
        now = self._now().timestamp()
        self._thread_local.functions = tuple(functions)
        with self._database.read_connection() as connection:
            if not _has_ready(connection, functions, now):
                return []
        with self._database.transaction(durable=False) as connection:
            _release_expired(connection, now)
            leased = []
            for key, id, function, topic, lane, body, attempt, error in _next_messages(
                connection, functions, limit
            ):
                if _number(attempt) > MAX_ATTEMPTS:
                    cause = error or "its worker died or its lease expired each time"
                    reason = f"given up after {attempt} attempts: {cause}"
                    self._store_dead_letter(
                        connection,
                        DeadLetter(id, function, topic, reason, self._now(), attempt, _body_text(body)),
                    )
                    continue
                connection.execute(
                    "UPDATE queue SET due = ?, attempt = attempt + 1, holder = ? WHERE key = ?",
                    (now + min(lease_s, MAX_DELAY_S), process_name(), key),
                )
                leased.append(Message(id, function, body, attempt + 1, _lane(lane)))
        return leased

    def holds(self, event: str) -> bool:
        """Whether a message of an event is queued; see `SupportsLookup`."""
        with self._database.read_connection() as connection:
            return any(
                connection.execute("SELECT 1 FROM queue WHERE id = ?", (message_id(event, function),)).get
                for function in TRIGGER_TOPICS
            )

    def extend(self, message: Message, lease_s: float = LEASE_S) -> bool:
        """Extend the lease of a message; False if another worker holds it by now."""
        with self._database.transaction(durable=False) as connection:
            connection.execute(
                "UPDATE queue SET due = ? WHERE id = ? AND attempt = ? AND holder <> ''",
                (self._now().timestamp() + min(lease_s, MAX_DELAY_S), message.id, message.attempt),
            )
            return connection.changes() == 1

    def ack(self, message: Message) -> bool:
        """Acknowledge a message; False and without effect if another worker holds it by now."""
        return self.ack_all([message]) == 1

    def ack_all(self, messages: Sequence[Message]) -> int:
        """Acknowledge many messages; returns how many this worker still held."""
        done = 0
        with self._database.transaction(durable=False) as connection:
            for message in messages:
                connection.execute(
                    "DELETE FROM queue WHERE id = ? AND attempt = ?", (message.id, message.attempt)
                )
                done += connection.changes()
        return done

    def nack(self, message: Message, error: str, delay_s: float | None = None) -> bool:
        """Return a message after a failed attempt; False if another worker holds it by now.

        After the eighth attempt it becomes a dead letter.

        Args:
            delay_s: Seconds until the next attempt, at most 900; None grows from 0.2 s to 10 min.
        """
        if message.attempt >= MAX_ATTEMPTS:
            return self.dead_letter(message, f"given up after {message.attempt} attempts: {error}")
        delay = backoff_s(message) if delay_s is None else min(delay_s, MAX_DELAY_S)
        with self._database.transaction(durable=False) as connection:
            connection.execute(
                "UPDATE queue SET due = ?, holder = '', error = ? WHERE id = ? AND attempt = ?",
                (self._now().timestamp() + delay if delay > 0 else 0, error, message.id, message.attempt),
            )
            changed = connection.changes() == 1
        self._wakeup.notify()
        return changed

    def dead_letter(self, message: Message, reason: str) -> bool:
        """Turn a leased message into a dead letter in one transaction; False if another worker holds it by
        now."""
        with self._database.transaction() as connection:
            topic = connection.execute(
                "SELECT topic FROM queue WHERE id = ? AND attempt = ?", (message.id, message.attempt)
            ).get
            if topic is None:
                return False
            self._store_dead_letter(
                connection,
                DeadLetter(
                    message.id,
                    message.function,
                    topic,
                    reason,
                    self._now(),
                    message.attempt,
                    _body_text(message.body),
                ),
            )
        return True

    def wait(self, timeout_s: float, functions: Sequence[str] = ()) -> bool:
        """Wait until a message can be leased or the time is over; returns whether there is one.

        A message queued in this process wakes the caller at once, one queued in another process within
        milliseconds.

        Args:
            functions: Whose messages; by default those of the last `lease` of this thread.
        """
        functions = functions or getattr(self._thread_local, "functions", tuple(TRIGGER_TOPICS))
        ends = time.monotonic() + timeout_s
        while True:
            rings = self._wakeup.count
            with self._database.read_connection() as connection:
                if _has_ready(connection, functions, self._now().timestamp()):
                    return True
            left = ends - time.monotonic()
            if left <= 0:
                return False
            self._wakeup.wait(rings, left)

    def recover(self) -> int:
        """Release the leases of processes of this host that have ended, before they expire."""
        with self._database.read_connection() as connection:
            dead = [
                holder
                for (holder,) in connection.execute(
                    "SELECT DISTINCT holder FROM queue WHERE due > 0 AND holder <> ''"
                )
                if has_ended(holder)
            ]
        freed = 0
        if dead:
            with self._database.transaction(durable=False) as connection:
                for holder in dead:
                    connection.execute(
                        "UPDATE queue SET due = 0, holder = '' WHERE due > 0 AND holder = ?", (holder,)
                    )
                    freed += connection.changes()
            self._wakeup.notify()
        return freed

    def publish_pending(self) -> int:
        """Nothing to publish: outbox and queue are one table."""
        return 0

    def collect_dead_letters(self, save: Callable[[DeadLetter], None]) -> int:  # noqa: ARG002
        """Nothing to collect: `dead_letter` records a message in the same transaction."""
        return 0

    def depth(self) -> list[QueueDepth]:
        """Number of queued messages by function and lane."""
        now = self._now().timestamp()
        with self._database.read_connection() as connection:
            return [
                QueueDepth(function, _lane(lane), ready, leased, delayed, max(0.0, now - _number(oldest)))
                for function, lane, ready, leased, delayed, oldest in connection.execute(
                    "SELECT function, lane, sum(due = 0), sum(due > 0 AND holder <> ''), sum(due > 0 AND "
                    "holder = ''), min(queued)"
                    " FROM queue GROUP BY function, lane ORDER BY function, lane"
                )
            ]

    def statistics(self) -> BusStatistics:
        """Empty: `depth` has all there is."""
        return BusStatistics()

    @staticmethod
    def _store_dead_letter(connection: apsw.Connection, letter: DeadLetter) -> None:
        write_record(connection, letter)
        connection.execute("DELETE FROM queue WHERE id = ?", (letter.id,))


def _lane(value: object) -> Lane:
    """Lane of a row; a damaged file can hold what the schema rules out."""
    if value not in (0, 1):
        raise apsw.CorruptError(f"a queued message is in lane {value!r}")
    return LANES[int(value)]


def _number(value: Any) -> float:
    if not isinstance(value, int | float):
        raise apsw.CorruptError(f"a queued message holds {value!r} for a number")
    return value


def backoff_s(message: Message) -> float:
    """Seconds until the next attempt, with 20 % of jitter so that retries do not coincide."""
    first, longest = BACKOFF_RANGE_S
    spread = int.from_bytes(sha256(f"{message.id} {message.attempt}".encode()).digest()[:2]) / 0xFFFF
    return min(longest, first * BACKOFF_FACTOR ** (message.attempt - 1)) * (0.8 + 0.4 * spread)


def _has_ready(connection: apsw.Connection, functions: Sequence[str], now: float) -> bool:
    """Whether there may be a message to lease."""
    over = connection.execute(
        "SELECT 1 FROM queue WHERE due > 0 AND (due <= ? OR due > ?) LIMIT 1", (now, now + MAX_DELAY_S)
    ).get
    return over is not None or any(
        connection.execute("SELECT 1 FROM queue WHERE function = ? AND due = 0 LIMIT 1", (function,)).get
        for function in functions
    )


def _release_expired(connection: apsw.Connection, now: float) -> None:
    """Make messages ready whose lease or delay has expired."""
    connection.execute(
        "UPDATE queue SET due = 0, holder = '' WHERE due > 0 AND (due <= ? OR due > ?)",
        (now, now + MAX_DELAY_S),
    )


def _next_messages(
    connection: apsw.Connection, functions: Sequence[str], limit: int
) -> list[tuple[int, str, str, str, int, bytes, int, str]]:
    """The next messages, by one query per function, so that the backlog of another function is not
    scanned."""
    rows = [
        row
        for function in dict.fromkeys(functions)
        for row in connection.execute(
            "SELECT key, id, function, topic, lane, body, attempt, error FROM queue WHERE function = ? "
            "AND due = 0 ORDER BY lane, key LIMIT ?",
            (function, limit),
        )
    ]
    rank = {function: place for place, function in enumerate(functions)}
    return sorted(rows, key=lambda row: (row[4], rank[row[2]], row[0]))[:limit]


def _body_text(body: bytes) -> str:
    """A message's body as text, in base64 where it is not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()
