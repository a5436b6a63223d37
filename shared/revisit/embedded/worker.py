"""Workers lease a message, push it to its function and acknowledge it, in threads or processes."""

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from revisit.embedded.function_host import FunctionHost
from revisit.embedded.log_file import configure_log_file
from revisit.errors import PermanentError, TransientError
from revisit.ports.backend import Backend
from revisit.ports.event_bus import Message

if TYPE_CHECKING:
    from revisit.adapters.local.queue import LocalQueue

LEASE_S = 120
HEARTBEAT_INTERVAL_S = 30
DIED = 70
"""Exit status of a worker process whose thread ended by itself."""
RETRY_INTERVAL_S = 1
"""Seconds between two attempts while the queue's disk is full or failing."""


class Worker:
    """Processes messages of some functions, one at a time, until `stop` is set.

    It holds a thread and does not inherit from Thread, whose private names an attribute could hide.
    """

    def __init__(
        self, backend: Backend, host: FunctionHost, functions: Sequence[str], stop: threading.Event
    ) -> None:
        self.thread = threading.Thread(
            target=self._work, daemon=True, name=f"worker of {', '.join(functions)}"
        )
        self._queue = cast("LocalQueue", backend.bus)
        self._host, self._functions, self._stop_event = host, tuple(functions), stop
        self.last_error: TransientError | None = None
        """The error of the queue at present; None if it works."""
        self.failures = 0
        """Number of consecutive failures of the queue."""

    def _work(self) -> None:
        while not self._stop_event.is_set():
            leased = self._retry(lambda: self._queue.lease(self._functions, 1, LEASE_S))
            if not leased:
                self._retry(lambda: self._queue.wait(0.25, self._functions))
            for message in leased or ():
                self._handle(message)

    def _retry[T](self, operation: Callable[[], T]) -> T | None:
        """Retry until the queue's disk works; None if `stop` is set first."""
        while True:
            try:
                answer = operation()
            except TransientError as error:
                self.last_error, self.failures = error, self.failures + 1
                if self._stop_event.wait(RETRY_INTERVAL_S):
                    return None
            else:
                self.last_error, self.failures = None, 0
                return answer

    def _handle(self, message: Message) -> None:
        over = threading.Event()
        threading.Thread(target=self._renew_lease, args=(message, over), daemon=True).start()
        try:
            status, answer = self._host.push(message)
        finally:
            over.set()
        if 200 <= status < 300:
            self._retry(lambda: self._queue.ack(message))
        else:
            self._retry(lambda: self._queue.nack(message, f"{status}: {answer[:500]}"))

    def _renew_lease(self, message: Message, handled: threading.Event) -> None:
        while not handled.wait(HEARTBEAT_INTERVAL_S):
            with suppress(TransientError):  # the next renewal may succeed; a lease lasts for three
                self._queue.extend(message, LEASE_S)


def alive(*threads: threading.Thread) -> None:
    """Check that threads which run until `stop` still do.

    Raises:
        PermanentError: One has ended by itself; Python has printed why.
    """
    for thread in threads:
        if not thread.is_alive():
            raise PermanentError(died(thread.name))


def died(who: str) -> str:
    """Error message for a worker that ended by itself."""
    return f"the {who} ended because of the error printed above; unfinished work continues at the next start"


def start_worker_process(
    data: Path, functions: Sequence[str], log_level: int = logging.INFO
) -> "subprocess.Popen[bytes]":
    """Start a worker process for some functions; it ends with this process, however that ends."""
    program = "from revisit.embedded.worker import main; main()"
    command = [sys.executable, "-c", program, str(data), *functions, "--log-level", str(log_level)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def _exit_with_parent() -> None:
    # The parent holds the other end of this pipe, and its end closes it, even on SIGKILL. Read without a
    # buffer, whose lock would block the interpreter's shutdown.
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


def main() -> None:
    """Entry point of a worker process."""
    from revisit.adapters.local.backend import local_backend

    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("functions", nargs="+")
    parser.add_argument("--log-level", type=int, default=logging.INFO)
    options = parser.parse_args()
    configure_log_file(options.data, options.log_level)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    backend = local_backend(options.data)
    worker = Worker(backend, FunctionHost(backend), options.functions, stop)
    worker.thread.start()
    worker.thread.join()
    if not stop.is_set():
        sys.exit(DIED)
