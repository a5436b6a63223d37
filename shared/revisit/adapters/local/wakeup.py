"""Wakes threads that wait for messages, in this and other processes, when one is queued.

Each waiting process reads a named pipe in the data folder; a sender writes a byte into every pipe. A wake-up
may be lost, for example when the sender is killed after its commit, so waiting threads also poll.
"""

import os
import threading
from pathlib import Path

from revisit.adapters.process_identity import has_ended, process_name


class Wakeup:
    """Counts wake-ups, so that none between a check and a wait is missed."""

    def __init__(self, folder: Path) -> None:
        """Args:
        folder: Of the pipes; created with the first one.
        """
        self._folder = folder
        self._condition = threading.Condition()
        self._listener_pid = 0
        self.count = 0
        self.max_wait_s = 0.05
        """Longest wait before polling; shorter where pipes are not available."""

    def notify(self) -> None:
        """Wake all waiting threads, in this and other processes."""
        self._notify_local()
        own = self._pipe_name()
        try:
            pipes = [pipe for pipe in os.scandir(self._folder) if pipe.name != own]
        except FileNotFoundError:
            return
        for pipe in pipes:
            _signal_pipe(pipe.path)

    def wait(self, last_count: int, timeout_s: float) -> None:
        """Wait until `count` differs from `last_count` or the time is over, at most `max_wait_s`."""
        with self._condition:
            if self._listener_pid != os.getpid():
                self._listen()
            self._condition.wait_for(lambda: self.count != last_count, min(timeout_s, self.max_wait_s))

    def _pipe_name(self) -> str:
        """File name of this object's pipe: a process may have several."""
        return f"{process_name()}~{id(self):x}"

    def _notify_local(self) -> None:
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def _listen(self) -> None:
        self._listener_pid = os.getpid()
        pipe = self._folder / self._pipe_name()
        try:
            self._folder.mkdir(exist_ok=True)
            for left in self._folder.iterdir():
                if has_ended(left.name.partition("~")[0]):
                    left.unlink(missing_ok=True)
            if not pipe.exists():
                os.mkfifo(pipe, 0o600)
            # Opened for reading and writing, so that it never reports its end.
            descriptor = os.open(pipe, os.O_RDWR)
        except (OSError, AttributeError):
            self.max_wait_s = 0.005
            return
        threading.Thread(target=self._receive, args=(descriptor,), daemon=True, name="wakeup").start()

    def _receive(self, descriptor: int) -> None:
        while os.read(descriptor, 4096):
            self._notify_local()


def _signal_pipe(pipe: str) -> None:
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return  # the reader is gone
    try:
        os.write(descriptor, b"!")
    except OSError:
        pass  # full: a wake-up is pending
    finally:
        os.close(descriptor)
