"""Wakes whoever waits for messages, in this process and in others, the moment one is queued.

Each process that waits listens at a named pipe of its own in the data folder; who queues something writes a
byte into all of them.
A ring may be missed, as when its sender is killed after the commit: those who wait also look for themselves
now and then.
"""

import os
import threading
from pathlib import Path

from revisit.adapters.process_identity import has_ended, process_name


class Wakeup:
    """Counts its rings, so that none between a look and a wait is missed."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: Of the pipes; made when the first one is.
        """
        self._folder = folder
        self._condition = threading.Condition()
        self._listener_pid = 0
        self.count = 0
        self.max_wait_s = 0.05
        """How long to wait for a ring before looking; shorter where pipes cannot be had."""

    def notify(self) -> None:
        """Wake all that wait, here and in other processes."""
        self._notify_local()
        own = self._pipe_name()
        try:
            pipes = [pipe for pipe in os.scandir(self._folder) if pipe.name != own]
        except FileNotFoundError:
            return
        for pipe in pipes:
            _signal_pipe(pipe.path)

    def wait(self, last_count: int, timeout_s: float) -> None:
        """Wait until it has rung more than `seen` times or the time is over, at most `max_wait_s`."""
        with self._condition:
            if self._listener_pid != os.getpid():
                self._listen()
            self._condition.wait_for(lambda: self.count != last_count, min(timeout_s, self.max_wait_s))

    def _pipe_name(self) -> str:
        """Of this doorbell's pipe: a process may have several."""
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
            # For reading and writing, so that it is never at its end.
            descriptor = os.open(pipe, os.O_RDWR)
        except (OSError, AttributeError):
            self.max_wait_s = 0.005
            return
        threading.Thread(target=self._receive, args=(descriptor,), daemon=True, name="doorbell").start()

    def _receive(self, descriptor: int) -> None:
        while os.read(descriptor, 4096):
            self._notify_local()


def _signal_pipe(pipe: str) -> None:
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return  # nobody listens any more
    try:
        os.write(descriptor, b"!")
    except OSError:
        pass  # full: it is being rung already
    finally:
        os.close(descriptor)
