"""Transport of httpx that connects to given addresses only: the connecting half of the SSRF guard.

The caller resolves the name and checks the addresses; the transport never resolves it again. Host header, SNI
and certificate check keep the name.
"""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

MAX_ADDRESSES = 4
"""Addresses of one name that are tried, in order."""


class Deadline:
    """One point in time that bounds several steps, however slowly a server sends."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def shorten(self, seconds: float) -> None:
        """End in `seconds` from now, unless it ends earlier already."""
        self._end = min(self._end, time.monotonic() + seconds)

    def remaining_s(self) -> float:
        """Seconds until it ends; 0 after that."""
        return max(self._end - time.monotonic(), 0.0)


class PinnedTransport(httpx.BaseTransport):
    """Sends requests to the addresses given, whatever the name of the URL resolves to by now."""

    def __init__(
        self, addresses: tuple[str, ...], deadline: Deadline, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """
        Args:
            addresses: IP addresses of the one host that requests go to, checked by the caller.
            deadline: For connections, handshakes, requests and responses together.
            ssl_context: Certificates to trust; None trusts the public ones.
        """
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=1,
            network_backend=_PinnedBackend(addresses[:MAX_ADDRESSES], deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport`."""
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("PinnedTransport sends synchronous requests only")
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        sent = httpcore.Request(
            request.method,
            url,
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translate_errors():
            response = self._pool.handle_request(sent)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_ResponseStream(response),
            extensions=response.extensions,
            request=request,
        )

    def close(self) -> None:
        self._pool.close()


class _ResponseStream(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _translate_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise errors of httpcore as the errors of httpx that have the same names."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.UnsupportedProtocol,
    ) as error:
        translated: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise translated(str(error)) from error


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to the first of the addresses that accepts."""

    def __init__(self, addresses: tuple[str, ...], deadline: Deadline) -> None:
        self._addresses, self._deadline = addresses, deadline

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
            share = _time_left_s(self._deadline, timeout) / (len(self._addresses) - len(failures))
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
    """Bounds every read and write by the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _time_left_s(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _time_left_s(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _time_left_s(self._deadline, timeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _time_left_s(deadline: Deadline, timeout: float | None) -> float:
    left = deadline.remaining_s()
    if left <= 0:
        raise httpcore.ReadTimeout("the deadline has passed")
    return left if timeout is None else min(left, timeout)
