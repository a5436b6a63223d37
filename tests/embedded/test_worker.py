"""A worker survives faults of its queue's disk; a process that waits for a dead worker reports it."""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from revisit.embedded import server as suite
from revisit.embedded import worker
from revisit.embedded.server import EmbeddedServer
from revisit.embedded.worker import Worker
from revisit.errors import PermanentError, TransientError
from revisit.ports.event_bus import Message


class Queue:
    """Holds messages on a disk that is full at every first `full` calls."""

    def __init__(self, messages, full):
        self.messages, self.full, self.calls, self.answered = messages, full, 0, []

    def _write(self):
        self.calls += 1
        if self.calls % (self.full + 1):
            raise TransientError("the disk is full; make room")

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
    monkeypatch.setattr(worker, "RETRY_INTERVAL_S", 0.001)
    return [Message("one", "index", b"", 1, "live"), Message("two", "index", b"", 1, "live")]


def test_a_worker_goes_on_when_a_full_disk_is_given_room(messages):
    queue, stop = Queue(messages, full=3), threading.Event()
    host = SimpleNamespace(push=lambda message: (200 if message.id == "one" else 500, ""))
    thread = Worker(SimpleNamespace(bus=queue), host, ["index"], stop).thread
    thread.start()
    for _ in range(500):
        if len(queue.answered) == 2:
            break
        thread.join(0.01)
    stop.set()
    thread.join(5)
    assert queue.answered == [("ack", "one"), ("nack", "two")]


def test_a_command_says_that_the_disk_stays_full_instead_of_waiting_for_ever(messages, monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "FunctionHost", lambda backend: None)
    monkeypatch.setattr(suite, "server_url", lambda data: None)
    with pytest.raises(TransientError, match="make room"):
        suite.run_until(SimpleNamespace(bus=Queue(messages, full=10**9)), tmp_path, lambda: False, 20)


def breaking(message):
    raise RuntimeError(f"cannot push {message.id}")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_command_ends_with_an_error_when_a_worker_dies(messages, monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "FunctionHost", lambda backend: SimpleNamespace(push=breaking))
    monkeypatch.setattr(suite, "server_url", lambda data: None)
    begun = time.monotonic()
    with pytest.raises(PermanentError, match="ended because of the error printed above"):
        suite.run_until(SimpleNamespace(bus=Queue(messages, full=0)), tmp_path, lambda: False, 20)
    assert time.monotonic() - begun < 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_suite_ends_with_an_error_when_a_worker_dies(monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "FunctionHost", lambda backend: SimpleNamespace(push=breaking))
    begun = time.monotonic()
    with (
        pytest.raises(PermanentError, match="the worker of refresh ended"),
        EmbeddedServer(tmp_path, ("folder:/nothing",), port=0, workers=0) as running,
    ):
        running.wait(threading.Event(), 20)
    assert time.monotonic() - begun < 10


def test_a_suite_ends_with_an_error_when_the_thread_of_a_worker_process_dies(monkeypatch, tmp_path):
    ending = [sys.executable, "-c", f"raise SystemExit({worker.DIED})"]
    monkeypatch.setattr(suite, "start_worker_process", lambda *_: subprocess.Popen(ending))
    with (
        pytest.raises(PermanentError, match="the worker process of"),
        EmbeddedServer(tmp_path, port=0, workers=1) as running,
    ):
        running.wait(threading.Event(), 20)


def test_a_worker_process_whose_thread_dies_says_so_in_its_status(tmp_path):
    code = "from revisit.embedded import worker; worker.Worker._work = lambda self: 1 / 0; worker.main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "extract"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.wait(30) == worker.DIED
        assert "ZeroDivisionError" in process.stderr.read()


def test_a_server_waits_until_it_is_stopped_or_its_time_is_over(tmp_path):
    stop = threading.Event()
    with EmbeddedServer(tmp_path, port=0, workers=0) as running:
        assert running.wait(stop, 0.05) is False
        stop.set()
        assert running.wait(stop) is True
