"""Reads Google's index file from a disk or a server, decompressed on the fly, only when it has changed."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from revisit.errors import NotFoundError, PermanentError, TransientError
from revisit.net.http_client import create_client, send
from revisit.net.retry import AttemptFailedError, is_transient_status

if TYPE_CHECKING:
    import httpx

READ_TIMEOUT_S = 60.0
"""Longest wait for the next bytes of the file."""
BUFFER_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """An index file that is being read."""

    text: IO[bytes]
    """Decompressed."""
    version: str
    """ETag, modification date, or size and mtime; empty where the server states none."""


def is_url(location: str) -> bool:
    """Whether the location is read over HTTP."""
    return location.startswith(("https://", "http://"))


@contextmanager
def open_index(location: str, known_version: str = "") -> Iterator[OpenIndex | None]:
    """The file, or None if it still has the known version.

    Args:
        location: Path or URL.
        known_version: `OpenIndex.version` of the previous read.

    Raises:
        TransientError: The server does not answer; also while the file is read.
        PermanentError: There is no such file, or it cannot be read.
    """
    with ExitStack() as stack:
        if is_url(location):
            opened = stack.enter_context(_open_url(location, known_version))
        else:
            opened = stack.enter_context(_open_file(Path(location), known_version))
        if opened is None:
            yield None
            return
        raw, version = opened
        buffered = io.BufferedReader(raw, BUFFER_BYTES)
        if buffered.peek(2)[:2] == _GZIP_MAGIC:
            from isal import igzip

            gunzip: Any = igzip.IGzipFile
            yield OpenIndex(stack.enter_context(gunzip(fileobj=buffered)), version)
        else:
            yield OpenIndex(buffered, version)


def fetch_bytes(url: str, max_bytes: int) -> bytes:
    """A small file from a server.

    Raises:
        NotFoundError: It does not exist.
        TransientError: The server does not answer.
        PermanentError: The server refuses, or sends more than `max_bytes`.
    """
    content = b""
    with _stream_response(url, {}) as response:
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > max_bytes:
                raise PermanentError(f"{url} is larger than {max_bytes // 1_000_000} MB")
    return content


@contextmanager
def _open_file(path: Path, known_version: str) -> Iterator[tuple[io.RawIOBase, str] | None]:
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise PermanentError(f"there is no index file {path}; download it or name another") from None
    except OSError as error:
        raise PermanentError(f"the index file {path} cannot be read: {error.strerror}") from None
    with file:
        status = os.fstat(file.fileno())
        version = f"{status.st_size}-{status.st_mtime_ns}"
        yield None if version == known_version else (file, version)


@contextmanager
def _open_url(url: str, known_version: str) -> Iterator[tuple[io.RawIOBase, str] | None]:
    kind, _, value = known_version.partition(" ")
    conditions = {"etag": {"if-none-match": value}, "date": {"if-modified-since": value}}.get(kind, {})
    with _stream_response(url, conditions) as response:
        if response.status_code == 304:
            yield None
            return
        etag, date = response.headers.get("etag"), response.headers.get("last-modified")
        yield (
            ChunkReader(response.iter_raw(BUFFER_BYTES)),
            f"etag {etag}" if etag else f"date {date}" if date else "",
        )


@contextmanager
def _stream_response(url: str, headers: dict[str, str]) -> "Iterator[httpx.Response]":
    """A response of status 200 or 304.

    Raises:
        NotFoundError: 404.
        TransientError: A transient status, no response, or one that breaks off.
        PermanentError: Any other status.
    """
    # The file is compressed already; a content encoding on top would only cost time.
    headers = {"accept-encoding": "identity", **headers}
    try:
        with send(_shared_client(READ_TIMEOUT_S), "GET", url, headers) as response:
            status = response.status_code
            if status == 404:
                raise NotFoundError(f"{url} does not exist (404); check the address")
            if is_transient_status(status):
                raise TransientError(f"{url} answers {status}; it is retried later")
            if status not in (200, 304):
                raise PermanentError(
                    f"{url} answers {status}{_redirect_note(response)}; check the address of the source"
                )
            yield response
    except AttemptFailedError as failure:
        raise TransientError(f"{url} {failure}; it is retried later") from None


@cache
def _shared_client(read_timeout_s: float) -> "httpx.Client":
    """One client per process: creating a client and connecting takes longer than requesting a small file, of
    which a page of products needs a hundred."""
    return create_client(read_timeout_s)


def _redirect_note(response: "httpx.Response") -> str:
    return f" and redirects to {response.headers['location']}" if "location" in response.headers else ""


class ChunkReader(io.RawIOBase):
    """A file object over chunks of bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._pending = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._pending:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._pending = memoryview(chunk)
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count
