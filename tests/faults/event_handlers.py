"""How an event is handled: as the function `deliver` does it, and as one would write it without thinking of
crashes."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from revisit.adapters.local.backend import local_backend, local_queue
from revisit.domain.delivery import delivery_id
from revisit.domain.events import DeliveriesDue
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend, Commit
from revisit.ports.cloudevents import decode
from revisit.ports.event_bus import Message
from samples import alert, delivery

HISTORY_FILE = "history"
"""File beside the database, in which workers write what they saw committed."""
LEASE_COUNT = 4
"""Messages that a worker leases at once."""


def pair_job_id(subscription: str, acquisition: str) -> str:
    """Id of the job that found an acquisition for a subscription; both can be read from it."""
    return f"{subscription}|{acquisition}"


def deliver(backend: Backend, on_step: Callable[[str], None] = lambda point: None) -> str | None:
    """Handle an event as the function `deliver` does: alert, number, mark and what follows in one commit.

    Returns:
        Id of what was written; None where it had been before.
    """
    event = backend.cause.event
    if isinstance(event, DeliveriesDue):
        return backend.commit(partial(_write_delivery, id=event.at, on_step=on_step))
    wish, acquisition = event.job.split("|")
    return backend.commit(
        partial(_write_alert_and_event, subscription=wish, acquisition=acquisition, on_step=on_step)
    )


def _write_alert_and_event(
    commit: Commit, subscription: str, acquisition: str, on_step: Callable[[str], None]
) -> str:
    written = _write_alert(commit, subscription, acquisition, on_step)
    commit.emit(DeliveriesDue(written))
    on_step("event")
    return written


def _write_alert(commit: Commit, subscription: str, acquisition: str, on_step: Callable[[str], None]) -> str:
    found = commit.get(Subscription, subscription)
    on_step("read")
    line = alert(subscription, found.alerts + 1, acquisition)
    commit.put(line)
    on_step("alert")
    commit.put(found.with_changes(alerts=found.alerts + 1))
    on_step("number")
    return line.id


def _write_delivery(commit: Commit, id: str, on_step: Callable[[str], None]) -> str:
    commit.put(delivery(delivery_id(id, "c"), alert=id, state="delivered"))
    on_step("delivery")
    return id


def deliver_naively(backend: Backend, on_step: Callable[[str], None] = lambda point: None) -> str | None:
    """The same in three commits, as one would write it without thinking of crashes: the judge must find its
    faults."""
    event, mark = backend.cause.event, backend.dedupe_key
    if isinstance(event, DeliveriesDue):
        return deliver(backend)
    if backend.records.transact(lambda transaction: transaction.has_dedupe_key(mark)):
        return None
    wish, acquisition = event.job.split("|")
    written = backend.commit(
        partial(_write_alert, subscription=wish, acquisition=acquisition, on_step=on_step), completes_event=False
    )
    on_step("written")
    backend.records.transact(lambda transaction: transaction.add_dedupe_key(mark))
    on_step("marked")
    backend.commit(lambda commit: commit.emit(DeliveriesDue(written)), completes_event=False)
    return written


HANDLERS = {"one commit": deliver, "three commits": deliver_naively}


def handle(backend: Backend, message: Message, handler: Callable[..., str | None], history: int) -> None:
    """Handle one message and write into the history what was committed."""
    envelope = decode(message.body)
    written = handler(backend.with_cause(envelope, "deliver"))
    if written:
        os.write(history, f"{envelope.event.topic} {written}\n".encode())


def handle_until_killed(data: Path, handler: Callable[..., str | None], lease_s: float) -> None:
    """Work messages off until killed."""
    backend = local_backend(data)
    queue = local_queue(backend)
    history = os.open(data / HISTORY_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        leased = queue.lease(["deliver"], LEASE_COUNT, lease_s)
        if not leased:
            queue.wait(0.2)
        for message in leased:
            handle(backend, message, handler, history)
            queue.ack(message)


def handle_queued(
    data: Path,
    on_step: Callable[[str], None] = lambda point: None,
    prepare: Callable[[Backend], None] = lambda backend: None,
) -> None:
    """Work off what is queued."""
    backend = local_backend(data)
    prepare(backend)
    queue = local_queue(backend)
    history = os.open(data / HISTORY_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while leased := queue.lease(["deliver"]):
        on_step("leased")
        handle(backend, leased[0], partial(deliver, on_step=on_step), history)
        on_step("committed")
        queue.ack(leased[0])
        on_step("acknowledged")
