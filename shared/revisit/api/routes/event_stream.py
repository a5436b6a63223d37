"""/orders/{id}/events: an order's progress as server-sent events, where the server is one's own.

Each listener holds a thread of the server for as long as it listens: few may, and those who find no place ask
again.

    event: progress   how far the order is; at the beginning and with every change
    event: job        an acquisition whose state changed since; what had changed before the listener came, GET
        /orders/{id} tells
    event: end        the order has finished or was cancelled; nothing comes after it
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
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
"""At once."""
POLL_INTERVAL_S = 0.5
LARGE_ORDER_JOBS, LARGE_ORDER_POLL_INTERVAL_S = 500, 5.0
"""Jobs from which on an order is looked at less often, since all of them are read."""
HEARTBEAT_INTERVAL_S = 5.0
"""Without news a line is sent, by which those are found out who went away without a word."""
MAX_STREAM_S = 300.0
"""Then the connection ends, and the client, which comes again by itself, makes room for who waits."""
RETRY_MS = 2000

_SEMAPHORE_KEY = "revisit.listeners"


def limit_streams(app: Flask, max_streams: int) -> None:
    """Let so many listen at once; without this none may."""
    app.extensions[_SEMAPHORE_KEY] = BoundedSemaphore(max_streams)


def events(context: RequestContext, id: str) -> Response:
    order = get_order(context.backend, id, context.owner_id)
    slots: BoundedSemaphore | None = current_app.extensions.get(_SEMAPHORE_KEY)
    if slots is None:
        raise NotFoundError(
            "events are sent by a server on one's own computer only; here ask for the order again after Retry-After seconds"
        )
    if not slots.acquire(blocking=False):
        raise TransientError(
            f"{MAX_STREAMS} listen already, as many as may at once; ask again in a moment, or ask for the order itself"
        )
    with ExitStack() as undo:
        undo.callback(slots.release)
        response = Response(
            _Stream(_order_events(context, order), slots),
            content_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
            direct_passthrough=True,
        )
        undo.pop_all()
    return response


class _Stream:
    """What is sent, until the listener goes away: closing it gives its place back, whether or not it was
    begun."""

    def __init__(self, chunks: Iterator[bytes], slots: BoundedSemaphore) -> None:
        self._chunks, self._slots, self._open = chunks, slots, True

    def __iter__(self) -> "_Stream":
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Called by the server in any case."""
        if self._open:
            self._open = False
            self._slots.release()


def _order_events(context: RequestContext, initial_order: Order) -> Iterator[bytes]:
    started = last_sent = time.monotonic()
    yield f"retry: {RETRY_MS}\n\n".encode()
    sent_states: dict[str, str] | None = None
    last_state: tuple[Any, ...] = ()
    while time.monotonic() - started < MAX_STREAM_S:
        order = context.backend.records.get(Order, initial_order.id)
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
            yield _event(
                "progress",
                {
                    "order": order.id,
                    "state": order.state,
                    **orders.order_status(order, jobs, context.backend.now()),
                },
            )
        if not order.is_active:
            yield _event("end", {"order": order.id, "state": order.state})
            return
        if time.monotonic() - last_sent >= HEARTBEAT_INTERVAL_S:
            last_sent = time.monotonic()
            yield b": nothing new\n\n"
        time.sleep(LARGE_ORDER_POLL_INTERVAL_S if len(order.jobs) > LARGE_ORDER_JOBS else POLL_INTERVAL_S)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


ROUTES = (Route("GET", "/orders/<id>/events", events),)
