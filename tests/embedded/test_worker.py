"""A worker outlives what its queue's disk meets."""

import threading
from types import SimpleNamespace

import pytest

from revisit.embedded import server, worker
from revisit.embedded.worker import Worker
from revisit.errors import Retry
from revisit.ports.event_bus import Message


class Queue:
    """Holds messages on a disk that is full at every first `full` calls."""

    def __init__(self, messages, full):
        self.messages, self.full, self.calls, self.answered = messages, full, 0, []

    def _write(self):
        self.calls += 1
        if self.calls % (self.full + 1):
            raise Retry("the disk is full; make room")

    def lease(self, functions, limit, lease_s):
        self._write()
        return [self.messages.pop(0)] if self.messages else []

    def wait(self, timeout_s, functions):
        threading.Event().wait(0.01)

    def ack(self, message):
        self._write()
        self.answered.append(("ack", message.id))

    def nack(self, message, error):
        self._write()
        self.answered.append(("nack", message.id))


@pytest.fixture
def messages(monkeypatch):
    monkeypatch.setattr(worker, "PAUSE_S", 0.001)
    return [Message("one", "index", b"", 1, "live"), Message("two", "index", b"", 1, "live")]


def test_a_worker_goes_on_when_a_full_disk_is_given_room(messages):
    queue, stop = Queue(messages, full=3), threading.Event()
    host = SimpleNamespace(push=lambda message: (200 if message.id == "one" else 500, ""))
    thread = Worker(SimpleNamespace(bus=queue), host, ["index"], stop)
    thread.start()
    for _ in range(500):
        if len(queue.answered) == 2:
            break
        thread.join(0.01)
    stop.set()
    thread.join(5)
    assert queue.answered == [("ack", "one"), ("nack", "two")]


def test_a_command_says_that_the_disk_stays_full_instead_of_waiting_for_ever(messages, monkeypatch, tmp_path):
    monkeypatch.setattr(server, "Host", lambda backend: None)
    monkeypatch.setattr(server, "server_of", lambda data: None)
    with pytest.raises(Retry, match="make room"):
        server.run_until(SimpleNamespace(bus=Queue(messages, full=10**9)), tmp_path, lambda: False, 20)
