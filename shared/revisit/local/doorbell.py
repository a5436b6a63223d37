"""Wakes the threads of one process that wait for messages, the moment another thread has queued one."""

import threading


class Doorbell:
    """Counts its rings, so that none between a look and a wait is missed."""

    def __init__(self) -> None:
        self._rung = threading.Condition()
        self.rings = 0

    def ring(self) -> None:
        """Wake all that wait."""
        with self._rung:
            self.rings += 1
            self._rung.notify_all()

    def wait(self, seen: int, timeout_s: float) -> None:
        """Wait until it has rung more than `seen` times, or the time is over."""
        with self._rung:
            self._rung.wait_for(lambda: self.rings != seen, timeout_s)
