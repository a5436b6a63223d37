"""Puts events into the queue within the transaction of their cause: one message for each function that hears
them.

On one disk outbox and queue are one table: what is committed is on its way, there is nothing left to publish.
"""

from datetime import datetime
from functools import cache

import apsw

from revisit.domain.job import Lane
from revisit.ports.cloudevents import Envelope
from revisit.ports.topology import functions_for

LANES: tuple[Lane, ...] = ("live", "backfill")
"""The number of a lane in the queue is its place here; lower ones go first."""


def message_id(event: str, function: str) -> str:
    """One message per event and function."""
    return f"{event}:{function}"


def enqueue(connection: apsw.Connection, envelope: Envelope, now: datetime) -> int:
    """Queue an event for its hearers; returns for how many. Messages that are still queued are left as they
    are."""
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
        "INSERT INTO queue (id, function, topic, lane, body, queued) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (id, function, topic, LANES.index(lane), body, now.timestamp()),
    )


_subscribers_of = cache(functions_for)
"""Asked for each event."""
