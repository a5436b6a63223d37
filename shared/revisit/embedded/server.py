"""The embedded server: light functions in threads, pixel functions in processes, the API and the page."""

import logging
import math
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from revisit.adapters.local.backend import local_backend
from revisit.embedded.function_host import FunctionHost
from revisit.embedded.http_server import REQUEST_THREADS, HttpServer
from revisit.embedded.lock import acquire_lock, server_url, write_url
from revisit.embedded.log_file import configure_log_file
from revisit.embedded.scheduler import Scheduler
from revisit.embedded.worker import DIED, Worker, alive, died, start_worker_process
from revisit.errors import PermanentError
from revisit.ports.backend import Backend
from revisit.ports.topology import LAST_STAGE_FIRST, PIXEL_FUNCTIONS, TRIGGER_TOPICS

LIGHT_FUNCTIONS = tuple(name for name in TRIGGER_TOPICS if name not in PIXEL_FUNCTIONS)
SHUTDOWN_TIMEOUT_S = 8
"""Longest wait for running work at shutdown."""
DRAIN_TIMEOUT_S = 5
"""Longest wait of a finished command for events that follow, such as alerts."""
FUNCTION_THREADS = {"deliver": 6}
"""Threads of functions that wait for other hosts; one slow receiver occupies at most 4 of them."""
MAX_BODY_FACTOR = 16
"""Multiple of the API's body limit: up to there the API rejects a request with its own message, above the
server does."""
LOOK_S = 0.5
"""Interval at which a waiting server checks that all its parts still run."""
MAX_QUEUE_FAILURES = 5
"""Consecutive failures of the queue, a second apart, after which a command stops waiting."""


class EmbeddedServer:
    """Runs inside its `with` block; after a crash, the next start continues the work."""

    def __init__(
        self,
        data: Path,
        sources: tuple[str, ...] = (),
        port: int = 8787,
        workers: int = 2,
        log_level: int = logging.INFO,
    ) -> None:
        """Open the data folder and its port.

        Args:
            data: The data folder; it has one server at a time.
            sources: SPECs to refresh from now on, besides those stored in the folder.
            port: Port on 127.0.0.1; 0 takes a free one.
            workers: Number of processes for pixel functions.
            log_level: Minimum level of the folder's log.
        """
        data = data.expanduser().absolute()
        self.data, self._workers, self._log_level = data, workers, log_level
        self.backend = local_backend(data, sources)
        self._lock = acquire_lock(data)
        self._server = create_api_server(self.backend, data, port)
        self.url = self._server.url
        write_url(self._lock, self.url)
        settings = replace(self.backend.settings, base_url=os.environ.get("REVISIT_BASE_URL", self.url))
        self.backend = replace(self.backend, settings=settings)
        configure_log_file(data, log_level, rotate=True)
        self._stop_event = threading.Event()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._broken = False
        """Whether a worker process ended because its thread died; another one would too."""

    def __enter__(self) -> "EmbeddedServer":
        host = FunctionHost(self.backend)
        self._threads = [
            Worker(self.backend, host, [name], self._stop_event).thread
            for name in LIGHT_FUNCTIONS
            for _ in range(FUNCTION_THREADS.get(name, 1))
        ]
        self._threads.append(Scheduler(self.backend, self._stop_event).thread)
        self._supervisor = threading.Thread(
            target=self._supervise_workers, daemon=True, name="supervisor of the worker processes"
        )
        for thread in (*self._threads, self._supervisor):
            thread.start()
        self._server.start()
        return self

    def wait(self, stop: threading.Event, most_s: float = math.inf) -> bool:
        """Wait until `stop` is set or the time is over.

        Returns:
            Whether `stop` is set.

        Raises:
            PermanentError: A part of the server ended by itself.
        """
        until = time.monotonic() + most_s
        while not stop.wait(max(0.0, min(LOOK_S, until - time.monotonic()))):
            alive(*self._threads, self._supervisor, self._server.thread)
            if self._broken:
                raise PermanentError(died("worker process of " + ", ".join(PIXEL_FUNCTIONS)))
            if time.monotonic() >= until:
                return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Running work may finish within a few seconds; the rest is leased again after the next start, as
        # after a crash.
        self._stop_event.set()
        until = time.monotonic() + SHUTDOWN_TIMEOUT_S
        self._supervisor.join()
        for process in self._processes:
            process.terminate()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for process in self._processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        self._server.close()
        self._lock.close()

    def _supervise_workers(self) -> None:
        while not self._stop_event.is_set():
            ended = [process for process in self._processes if process.poll() is not None]
            self._broken = self._broken or any(process.returncode == DIED for process in ended)
            self._processes = [process for process in self._processes if process not in ended]
            while len(self._processes) < self._workers and not self._broken and not self._stop_event.is_set():
                self._processes.append(start_worker_process(self.data, PIXEL_FUNCTIONS, self._log_level))
            self._stop_event.wait(0.5)


def create_api_server(backend: Backend, data: Path, port: int) -> HttpServer:
    """The API and the page of a data folder, with event streams; it does not accept connections yet.

    Raises:
        InvalidInputError: The port cannot be used.
    """
    from revisit.api import MAX_BODY_BYTES, create_app
    from revisit.api.routes import event_stream as listening

    app = create_app(backend, data)
    listening.limit_streams(app, listening.MAX_STREAMS)
    return HttpServer(app, port, REQUEST_THREADS + listening.MAX_STREAMS, MAX_BODY_FACTOR * MAX_BODY_BYTES)


def run_until(backend: Backend, data: Path, done: Callable[[], bool], timeout_s: float = math.inf) -> bool:
    """Run the chain until `done` returns true: by the folder's server if one runs, otherwise in this process.

    Args:
        backend: Backend of the data folder.
        data: The data folder.
        done: Called often, so it must be cheap.
        timeout_s: Longest wait.

    Returns:
        Whether it was done in time.

    Raises:
        TransientError: The data folder's disk is full or failing, and stays so.
        PermanentError: A worker ended by itself.
    """
    stop = threading.Event()
    workers: list[Worker] = []
    until = time.monotonic() + timeout_s
    try:
        while not (finished := done()) and time.monotonic() < until:
            # Checked repeatedly, because a server may stop while this command waits for it.
            if not workers and server_url(data) is None:
                host = FunctionHost(backend)
                # Two threads for all functions: reading pixels and array arithmetic release the interpreter
                # lock.
                workers = [Worker(backend, host, LAST_STAGE_FIRST, stop) for _ in range(2)]
                for worker in workers:
                    worker.thread.start()
            for worker in workers:
                alive(worker.thread)
                if worker.last_error and worker.failures >= MAX_QUEUE_FAILURES:
                    raise worker.last_error
            time.sleep(0.02 if workers else 0.1)
        ended = time.monotonic()
        while (
            workers
            and time.monotonic() < min(until, ended + DRAIN_TIMEOUT_S)
            and any(each.ready for each in backend.bus.depth() if each.function in LIGHT_FUNCTIONS)
        ):
            time.sleep(0.02)
    finally:
        stop.set()
        for worker in workers:
            worker.thread.join(30)
    return finished
