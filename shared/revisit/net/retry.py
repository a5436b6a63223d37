"""Retry policy: which failures are transient, how often a call is repeated, and after which delays."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenacity import RetryCallState

TRANSIENT_CLIENT_STATUSES = frozenset((408, 425, 429))
"""Request Timeout, Too Early (RFC 8470), Too Many Requests."""
PERMANENT_SERVER_STATUSES = frozenset((501, 505))
"""Not Implemented, HTTP Version Not Supported: the same request fails again."""
TRANSIENT_EXCEPTIONS: tuple[type[Exception], ...] = (ConnectionError, TimeoutError)
"""Of Python itself. `http_client.send` and `adapters.gcp.errors` add those of their libraries."""


def is_transient_status(status: int) -> bool:
    """Whether the same request may succeed later, by the status of its response."""
    return status in TRANSIENT_CLIENT_STATUSES or (
        500 <= status < 600 and status not in PERMANENT_SERVER_STATUSES
    )


class AttemptFailedError(Exception):
    """One attempt failed; a further one may succeed. Never leaves the module that retries."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        """Delay that the server asks for (Retry-After); 0 where it states none."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff, bounded by attempts, by elapsed time or by both."""

    first_delay_s: float
    """Delay after the first failed attempt."""
    factor: float = 2.0
    """Each delay is this many times the previous one."""
    max_delay_s: float = 60.0
    max_attempts: int | None = None
    max_elapsed_s: float | None = None
    """No attempt starts later than this after the first one."""
    full_jitter: bool = False
    """Draw each delay from 0 to its full length, so that competing callers do not collide again."""
    max_retry_after_s: float = 0.0
    """Longest Retry-After that is waited for; a longer one ends the attempts."""

    def call[T](
        self,
        function: Callable[[], T],
        retry_on: type[Exception] | tuple[type[Exception], ...] = AttemptFailedError,
        sleep: Callable[[float], None] = time.sleep,
    ) -> T:
        """Call a function until it returns.

        Args:
            function: One attempt.
            retry_on: Exceptions after which it is called again.
            sleep: Waits for some seconds.

        Raises:
            Exception: What the last attempt raised.
        """
        # On first use: 14 ms of a cold start.
        from tenacity import Retrying, retry_if_exception_type

        return Retrying(
            sleep=sleep,
            reraise=True,
            retry=retry_if_exception_type(retry_on),
            wait=self._next_delay_s,
            stop=self._is_exhausted,
        )(function)

    def delay_s(self, attempt: int) -> float:
        """Longest delay after failed attempt `attempt`, counted from 1."""
        return float(min(self.first_delay_s * self.factor ** (attempt - 1), self.max_delay_s))

    def _next_delay_s(self, state: "RetryCallState") -> float:
        longest = self.delay_s(state.attempt_number)
        delay = random.uniform(0, longest) if self.full_jitter else longest  # noqa: S311
        return max(delay, _retry_after_s(state))

    def _is_exhausted(self, state: "RetryCallState") -> bool:
        if self.max_attempts is not None and state.attempt_number >= self.max_attempts:
            return True
        if _retry_after_s(state) > self.max_retry_after_s:
            return True
        elapsed_s = (state.seconds_since_start or 0.0) + state.upcoming_sleep
        return self.max_elapsed_s is not None and elapsed_s > self.max_elapsed_s


def _retry_after_s(state: "RetryCallState") -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after_s if isinstance(error, AttemptFailedError) else 0.0
