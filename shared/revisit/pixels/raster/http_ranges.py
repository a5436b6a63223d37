"""Byte ranges of files over HTTP: connections kept alive, no redirects, every wait limited.

The standard library's client, since httpx costs more than it saves here (bench/window, medians): a first read
from a fresh process takes 1.38 s with it and 1.04 s without (importing it is 150 ms of CPU time), against a
goal that is missed already; a warm read takes 1.13 times the CPU time.
"""

import contextlib
import ssl
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from revisit.errors import PermanentError, TransientError
from revisit.net import signed_buckets
from revisit.pixels.raster.http_settings import HttpSettings
from revisit.pixels.raster.urls import redact_url

_CHUNK_BYTES = 1 << 18
_MAX_CONNECTIONS = 8
"""Servers to which a thread keeps a connection; a further one takes the place of the oldest."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of a file, as the server sent it."""

    content: bytearray
    size: int
    """Bytes of the whole file."""
    version: str
    """ETag, else date, else size: where it differs, the file has been replaced."""


class RangeClient:
    """Fetches byte ranges; each thread keeps one connection to each server."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._tls: ssl.SSLContext | None = None
        self._thread = threading.local()
        self._connections: set[HTTPConnection] = set()
        self._lock = threading.Lock()

    def can_fetch(self, href: str) -> bool:
        """Whether an address can be requested without GDAL: no proxy and no header configured for GDAL alone,
        and certificate authorities to verify the server by."""
        parts = urlsplit(href)
        if self._settings.gdal_only:
            return False
        # Authorities in a folder, one a file, are loaded when needed and not counted before.
        if (
            parts.scheme == "https"
            and not self._tls_context().cert_store_stats()["x509_ca"]
            and not ssl.get_default_verify_paths().capath
        ):
            return False
        return parts.scheme not in getproxies() or bool(proxy_bypass(parts.hostname or ""))

    def fetch(self, href: str, first: int, last: int) -> ByteRange:
        """The bytes first..last of a file, both included, or as many of them as it has.

        Raises:
            TransientError: The server does not answer, breaks off, or answers with a transient status.
            PermanentError: The server refuses, redirects, or ignores the range.
        """
        for attempt in range(2):
            connection, reused = self._connection(href)
            try:
                return self._request(connection, href, first, last)
            except TimeoutError:
                self._drop_connection(href)
                raise TransientError(f"the server does not answer in time: {redact_url(href)}") from None
            except ssl.SSLCertVerificationError as error:
                self._drop_connection(href)
                raise PermanentError(
                    f"the server's certificate is not valid ({error.verify_message}): {redact_url(href)}"
                ) from None
            except (OSError, HTTPException) as error:
                self._drop_connection(href)
                # The server may have closed a kept connection just as the request was sent.
                if reused and attempt == 0:
                    continue
                raise TransientError(
                    f"the server does not answer ({type(error).__name__}): {redact_url(href)}"
                ) from None
            except (PermanentError, TransientError):
                self._drop_connection(href)
                raise
        raise AssertionError("the second attempt returns or raises")

    def probe(self, href: str) -> tuple[int, int, bytes]:
        """Status, size in bytes and last two bytes of a file; status 0 if the server does not answer."""
        connection, _ = self._connection(href)
        try:
            answer = _send(connection, href, "bytes=-2")
            end = answer.read(2) if answer.status == 206 else b""
            size = (answer.getheader("Content-Range") or "").rpartition("/")[2]
            return answer.status, int(size) if size.isdigit() else 0, end
        except (OSError, HTTPException):
            return 0, 0, b""
        finally:
            self._drop_connection(href)

    def close(self) -> None:
        """Close the connections of all threads; no request may be running."""
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            _close(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, connection: HTTPConnection, href: str, first: int, last: int) -> ByteRange:
        deadline = time.monotonic() + self._settings.total_timeout_s
        answer = _send(connection, href, f"bytes={first}-{last}")
        size = _file_size(answer, href, first)
        wanted = max(min(last + 1, size) - first, 0)
        content, received = bytearray(wanted), 0
        while received < wanted:
            piece = answer.read1(min(_CHUNK_BYTES, wanted - received))
            if not piece:
                raise TransientError(
                    f"the answer was cut off after {received} of {wanted} bytes: {redact_url(href)}"
                )
            content[received : received + len(piece)] = piece
            received += len(piece)
            if time.monotonic() > deadline:
                raise TimeoutError
        if not answer.isclosed() and answer.read(1):
            raise PermanentError(f"the server sends more bytes than were requested: {redact_url(href)}")
        version = answer.getheader("ETag") or answer.getheader("Last-Modified") or str(size)
        return ByteRange(content, size, version)

    def _connection(self, href: str) -> tuple[HTTPConnection, bool]:
        """This thread's connection to a server, and whether it has been used before."""
        parts = urlsplit(href)
        kept: dict[str, HTTPConnection] = self._thread.__dict__.setdefault("connections", {})
        server = f"{parts.scheme}://{parts.netloc}"
        if server in kept:
            return kept[server], True
        if len(kept) >= _MAX_CONNECTIONS:
            self._drop_connection(next(iter(kept)))
        timeout_s = min(self._settings.idle_timeout_s, self._settings.total_timeout_s)
        host = parts.hostname or ""
        kept[server] = (
            HTTPSConnection(host, parts.port, timeout=timeout_s, context=self._tls_context())
            if parts.scheme == "https"
            else HTTPConnection(host, parts.port, timeout=timeout_s)
        )
        with self._lock:
            self._connections.add(kept[server])
        return kept[server], False

    def _tls_context(self) -> ssl.SSLContext:
        """Made at the first HTTPS request, since loading the authorities takes some 20 ms."""
        with self._lock:
            if self._tls is None:
                self._tls = ssl.create_default_context()
                if self._settings.ca_bundle:
                    self._tls.load_verify_locations(self._settings.ca_bundle)
            return self._tls

    def _drop_connection(self, href: str) -> None:
        parts = urlsplit(href)
        kept: dict[str, HTTPConnection] = self._thread.__dict__.setdefault("connections", {})
        if connection := kept.pop(f"{parts.scheme}://{parts.netloc}", None):
            with self._lock:
                self._connections.discard(connection)
            _close(connection)


def _send(connection: HTTPConnection, href: str, byte_range: str) -> HTTPResponse:
    """Send a request for a range and receive the headers of its answer."""
    parts = urlsplit(signed_buckets.sign(href))
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"Range": byte_range, "User-Agent": "revisit"})
    return connection.getresponse()


def _close(connection: HTTPConnection) -> None:
    with contextlib.suppress(OSError):
        connection.close()


def _file_size(answer: HTTPResponse, href: str, first: int) -> int:
    """Bytes of the whole file by the headers of an answer; refuses what is not the range requested."""
    status = answer.status
    if status >= 400:
        # Imported here, since it takes 15 ms of a cold start.
        from revisit.net.retry import is_transient_status

        kind = TransientError if is_transient_status(status) else PermanentError
        raise kind(f"the server answers {status}: {redact_url(href)}")
    if 300 <= status < 400:
        raise PermanentError(f"the server answers {status}; redirects are not followed: {redact_url(href)}")
    content_range = answer.getheader("Content-Range") or ""
    size = content_range.rpartition("/")[2]
    if status != 206 or not content_range.startswith(f"bytes {first}-") or not size.isdigit():
        raise PermanentError(f"the server does not send parts of files: {redact_url(href)}")
    return int(size)
