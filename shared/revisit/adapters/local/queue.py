"""The durable queue: messages are leased, not taken; what a dead worker held is handed out again."""

import base64
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import sha256

import apsw

from revisit.adapters.local.outbox import LANES, insert, message_id
from revisit.adapters.local.records import write_record
from revisit.adapters.local.sqlite import Database
from revisit.adapters.local.wakeup import Wakeup
from revisit.adapters.process_identity import has_ended, process_name
from revisit.domain.clock import Clock
from revisit.domain.ids import derive_id
from revisit.domain.job import Lane
from revisit.ports.event_bus import BusStatistics, Message, QueueDepth
from revisit.ports.system_records import DeadLetter
from revisit.ports.topology import TRIGGER_TOPICS

MAX_ATTEMPTS = 8
"""After so many a message becomes a dead letter. If the eighth ended without an answer, as when its worker
died, a ninth is handed
out: the guard of the function puts it on record where its user looks."""
LEASE_S = 120.0
MAX_DELAY_S = 900.0
"""No lease or delay is longer; one that ends later than that was made before the clock was set back, and
counts as over."""
BACKOFF_RANGE_S = (0.2, 600.0)
"""First and longest delay after a failed attempt."""
BACKOFF_FACTOR = 4.0
"""Each delay is so many times the one before: eight attempts outlast a quarter of an hour without network."""


class LocalQueue:
    """The Bus port on one file, and what workers lease messages from; threads and processes may share it."""

    def __init__(self, database: Database, now: Clock, wakeup: Wakeup) -> None:
        self._database = database
        self._now = now
        self._wakeup = wakeup
        self._thread_local = threading.local()
        """What each thread last asked `lease` for."""

    # ------------------------------------------------------------------------------------------------------------
    # workers

    def lease(self, functions: Sequence[str], limit: int = 1, lease_s: float = LEASE_S) -> list[Message]:
        """Take messages for some functions: live ones before any of a backfill; within a lane those of the
        function named first, the
        oldest first. Name the chain's end before its beginning, and what is begun is finished before more is
        begun.

        Args:
            lease_s: After so many seconds without `extend` they are handed to others; at most 900.
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
                if attempt > MAX_ATTEMPTS:
                    reason = f"given up after {attempt} attempts: {error or 'each time its worker died or let the lease run out'}"
                    self._store_dead_letter(
                        connection,
                        DeadLetter(id, function, topic, reason, self._now(), attempt, _body_text(body)),
                    )
                    continue
                connection.execute(
                    "UPDATE queue SET due = ?, attempt = attempt + 1, holder = ? WHERE key = ?",
                    (now + min(lease_s, MAX_DELAY_S), process_name(), key),
                )
                leased.append(Message(id, function, body, attempt + 1, LANES[lane]))
        return leased

    def extend(self, message: Message, lease_s: float = LEASE_S) -> bool:
        """Hold a leased message for another while; False if another worker has it by now."""
        with self._database.transaction(durable=False) as connection:
            connection.execute(
                "UPDATE queue SET due = ? WHERE id = ? AND attempt = ? AND holder <> ''",
                (self._now().timestamp() + min(lease_s, MAX_DELAY_S), message.id, message.attempt),
            )
            return connection.changes() == 1

    def ack(self, message: Message) -> bool:
        """The message is dealt with; False (and nothing happens) if another worker has it by now."""
        return self.ack_all([message]) == 1

    def ack_all(self, messages: Sequence[Message]) -> int:
        """Like `ack`, for many at once; returns how many were this worker's."""
        done = 0
        with self._database.transaction(durable=False) as connection:
            for message in messages:
                connection.execute(
                    "DELETE FROM queue WHERE id = ? AND attempt = ?", (message.id, message.attempt)
                )
                done += connection.changes()
        return done

    def nack(self, message: Message, error: str, delay_s: float | None = None) -> bool:
        """The attempt failed: try again later, or never if it was the eighth; False if another worker has it
        by now.

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
        """Make a leased message a dead letter, in one transaction; False if another worker has it by now."""
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
        """Sleep until a message can be leased, or the time is over; says whether there is one.

        What a thread of this process queues is noticed at once, what another process queues within
        milliseconds.

        Args:
            functions: Whose messages; those this thread last asked `lease` for if none is named.
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
        """Free what processes of this host that have ended had leased, instead of waiting for the leases to
        run out."""
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

    # -------------------------------------------------------------------------------------------------------
    # everyone else

    def publish_pending(self) -> int:
        """Outbox and queue are one table: there is nothing to publish."""
        return 0

    def collect_dead_letters(self, save: Callable[[DeadLetter], None]) -> int:  # noqa: ARG002
        """`dead_letter` puts what was tried too often on record at once: there is nothing to hand over."""
        return 0

    def put_raw(self, function: str, body: bytes, lane: Lane = "live") -> str:
        """Queue bytes as they are, whatever they are; returns the message's id."""
        id = message_id(derive_id("raw", function, sha256(body).hexdigest()), function)
        with self._database.transaction() as connection:
            insert(connection, id, function, "", lane, body, self._now())
        self._wakeup.notify()
        return id

    def depth(self) -> list[QueueDepth]:
        """What is queued, by function and lane."""
        now = self._now().timestamp()
        with self._database.read_connection() as connection:
            return [
                QueueDepth(function, LANES[lane], ready, leased, delayed, max(0.0, now - oldest))
                for function, lane, ready, leased, delayed, oldest in connection.execute(
                    "SELECT function, lane, sum(due = 0), sum(due > 0 AND holder <> ''), sum(due > 0 AND holder = ''), min(queued)"
                    " FROM queue GROUP BY function, lane ORDER BY function, lane"
                )
            ]

    def statistics(self) -> BusStatistics:
        """Nothing: `depth` tells all there is."""
        return BusStatistics()

    @staticmethod
    def _store_dead_letter(connection: apsw.Connection, letter: DeadLetter) -> None:
        write_record(connection, letter)
        connection.execute("DELETE FROM queue WHERE id = ?", (letter.id,))


def backoff_s(message: Message) -> float:
    """Seconds until the attempt after this one, spread by a fifth either way so that not all come back at
    once."""
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
    """Make ready what has been leased or delayed for long enough."""
    connection.execute(
        "UPDATE queue SET due = 0, holder = '' WHERE due > 0 AND (due <= ? OR due > ?)",
        (now, now + MAX_DELAY_S),
    )


def _next_messages(
    connection: apsw.Connection, functions: Sequence[str], limit: int
) -> list[tuple[int, str, str, str, int, bytes, int, str]]:
    """The messages that are next; each function is asked for its own, so that another one's backlog is never
    walked through."""
    rows = [
        row
        for function in dict.fromkeys(functions)
        for row in connection.execute(
            "SELECT key, id, function, topic, lane, body, attempt, error FROM queue WHERE function = ? AND due = 0 ORDER BY lane, key LIMIT ?",
            (function, limit),
        )
    ]
    rank = {function: place for place, function in enumerate(functions)}
    return sorted(rows, key=lambda row: (row[4], rank[row[2]], row[0]))[:limit]


def _body_text(body: bytes) -> str:
    """A message's body as text; base64 where it is none."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()
