"""The text of an index file, from the disk or a server, unpacked while it is read; nothing at all if it has not changed."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from revisit.errors import GiveUp, NotFound, Retry

if TYPE_CHECKING:
    import httpx

CONNECT_S, READ_S = 10.0, 60.0
"""Time-outs: to connect, between two reads."""
BUFFER = 1 << 20
_GZIP = b"\x1f\x8b"
_TRANSIENT = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is being read."""

    text: IO[bytes]
    """Unpacked."""
    mark: str
    """Its ETag or the like: the same as long as it does not change; empty where the server states none."""


def is_url(location: str) -> bool:
    """Whether it is read from a server."""
    return location.startswith(("https://", "http://"))


@contextmanager
def opened(location: str, mark: str = "") -> Iterator[Opened | None]:
    """The file, or None if it still has the mark.

    Raises:
        Retry: The server does not answer; also while the file is read.
        GiveUp: There is no such file, or it may not be read.
    """
    with ExitStack() as stack:
        if is_url(location):
            found = stack.enter_context(_fetched(location, mark))
        else:
            found = stack.enter_context(_local(Path(location), mark))
        if found is None:
            yield None
            return
        raw, now = found
        buffered = io.BufferedReader(raw, BUFFER)
        if buffered.peek(2)[:2] == _GZIP:
            from isal import igzip

            unpacked: Any = igzip.IGzipFile
            yield Opened(stack.enter_context(unpacked(fileobj=buffered)), now)
        else:
            yield Opened(buffered, now)


def fetch(url: str, limit: int) -> bytes:
    """A small file from a server.

    Raises:
        NotFound: There is none.
        Retry: The server does not answer.
        GiveUp: It refuses, or sends more than `limit` bytes.
    """
    content = b""
    with _response(url, {}) as response:
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > limit:
                raise GiveUp(f"{url} is larger than {limit // 1_000_000} MB")
    return content


@contextmanager
def _local(path: Path, mark: str) -> Iterator[tuple[io.RawIOBase, str] | None]:
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise GiveUp(f"there is no index file {path}; fetch it or name another") from None
    except OSError as error:
        raise GiveUp(f"the index file {path} cannot be read: {error.strerror}") from None
    with file:
        status = os.fstat(file.fileno())
        now = f"{status.st_size}-{status.st_mtime_ns}"
        yield None if now == mark else (file, now)


@contextmanager
def _fetched(url: str, mark: str) -> Iterator[tuple[io.RawIOBase, str] | None]:
    kind, _, value = mark.partition(" ")
    conditions = {"etag": {"if-none-match": value}, "date": {"if-modified-since": value}}.get(kind, {})
    with _response(url, conditions) as response:
        if response.status_code == 304:
            yield None
            return
        etag, date = response.headers.get("etag"), response.headers.get("last-modified")
        yield Pieces(response.iter_raw(BUFFER)), f"etag {etag}" if etag else f"date {date}" if date else ""


@contextmanager
def _response(url: str, headers: dict[str, str]) -> "Iterator[httpx.Response]":
    import httpx

    # The file is packed itself; packing it once more on its way would only cost.
    headers = {"user-agent": "revisit", "accept-encoding": "identity", **headers}
    try:
        with _client().stream("GET", url, headers=headers, timeout=httpx.Timeout(READ_S, connect=CONNECT_S)) as response:
            if response.status_code == 404:
                raise NotFound(f"{url} is not there; check the address")
            if response.status_code >= 500 or response.status_code in _TRANSIENT:
                raise Retry(f"{url} answers {response.status_code}; it is tried again later")
            if response.status_code not in (200, 304):
                raise GiveUp(f"{url} answers {response.status_code}{_led(response)}; check the address of the source")
            yield response
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise Retry(f"{url} does not answer or breaks off ({type(error).__name__}); it is tried again later") from None
    except httpx.InvalidURL:
        raise GiveUp(f"{url!r} is not an address") from None


@cache
def _client() -> "httpx.Client":
    """One for all: to make one, and to greet a server anew, takes longer than asking for a small file, of which a page of products has a hundred."""
    import httpx

    return httpx.Client()


def _led(response: Any) -> str:
    return f" and leads to {response.headers['location']}" if "location" in response.headers else ""


class Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
