"""Client for JSON over HTTP: bounded in bytes and time, with retries, without redirects."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from revisit.errors import PermanentError, TransientError
from revisit.net.http_client import create_client, parse_retry_after, read_bounded, send
from revisit.net.retry import AttemptFailedError, RetryPolicy, is_transient_status

if TYPE_CHECKING:
    import httpx

MAX_RESPONSE_BYTES = 50_000_000
"""Decoded bytes of one response."""
READ_TIMEOUT_S, TOTAL_TIMEOUT_S = 30.0, 120.0
"""Time-outs: between two reads, for the whole response."""
RETRY = RetryPolicy(first_delay_s=1.0, factor=4.0, max_attempts=3, max_retry_after_s=60.0)
"""A page that still fails is requested at half the size, so few attempts are enough."""


class RetriesExhaustedError(TransientError):
    """Every attempt failed; a request for a smaller response may succeed."""


class JsonClient:
    """Client of one server; connects on first use."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """
        Args:
            sleep: Waits for some seconds between two attempts.
        """
        self._sleep = sleep
        self._client: httpx.Client | None = None

    def request_json(self, method: str, url: str, body: Any = None) -> Any:
        """The decoded response.

        Raises:
            RetriesExhaustedError: Every attempt timed out, broke off or was answered by a transient status.
            PermanentError: The server refuses, or redirects.
        """
        try:
            return RETRY.call(lambda: self._attempt(method, url, body), sleep=self._sleep)
        except AttemptFailedError as failure:
            raise RetriesExhaustedError(f"{url} {failure}; it is retried later") from None

    def _attempt(self, method: str, url: str, body: Any) -> Any:
        if self._client is None:
            self._client = create_client(READ_TIMEOUT_S)
        with send(self._client, method, url, body=body) as response:
            content = read_bounded(response, MAX_RESPONSE_BYTES, TOTAL_TIMEOUT_S)
        status = response.status_code
        if is_transient_status(status):
            retry_after = parse_retry_after(response.headers.get("retry-after", ""))
            raise AttemptFailedError(f"answers {status}", retry_after.total_seconds() if retry_after else 0.0)
        if status != 200:
            raise PermanentError(_refusal_message(url, status, response.headers))
        try:
            return msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise AttemptFailedError("answers with JSON that is cut off or broken") from None


def _refusal_message(url: str, status: int, headers: Any) -> str:
    if 300 <= status < 400:
        return f"{url} has moved to {headers.get('location', 'elsewhere')}; name that address in the source"
    if status in (401, 403):
        return f"{url} asks for credentials ({status}), which are not supported; use an open source"
    return f"{url} answers {status}; check the address and the collection of the source"
