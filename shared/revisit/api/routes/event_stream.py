"""/orders/{id}/events: an order's progress as server-sent events, where the server is one's own.

Each listener holds a thread of the server for as long as it listens: few may, and those who find no place ask again.

    event: progress   how far the order is; at the beginning and with every change
    event: job        an acquisition whose state changed since; what had changed before the listener came, GET /orders/{id} tells
    event: end        the order has finished or was cancelled; nothing comes after it
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from threading import BoundedSemaphore
from typing import Any

import msgspec
from flask import Flask, Response, current_app

from revisit import services
from revisit.api.http.request_context import Asked
from revisit.domain.order import Order
from revisit.errors import NotFound, Retry
from revisit.presenters import documents, orders

LISTENERS = 4
"""At once."""
LOOKS_S = 0.5
LARGE, LARGE_LOOKS_S = 500, 5.0
"""Jobs from which on an order is looked at less often, since all of them are read."""
HEARTBEAT_S = 5.0
"""Without news a line is sent, by which those are found out who went away without a word."""
LONGEST_S = 300.0
"""Then the connection ends, and the client, which comes again by itself, makes room for who waits."""
AGAIN_MS = 2000

_PLACES = "revisit.listeners"


def make_room(app: Flask, listeners: int) -> None:
    """Let so many listen at once; without this none may."""
    app.extensions[_PLACES] = BoundedSemaphore(listeners)


def events(asked: Asked, id: str) -> Response:
    placed = services.order_of(asked.backend, id, asked.owner)
    places: BoundedSemaphore | None = current_app.extensions.get(_PLACES)
    if places is None:
        raise NotFound("events are sent by a server on one's own computer only; here ask for the order again after Retry-After seconds")
    if not places.acquire(blocking=False):
        raise Retry(f"{LISTENERS} listen already, as many as may at once; ask again in a moment, or ask for the order itself")
    with ExitStack() as undo:
        undo.callback(places.release)
        response = Response(_Stream(_told(asked, placed), places), content_type="text/event-stream", headers={"Cache-Control": "no-store"},
                            direct_passthrough=True)
        undo.pop_all()
    return response


class _Stream:
    """What is sent, until the listener goes away: closing it gives its place back, whether or not it was begun."""

    def __init__(self, told: Iterator[bytes], places: BoundedSemaphore) -> None:
        self._told, self._places, self._open = told, places, True

    def __iter__(self) -> "_Stream":
        return self

    def __next__(self) -> bytes:
        return next(self._told)

    def close(self) -> None:
        """Called by the server in any case."""
        if self._open:
            self._open = False
            self._places.release()


def _told(asked: Asked, placed: Order) -> Iterator[bytes]:
    begun = heard = time.monotonic()
    yield f"retry: {AGAIN_MS}\n\n".encode()
    states: dict[str, str] | None = None
    seen: tuple[Any, ...] = ()
    while time.monotonic() - begun < LONGEST_S:
        order = asked.backend.records.get(Order, placed.id)
        if order is None:
            return
        jobs = services.results(asked.backend, order.id, asked.owner)
        now = {job.id: job.state for job in jobs}
        if (order.state, now) != seen:
            seen, heard = (order.state, now), time.monotonic()
            for job in jobs if states is not None else ():
                if states is not None and states.get(job.id) != job.state:
                    yield _event("job", documents.job(job))
            states = dict(now)
            yield _event("progress", {"order": order.id, "state": order.state, **orders.standing(order, jobs, asked.backend.now())})
        if order.state != "running" and not order.open:
            yield _event("end", {"order": order.id, "state": order.state})
            return
        if time.monotonic() - heard >= HEARTBEAT_S:
            heard = time.monotonic()
            yield b": nothing new\n\n"
        time.sleep(LARGE_LOOKS_S if len(order.jobs) > LARGE else LOOKS_S)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


ROUTES = (("GET", "/orders/<id>/events", events),)
