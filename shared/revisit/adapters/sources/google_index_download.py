"""The text of an index file, from the disk or a server, unpacked while it is read; nothing at all if it has
not changed."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from revisit.errors import NotFoundError, PermanentError, TransientError

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
"""Time-outs: to connect, between two reads."""
BUFFER_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_TRANSIENT_STATUSES = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """A file that is being read."""

    text: IO[bytes]
    """Unpacked."""
    mark: str
    """Its ETag or the like: the same as long as it does not change; empty where the server states none."""


def is_url(location: str) -> bool:
    """Whether it is read from a server."""
    return location.startswith(("https://", "http://"))


@contextmanager
def open_index(location: str, mark: str = "") -> Iterator[OpenIndex | None]:
    """The file, or None if it still has the mark.

    Raises:
        TransientError: The server does not answer; also while the file is read.
        PermanentError: There is no such file, or it may not be read.
    """
    with ExitStack() as stack:
        if is_url(location):
            found = stack.enter_context(_open_url(location, mark))
        else:
            found = stack.enter_context(_open_file(Path(location), mark))
        if found is None:
            yield None
            return
        raw, now = found
        buffered = io.BufferedReader(raw, BUFFER_BYTES)
        if buffered.peek(2)[:2] == _GZIP_MAGIC:
            from isal import igzip

            unpacked: Any = igzip.IGzipFile
            yield OpenIndex(stack.enter_context(unpacked(fileobj=buffered)), now)
        else:
            yield OpenIndex(buffered, now)


def fetch_bytes(url: str, max_bytes: int) -> bytes:
    """A small file from a server.

    Raises:
        NotFoundError: There is none.
        TransientError: The server does not answer.
        PermanentError: It refuses, or sends more than `limit` bytes.
    """
    content = b""
    with _stream_response(url, {}) as response:
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > max_bytes:
                raise PermanentError(f"{url} is larger than {max_bytes // 1_000_000} MB")
    return content


@contextmanager
def _open_file(path: Path, mark: str) -> Iterator[tuple[io.RawIOBase, str] | None]:
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise PermanentError(f"there is no index file {path}; fetch it or name another") from None
    except OSError as error:
        raise PermanentError(f"the index file {path} cannot be read: {error.strerror}") from None
    with file:
        status = os.fstat(file.fileno())
        now = f"{status.st_size}-{status.st_mtime_ns}"
        yield None if now == mark else (file, now)


@contextmanager
def _open_url(url: str, mark: str) -> Iterator[tuple[io.RawIOBase, str] | None]:
    kind, _, value = mark.partition(" ")
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
    import httpx

    # The file is packed itself; packing it once more on its way would only cost.
    headers = {"user-agent": "revisit", "accept-encoding": "identity", **headers}
    try:
        with _client().stream(
            "GET", url, headers=headers, timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        ) as response:
            if response.status_code == 404:
                raise NotFoundError(f"{url} is not there; check the address")
            if response.status_code >= 500 or response.status_code in _TRANSIENT_STATUSES:
                raise TransientError(f"{url} answers {response.status_code}; it is tried again later")
            if response.status_code not in (200, 304):
                raise PermanentError(
                    f"{url} answers {response.status_code}{_redirect_note(response)}; check the address of the source"
                )
            yield response
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise TransientError(
            f"{url} does not answer or breaks off ({type(error).__name__}); it is tried again later"
        ) from None
    except httpx.InvalidURL:
        raise PermanentError(f"{url!r} is not an address") from None


@cache
def _client() -> "httpx.Client":
    """One for all: to make one, and to greet a server anew, takes longer than asking for a small file, of
    which a page of products has a hundred."""
    import httpx

    return httpx.Client()


def _redirect_note(response: Any) -> str:
    return f" and leads to {response.headers['location']}" if "location" in response.headers else ""


class ChunkReader(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._pending = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._pending:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._pending = memoryview(piece)
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count
