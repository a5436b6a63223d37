"""Asking a server for JSON: bounded in bytes and time, tried again a few times, never led elsewhere."""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from revisit.errors import PermanentError, TransientError

if TYPE_CHECKING:
    import httpx

MAX_RESPONSE_BYTES = 50_000_000
"""Of one answer."""
CONNECT_TIMEOUT_S, READ_TIMEOUT_S, TOTAL_TIMEOUT_S = 10.0, 30.0, 120.0
"""Time-outs: to connect, between two reads, for the whole answer."""
RETRY_DELAYS_S = (1.0, 4.0)
"""Between the tries."""
MAX_RETRY_AFTER_S = 60.0
"""What a Retry-After may ask for here; a longer one ends the tries."""
TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)


class RetriesExhaustedError(TransientError):
    """The answer failed or broke off after every try; a smaller one may pass."""


class JsonClient:
    """One client, made on first use."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait = wait
        self._client: httpx.Client | None = None

    def request_json(self, method: str, url: str, body: Any = None) -> Any:
        """The decoded answer.

        Raises:
            Cut: The server is silent, overloaded or breaks off, after several tries.
            PermanentError: It refuses, or leads elsewhere.
        """
        for wait in (*RETRY_DELAYS_S, None):
            retry_after_s = 0.0
            try:
                status, headers, content = self._attempt(method, url, body)
                if status == 200:
                    return msgspec.json.decode(content)
                if status not in TRANSIENT_STATUSES:
                    raise PermanentError(_refusal_message(url, status, headers))
                reason = f"answers {status}"
                after = headers.get("retry-after", "")
                retry_after_s = float(after) if after.isdecimal() else 0.0
            except _AttemptFailedError as failed:
                reason = str(failed)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                reason = "answers with JSON that is cut off or broken"
            if wait is None or retry_after_s > MAX_RETRY_AFTER_S:
                break
            self._wait(max(wait, retry_after_s))
        raise RetriesExhaustedError(f"{url} {reason}; it is tried again later")

    def _attempt(self, method: str, url: str, body: Any) -> "tuple[int, httpx.Headers, bytes]":
        import httpx

        if self._client is None:
            timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
            self._client = httpx.Client(
                timeout=timeout, follow_redirects=False, headers={"user-agent": "revisit"}
            )
        deadline, chunks, size = monotonic() + TOTAL_TIMEOUT_S, [], 0
        try:
            with self._client.stream(method, url, json=body) as response:
                for chunk in response.iter_bytes():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > MAX_RESPONSE_BYTES:
                        raise _AttemptFailedError(f"answers with more than {MAX_RESPONSE_BYTES:,} bytes")
                    if monotonic() > deadline:
                        raise _AttemptFailedError(f"takes longer than {TOTAL_TIMEOUT_S:g} s to answer")
                return response.status_code, response.headers, b"".join(chunks)
        except httpx.TimeoutException:
            raise _AttemptFailedError("does not answer in time") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _AttemptFailedError(f"cannot be reached or breaks off ({type(error).__name__})") from None
        except httpx.InvalidURL:
            raise PermanentError(f"{url!r} is not an address") from None


class _AttemptFailedError(Exception):
    """One try came to nothing."""


def _refusal_message(url: str, status: int, headers: Any) -> str:
    if 300 <= status < 400:
        return f"{url} has moved to {headers.get('location', 'elsewhere')}; name that address in the source"
    if status in (401, 403):
        return f"{url} asks for credentials ({status}), which are not supported; use a source that is open"
    return f"{url} answers {status}; check the address and the collection of the source"
