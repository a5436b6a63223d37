"""/orders/{id}/events: an order's progress as server-sent events, on one's own server.

Each stream occupies a thread of the server, so their number is limited, and a client without a place retries.

    event: progress   the state of the order; sent first and after every change
    event: job        a job whose state changed since the previous event; GET /orders/{id} has the others
    event: end        the order finished, failed or was cancelled; nothing follows
"""

import time
from collections.abc import Iterator
from threading import BoundedSemaphore
from typing import Any

import msgspec
from flask import Flask, Response, current_app

from revisit.api.http.request_context import RequestContext, Route
from revisit.domain.order import Order
from revisit.errors import NotFoundError, TransientError
from revisit.presenters import documents, orders
from revisit.services.orders.create import get_order
from revisit.services.subscriptions.results import list_jobs

MAX_STREAMS = 4
"""Streams at a time."""
MIN_INTERVAL_S = 0.1
"""Shortest time between two reads of an order."""
LARGE_ORDER_JOBS, LARGE_ORDER_INTERVAL_S = 500, 5.0
"""Number of jobs from which an order is read less often, since each read covers all of them."""
HEARTBEAT_INTERVAL_S = 5.0
"""Longest time between two reads; without news a comment is sent, which detects closed connections."""
MAX_STREAM_S = 300.0
"""Longest stream; the client then reconnects by itself, and others get a turn."""
RETRY_MS = 2000

_SEMAPHORE_KEY = "revisit.listeners"


def limit_streams(app: Flask, max_streams: int) -> None:
    """Allow so many streams at a time; an application without this call offers none."""
    app.extensions[_SEMAPHORE_KEY] = BoundedSemaphore(max_streams)


def events(context: RequestContext, id: str) -> Response:
    order = get_order(context.backend, id, context.owner_id)
    slots: BoundedSemaphore | None = current_app.extensions.get(_SEMAPHORE_KEY)
    if slots is None:
        raise NotFoundError(
            "this deployment offers no event stream; request the order again after Retry-After seconds"
        )
    if not slots.acquire(blocking=False):
        raise TransientError(
            f"all {MAX_STREAMS} event streams are in use; retry in a moment, or request the order itself"
        )
    stream = _Stream(_order_events(context, order), slots)
    return Response(
        stream,
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
        direct_passthrough=True,
    )


class _Stream:
    """The chunks of one stream; closing it frees its slot, whether or not it was started."""

    def __init__(self, chunks: Iterator[bytes], slots: BoundedSemaphore) -> None:
        self._chunks, self._slots, self._open = chunks, slots, True

    def __iter__(self) -> "_Stream":
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Free the slot; the server calls this when the connection ends."""
        if self._open:
            self._open = False
            self._slots.release()


def _order_events(context: RequestContext, initial_order: Order) -> Iterator[bytes]:
    records, started = context.backend.records, time.monotonic()
    last_sent = started
    yield f"retry: {RETRY_MS}\n\n".encode()
    sent_states: dict[str, str] | None = None
    last_state: tuple[Any, ...] = ()
    while time.monotonic() - started < MAX_STREAM_S:
        commit_seen, read_at = records.wait_for_commit(-1, 0), time.monotonic()
        order = records.get(Order, initial_order.id)
        if order is None:
            return
        jobs = list_jobs(context.backend, order.id, context.owner_id)
        job_states = {job.id: job.state for job in jobs}
        if (order.state, job_states) != last_state:
            last_state, last_sent = (order.state, job_states), time.monotonic()
            for job in jobs if sent_states is not None else ():
                if sent_states is not None and sent_states.get(job.id) != job.state:
                    yield _event("job", documents.job(job))
            sent_states = dict(job_states)
            status = orders.order_status(order, jobs, context.backend.now())
            yield _event("progress", {"order": order.id, "state": order.state, **status})
        if not order.is_active:
            yield _event("end", {"order": order.id, "state": order.state})
            return
        if time.monotonic() - last_sent >= HEARTBEAT_INTERVAL_S:
            last_sent = time.monotonic()
            yield b": no news\n\n"
        records.wait_for_commit(commit_seen, HEARTBEAT_INTERVAL_S)
        interval = LARGE_ORDER_INTERVAL_S if len(order.jobs) > LARGE_ORDER_JOBS else MIN_INTERVAL_S
        time.sleep(max(0.0, read_at + interval - time.monotonic()))


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


ROUTES = (Route("GET", "/orders/<id>/events", events),)
