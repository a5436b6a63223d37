"""How an event is handled: as the function `deliver` does it, and as one would write it without thinking of crashes."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from revisit.adapters.local.backend import local_backend, local_queue
from revisit.domain.delivery import delivery_id
from revisit.domain.events import DeliveriesDue
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend, Commit
from revisit.ports.envelope import decode
from revisit.ports.event_bus import Message
from samples import alert, delivery

HISTORY = "history"
"""File beside the database, in which workers write what they saw committed."""
BATCH = 4
"""Messages that a worker leases at once."""


def job(wish: str, acquisition: str) -> str:
    """Id of the job that found an acquisition for a subscription; both can be read from it."""
    return f"{wish}|{acquisition}"


def deliver(backend: Backend, reached: Callable[[str], None] = lambda point: None) -> str | None:
    """Handle an event as the function `deliver` does: alert, number, mark and what follows in one commit.

    Returns:
        Id of what was written; None where it had been before.
    """
    event = backend.cause.event
    if isinstance(event, DeliveriesDue):
        return backend.commit(partial(_carry, id=event.at, reached=reached))
    wish, acquisition = event.job.split("|")
    return backend.commit(partial(_announce, wish=wish, acquisition=acquisition, reached=reached))


def _announce(commit: Commit, wish: str, acquisition: str, reached: Callable[[str], None]) -> str:
    written = _write_alert(commit, wish, acquisition, reached)
    commit.emit(DeliveriesDue(written))
    reached("event")
    return written


def _write_alert(commit: Commit, wish: str, acquisition: str, reached: Callable[[str], None]) -> str:
    found = commit.get(Subscription, wish)
    reached("read")
    line = alert(wish, found.alerts + 1, acquisition)
    commit.put(line)
    reached("alert")
    commit.put(found.updated(alerts=found.alerts + 1))
    reached("number")
    return line.id


def _carry(commit: Commit, id: str, reached: Callable[[str], None]) -> str:
    commit.put(delivery(delivery_id(id, "c"), alert=id, state="delivered"))
    reached("delivery")
    return id


def deliver_naively(backend: Backend, reached: Callable[[str], None] = lambda point: None) -> str | None:
    """The same in three commits, as one would write it without thinking of crashes: the judge must find its faults."""
    event, mark = backend.cause.event, backend.done_mark
    if isinstance(event, DeliveriesDue):
        return deliver(backend)
    if backend.records.transact(lambda transaction: transaction.marked(mark)):
        return None
    wish, acquisition = event.job.split("|")
    written = backend.commit(partial(_write_alert, wish=wish, acquisition=acquisition, reached=reached), last=False)
    reached("written")
    backend.records.transact(lambda transaction: transaction.mark(mark))
    reached("marked")
    backend.commit(lambda commit: commit.emit(DeliveriesDue(written)), last=False)
    return written


HANDLERS = {"one commit": deliver, "three commits": deliver_naively}


def handle(backend: Backend, message: Message, handler: Callable[..., str | None], history: int) -> None:
    """Handle one message and write into the history what was committed."""
    envelope = decode(message.body)
    written = handler(backend.handling(envelope, "deliver"))
    if written:
        os.write(history, f"{envelope.event.topic} {written}\n".encode())


def work(data: Path, handler: Callable[..., str | None], lease_s: float) -> None:
    """Work messages off until killed."""
    backend = local_backend(data)
    queue = local_queue(backend)
    history = os.open(data / HISTORY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        leased = queue.lease(["deliver"], BATCH, lease_s)
        if not leased:
            queue.wait(0.2)
        for message in leased:
            handle(backend, message, handler, history)
            queue.ack(message)


def work_once(data: Path, reached: Callable[[str], None] = lambda point: None, prepare: Callable[[Backend], None] = lambda backend: None) -> None:
    """Work off what is queued."""
    backend = local_backend(data)
    prepare(backend)
    queue = local_queue(backend)
    history = os.open(data / HISTORY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while leased := queue.lease(["deliver"]):
        reached("leased")
        handle(backend, leased[0], partial(deliver, reached=reached), history)
        reached("committed")
        queue.ack(leased[0])
        reached("acknowledged")
