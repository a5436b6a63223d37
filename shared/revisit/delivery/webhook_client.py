"""Posts to a stranger: to the address that was checked, over in 15 seconds whatever is there, believing
nothing it answers."""

import re
import ssl
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Thread
from typing import Any

import httpcore

from revisit import __version__
from revisit.delivery.url_guard import Endpoint, Resolver, resolve, system_resolver
from revisit.errors import InvalidInputError, TransientError

TIMEOUT_S = 15.0
"""For name, connection, handshake, request and the head of the answer together."""

MAX_RESPONSE_BYTES = 64 * 1024
"""Bytes read of an answer's body; nothing in it matters."""

RESPONSE_BODY_TIMEOUT_S = 1.0
"""How long a receiver that has answered may take to send its body."""

MAX_ADDRESSES = 4
"""Of one name, tried one after the other."""

MAX_RETRY_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What came of one try."""

    outcome: str
    """"200", "timeout", "refused: ...": one short line."""
    status: int = 0
    """HTTP status; 0 where there was no answer."""
    retry_after: timedelta | None = None
    """How long the receiver asks to be left alone."""

    @property
    def delivered(self) -> bool:
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.status == 410


def post(
    endpoint: Endpoint,
    headers: dict[str, str],
    body: bytes,
    now: datetime,
    *,
    resolver: Resolver = system_resolver,
    timeout_s: float = TIMEOUT_S,
    ssl_context: ssl.SSLContext | None = None,
) -> AttemptResult:
    """Post once; every way it can end is an answer.

    Args:
        endpoint: As `addresses.check_url` gave it; its addresses are judged here, and only the one judged is
            connected to.
        headers: As `signed_headers` gave them.
        body: JSON.
        now: The present, to read a Retry-After that names a date.
        resolver: Finds the addresses of a name.
        seconds: For everything together.
        trust: Certificates to trust; None trusts the public ones.
    """
    deadline = _Deadline(timeout_s)
    try:
        addresses = _resolve_in_time(deadline, endpoint, resolver)
        with httpcore.ConnectionPool(
            ssl_context=ssl_context, max_connections=1, network_backend=_PinnedBackend(addresses, deadline)
        ) as pool:
            return _send_request(pool, endpoint, headers, body, now, deadline)
    except InvalidInputError as error:
        return AttemptResult(f"refused: {error}")
    except TransientError as error:
        return AttemptResult(f"no connection: {error}")
    except httpcore.TimeoutException:
        return AttemptResult(f"timeout: no answer within {timeout_s:g} s")
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        return AttemptResult(_one_line(f"no connection: {error or type(error).__name__}"))


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """Read a Retry-After header: seconds or an HTTP date, at most 24 h; None where it says neither."""
    if re.fullmatch(r"\s*\d{1,9}\s*", text):
        wait = timedelta(seconds=int(text))
    else:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta(0)), MAX_RETRY_AFTER)


def _send_request(
    pool: httpcore.ConnectionPool,
    endpoint: Endpoint,
    headers: dict[str, str],
    body: bytes,
    now: datetime,
    deadline: "_Deadline",
) -> AttemptResult:
    url = httpcore.URL(scheme=endpoint.scheme, host=endpoint.host, port=endpoint.port, target=endpoint.target)
    sent = {
        "Content-Type": "application/json",
        "User-Agent": f"Revisit/{__version__}",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    with pool.stream("POST", url, headers=list(sent.items()), content=body) as response:
        answered = AttemptResult(str(response.status), response.status)
        if 300 <= response.status < 400:
            answered = AttemptResult(f"{response.status}: redirects are not followed", response.status)
        if response.status in (429, 503):
            asked = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
            answered = AttemptResult(
                str(response.status), response.status, parse_retry_after(asked.decode("latin-1"), now)
            )
        deadline.shorten(RESPONSE_BODY_TIMEOUT_S)
        _drain(response.iter_stream())
    return answered


def _drain(chunks: Iterable[bytes]) -> None:
    """Let the receiver finish its answer, within reason; what happens here does not change what it
    answered."""
    size = 0
    try:
        for chunk in chunks:
            size += len(chunk)
            if size >= MAX_RESPONSE_BYTES:
                return
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return


def _resolve_in_time(deadline: "_Deadline", endpoint: Endpoint, resolver: Resolver) -> tuple[str, ...]:
    """`resolve`, given up when time is over: the system's resolver knows no time-out."""
    answer: Future[tuple[str, ...]] = Future()

    def ask() -> None:
        try:
            answer.set_result(resolve(endpoint, resolver))
        except (InvalidInputError, TransientError) as error:
            answer.set_exception(error)

    Thread(target=ask, daemon=True, name="resolve").start()
    try:
        return answer.result(deadline.remaining())
    except TimeoutError:
        raise TransientError(f"{endpoint.host} was not resolved in time") from None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


class _Deadline:
    """One end for many steps: a receiver that sends a byte now and then does not move it."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def shorten(self, seconds: float) -> None:
        self._end = min(self._end, time.monotonic() + seconds)

    def remaining(self, limit: float | None = None) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.TimeoutException("time is over")
        return left if limit is None else min(left, limit)


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to the addresses that were checked, whatever the name resolves to by now; SNI and Host keep
    the name."""

    def __init__(self, addresses: tuple[str, ...], deadline: _Deadline) -> None:
        self._addresses, self._deadline = addresses[:MAX_ADDRESSES], deadline

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        failures: list[Exception] = []
        for address in self._addresses:
            share = self._deadline.remaining(timeout) / (len(self._addresses) - len(failures))
            try:
                stream = httpcore.SyncBackend().connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failures.append(error)
            else:
                return _DeadlineStream(stream, self._deadline)
        raise failures[0]


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.remaining(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(
            self._stream.start_tls(ssl_context, server_hostname, self._deadline.remaining(timeout)),
            self._deadline,
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
