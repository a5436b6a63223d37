"""Circuit breaker: a source that does not answer gets no requests for a while."""

from time import monotonic

OPEN_S = 60.0
"""Seconds for which the circuit stays open; requests would wait without an answer."""


class CircuitBreaker:
    """Opens when a waiting caller got no answer, and closes with the next answer."""

    def __init__(self, open_s: float = OPEN_S) -> None:
        self._open_s = open_s
        self._last_answer_at = self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        return monotonic() < self._open_until

    def record_answer(self) -> None:
        """Close the circuit."""
        self._last_answer_at, self._open_until = monotonic(), 0.0

    def record_timeout(self, waiting_since: float) -> bool:
        """Open the circuit unless an answer came since then; returns whether it opened."""
        if self._last_answer_at >= waiting_since:
            return False
        self._open_until = monotonic() + self._open_s
        return True
