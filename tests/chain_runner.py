"""Runs the chain in a test: every queued message goes through the true functions until none is left."""

from collections.abc import Iterable

from revisit.embedded.function_host import FunctionHost
from revisit.ports.backend import Backend
from revisit.ports.topology import TRIGGER_TOPICS


def drain(backend: Backend, functions: Iterable[str] = TRIGGER_TOPICS, max_pushes: int = 10_000) -> int:
    """Push what is queued to its functions, one by one, until the queue is empty; returns how many pushes it
    took.

    A failed attempt is retried immediately, so a message that keeps failing is dead-lettered within the call.
    """
    host, pushes = FunctionHost(backend), 0
    while leased := backend.bus.lease(tuple(functions), 1):
        for message in leased:
            pushes += 1
            assert pushes < max_pushes, "the queue does not run dry"
            status, answer = host.push(message)
            if status < 300:
                assert backend.bus.ack(message)
            else:
                backend.bus.nack(message, answer, delay_s=0)
    return pushes
