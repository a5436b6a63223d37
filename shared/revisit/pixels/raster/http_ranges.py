"""Pieces of files over HTTP: connections kept alive, no redirects, a limit on every wait."""

import contextlib
import os
import ssl
import threading
import time
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from revisit.errors import PermanentError, TransientError
from revisit.pixels.raster.errors import redact_url

_CHUNK_BYTES = 1 << 18
_GDAL_HTTP_OPTIONS = (
    "GDAL_HTTP_HEADERS",
    "GDAL_HTTP_HEADER_FILE",
    "GDAL_HTTP_AUTH",
    "GDAL_HTTP_USERPWD",
    "GDAL_HTTP_BEARER",
    "GDAL_HTTP_PROXY",
)
_thread_local = threading.local()


@dataclass(frozen=True, slots=True)
class ByteRange:
    """What a server sent of a file."""

    content: bytearray
    size: int
    """Bytes of the whole file."""
    version: str
    """ETag or date: another one is another file."""


def can_read_directly(href: str) -> bool:
    """Whether an address can be asked by us: no proxy, no header set up for GDAL alone, and certificates to
    judge it by."""
    parts = urlsplit(href)
    if any(os.environ.get(name) for name in _GDAL_HTTP_OPTIONS):
        return False
    # Their number is not known where they lie in a folder, one a file: they are looked up when needed.
    if (
        parts.scheme == "https"
        and not _tls_context().cert_store_stats()["x509_ca"]
        and not ssl.get_default_verify_paths().capath
    ):
        return False
    return parts.scheme not in getproxies() or bool(proxy_bypass(parts.hostname or ""))


def fetch_range(href: str, first: int, last: int) -> ByteRange:
    """The bytes first..last of a file, or as many of them as it has.

    Raises:
        TransientError: It does not answer, or not well, or stops in the middle.
        PermanentError: There is no such file, it is not for us, it has moved, or the server sends whole files
            only.
    """
    for fresh in (False, True):
        connection, reused = _get_connection(href, fresh)
        try:
            return _request_range(connection, href, first, last)
        except TimeoutError:
            _drop_connection(href)
            raise TransientError(f"the server does not answer in time: {redact_url(href)}") from None
        except ssl.SSLCertVerificationError as error:
            _drop_connection(href)
            raise PermanentError(
                f"the server's certificate is not good ({error.verify_message}): {redact_url(href)}"
            ) from None
        except (OSError, HTTPException) as error:
            _drop_connection(href)
            if reused:
                continue
            raise TransientError(
                f"the server does not answer ({type(error).__name__}): {redact_url(href)}"
            ) from None
        except (PermanentError, TransientError):
            _drop_connection(href)
            raise
    raise AssertionError("a fresh connection either answers or raises")


def _request_range(connection: HTTPConnection, href: str, first: int, last: int) -> ByteRange:
    parts = urlsplit(href)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    deadline = time.monotonic() + float(os.environ["GDAL_HTTP_TIMEOUT"])
    connection.request("GET", target, headers={"Range": f"bytes={first}-{last}", "User-Agent": "revisit"})
    answer = connection.getresponse()
    status = answer.status
    if status in (408, 425, 429) or status >= 500:
        raise TransientError(f"the server answers {status}: {redact_url(href)}")
    if 300 <= status < 400:
        raise PermanentError(
            f"the server answers {status}, that it is elsewhere; redirects are not followed: {redact_url(href)}"
        )
    if status >= 400:
        raise PermanentError(f"the server answers {status}: {redact_url(href)}")
    told = answer.getheader("Content-Range") or ""
    if status != 206 or not told.startswith(f"bytes {first}-") or not told.rpartition("/")[2].isdigit():
        raise PermanentError(f"the server does not send parts of files: {redact_url(href)}")
    size = int(told.rpartition("/")[2])
    wanted = max(min(last + 1, size) - first, 0)
    content, got = bytearray(wanted), 0
    while got < wanted:
        piece = answer.read1(min(_CHUNK_BYTES, wanted - got))
        if not piece:
            raise TransientError(f"the answer was cut off after {got} of {wanted} bytes: {redact_url(href)}")
        content[got : got + len(piece)] = piece
        got += len(piece)
        if time.monotonic() > deadline:
            raise TimeoutError
    if not answer.isclosed() and answer.read(1):
        raise PermanentError(f"the server sends more than it was asked for: {redact_url(href)}")
    return ByteRange(
        content, size, answer.getheader("ETag") or answer.getheader("Last-Modified") or str(size)
    )


def _get_connection(href: str, fresh: bool) -> tuple[HTTPConnection, bool]:
    """This thread's connection to a server, and whether it has been used before."""
    parts = urlsplit(href)
    if fresh:
        _drop_connection(href)
    held: dict[str, HTTPConnection] = _thread_local.__dict__.setdefault("connections", {})
    place = f"{parts.scheme}://{parts.netloc}"
    if place in held:
        return held[place], True
    patience = min(float(os.environ["GDAL_HTTP_LOW_SPEED_TIME"]), float(os.environ["GDAL_HTTP_TIMEOUT"]))
    if parts.scheme == "https":
        held[place] = HTTPSConnection(
            parts.hostname or "", parts.port, timeout=patience, context=_tls_context()
        )
    else:
        held[place] = HTTPConnection(parts.hostname or "", parts.port, timeout=patience)
    return held[place], False


def _drop_connection(href: str) -> None:
    parts = urlsplit(href)
    held: dict[str, HTTPConnection] = _thread_local.__dict__.setdefault("connections", {})
    connection = held.pop(f"{parts.scheme}://{parts.netloc}", None)
    if connection:
        with contextlib.suppress(OSError):
            connection.close()


@cache
def _tls_context() -> ssl.SSLContext:
    """The computer's certificates, and those that curl is told of."""
    context = ssl.create_default_context()
    if told := os.environ.get("CURL_CA_BUNDLE"):
        context.load_verify_locations(told)
    return context
