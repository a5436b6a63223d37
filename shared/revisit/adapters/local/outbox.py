"""Transactional outbox: queues events in the transaction of their cause, one message per function.

Locally, outbox and queue are one table, so a committed event needs no further publishing.
"""

from datetime import datetime
from functools import cache

import apsw

from revisit.domain.job import Lane
from revisit.ports.cloudevents import Envelope
from revisit.ports.topology import functions_for

LANES: tuple[Lane, ...] = ("live", "backfill")
"""Lanes by priority; the index of a lane is its number in the queue."""


def message_id(event: str, function: str) -> str:
    """One message per event and function."""
    return f"{event}:{function}"


def enqueue(connection: apsw.Connection, envelope: Envelope, now: datetime) -> int:
    """Queue an event for its subscribed functions; returns how many. Messages still queued stay unchanged."""
    body = envelope.encode()
    id, functions = envelope.id, _subscribers_of(envelope.event.topic)
    for function in functions:
        insert(connection, message_id(id, function), function, envelope.event.topic, envelope.lane, body, now)
    return len(functions)


def insert(
    connection: apsw.Connection, id: str, function: str, topic: str, lane: Lane, body: bytes, now: datetime
) -> None:
    """Queue one message unless it is queued."""
    connection.execute(
        "INSERT INTO queue (id, function, topic, lane, body, queued) VALUES (?, ?, ?, ?, ?, ?) ON "
        "CONFLICT (id) DO NOTHING",
        (id, function, topic, LANES.index(lane), body, now.timestamp()),
    )


_subscribers_of = cache(functions_for)
"""Cached because each event needs it."""
