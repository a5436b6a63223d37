"""Wakes whoever waits for messages, in this process and in others, the moment one is queued.

Each process that waits listens at a named pipe of its own in the data folder; who queues something writes a byte into all of them.
A ring may be missed, as when its sender is killed after the commit: those who wait also look for themselves now and then.
"""

import os
import threading
from pathlib import Path

from revisit.adapters.process_identity import gone, this_process


class Doorbell:
    """Counts its rings, so that none between a look and a wait is missed."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: Of the pipes; made when the first one is.
        """
        self._folder = folder
        self._rung = threading.Condition()
        self._listener = 0
        self.rings = 0
        self.patience_s = 0.05
        """How long to wait for a ring before looking; shorter where pipes cannot be had."""

    def ring(self) -> None:
        """Wake all that wait, here and in other processes."""
        self._ring_here()
        own = self._name()
        try:
            pipes = [pipe for pipe in os.scandir(self._folder) if pipe.name != own]
        except FileNotFoundError:
            return
        for pipe in pipes:
            _write(pipe.path)

    def wait(self, seen: int, timeout_s: float) -> None:
        """Wait until it has rung more than `seen` times or the time is over, at most `patience_s`."""
        with self._rung:
            if self._listener != os.getpid():
                self._listen()
            self._rung.wait_for(lambda: self.rings != seen, min(timeout_s, self.patience_s))

    def _name(self) -> str:
        """Of this doorbell's pipe: a process may have several."""
        return f"{this_process()}~{id(self):x}"

    def _ring_here(self) -> None:
        with self._rung:
            self.rings += 1
            self._rung.notify_all()

    def _listen(self) -> None:
        self._listener = os.getpid()
        pipe = self._folder / self._name()
        try:
            self._folder.mkdir(exist_ok=True)
            for left in self._folder.iterdir():
                if gone(left.name.partition("~")[0]):
                    left.unlink(missing_ok=True)
            if not pipe.exists():
                os.mkfifo(pipe, 0o600)
            # For reading and writing, so that it is never at its end.
            descriptor = os.open(pipe, os.O_RDWR)
        except (OSError, AttributeError):
            self.patience_s = 0.005
            return
        threading.Thread(target=self._hear, args=(descriptor,), daemon=True, name="doorbell").start()

    def _hear(self, descriptor: int) -> None:
        while os.read(descriptor, 4096):
            self._ring_here()


def _write(pipe: str) -> None:
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
