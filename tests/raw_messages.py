"""Messages that are no event, put into a local queue as they are."""

from hashlib import sha256

from revisit.adapters.local.outbox import insert, message_id
from revisit.adapters.local.queue import LocalQueue
from revisit.domain.ids import derive_id
from revisit.domain.job import Lane


def put_raw(queue: LocalQueue, function: str, body: bytes, lane: Lane = "live") -> str:
    """Queue bytes without checking them; returns the message's id."""
    id = message_id(derive_id("raw", function, sha256(body).hexdigest()), function)
    with queue._database.transaction() as connection:
        insert(connection, id, function, "", lane, body, queue._now())
    queue._wakeup.notify()
    return id
