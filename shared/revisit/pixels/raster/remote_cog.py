"""COGs over HTTP without GDAL: the header once, then the tiles needed, all at the same time.

A band costs one request for its header the first time and one for every run of neighbouring tiles; GDAL asks for the size before
and waits for one run after the other.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.domain.bands import BandFile
from revisit.errors import GiveUp, Retry
from revisit.pixels.raster.errors import shown
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.http_ranges import direct, fetched
from revisit.pixels.raster.tiff_header import Layout, layout, pixels, restored

_HEAD = 16 * 1024
"""Bytes that hold the header of a COG of Sentinel-2."""
_GAP = 4096
"""Bytes between two tiles that are cheaper to read than to ask again."""
_RUN = 8 * 2**20
"""Bytes asked for at once."""
_HEADS_KEPT = 500
_THREADS = 16


@dataclass(frozen=True, slots=True)
class Head:
    """What is remembered of a file, to be asked for its tiles at once the next time."""

    layout: Layout
    size: int
    """Bytes of the file."""
    version: str


class _ChangedError(Exception):
    """The file is no longer the one whose header is remembered."""


@dataclass(frozen=True, slots=True)
class RemoteBand:
    """One band at an address."""

    file: BandFile
    head: Head
    taken: list[int] = field(default_factory=list, compare=False, repr=False)
    """Bytes of each answer; appended to by several threads."""

    @property
    def bytes_read(self) -> int:
        return sum(self.taken)

    @property
    def grid(self) -> Grid:
        return self.head.layout.grid

    @property
    def dtype(self) -> str:
        return self.head.layout.dtype

    @property
    def block(self) -> tuple[int, int]:
        return self.head.layout.tile

    def read(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        """The numbers of a window, which lies within the grid.

        Raises:
            Retry: The server does not answer, or not well, or the file was replaced.
            GiveUp: The file is broken.
        """
        band = self.head.layout
        out = np.full((rows.stop - rows.start, columns.stop - columns.start), self.file.nodata, band.dtype)
        high, wide = band.tile
        needed = [
            (row, column)
            for row in range(rows.start // high, -(-rows.stop // high))
            for column in range(columns.start // wide, -(-columns.stop // wide))
            if band.counts[row * band.across + column]
        ]
        asked = {_pool().submit(self._content, run): run for run in self._runs(needed)}
        work: list[Future[None]] = []
        for done in as_completed(asked):
            if not done.exception():
                work += [_decoders().submit(self._fill, out, rows, columns, *place, raw) for place, raw in _cut(done.result(), asked[done])]
        wait(work)
        try:
            for answer in asked:
                answer.result()
            for tile in work:
                tile.result()
        except _ChangedError:
            _forget(self.file.href)
            raise Retry(f"band {self.file.band} was replaced while it was read: {shown(self.file.href)}") from None
        return out

    def close(self) -> None:
        """Nothing is held."""

    def _runs(self, tiles: list[tuple[int, int]]) -> list[list[tuple[int, int, int, int]]]:
        """Tiles as (offset, length, row, column), those that lie together in the file together."""
        band, runs = self.head.layout, list[list[tuple[int, int, int, int]]]()
        most = 2 * band.tile[0] * band.tile[1] * np.dtype(band.dtype).itemsize + 1024
        for offset, length, row, column in sorted(
            (band.offsets[row * band.across + column], band.counts[row * band.across + column], row, column) for row, column in tiles
        ):
            if offset + length > self.head.size or length > most:
                raise GiveUp(f"band {self.file.band} is cut off or lies about its tiles: {shown(self.file.href)}")
            last = runs[-1][-1] if runs else (-_GAP - 1, 0, 0, 0)
            if offset - (last[0] + last[1]) <= _GAP and offset + length - runs[-1][0][0] <= _RUN:
                runs[-1].append((offset, length, row, column))
            else:
                runs.append([(offset, length, row, column)])
        return runs

    def _content(self, run: list[tuple[int, int, int, int]]) -> memoryview:
        part = _named(self.file, lambda: fetched(self.file.href, run[0][0], run[-1][0] + run[-1][1] - 1))
        self.taken.append(len(part.content))
        if part.version != self.head.version:
            raise _ChangedError
        return memoryview(part.content)

    def _fill(self, out: npt.NDArray[Any], rows: slice, columns: slice, row: int, column: int, raw: memoryview) -> None:
        band = self.head.layout
        tile = pixels(band, raw, f"band {self.file.band} ({shown(self.file.href)})")
        high, wide = band.tile
        top, left = row * high, column * wide
        first_row, last_row = max(rows.start, top), min(rows.stop, top + high)
        first, last = max(columns.start, left), min(columns.stop, left + wide)
        piece = restored(band, tile[first_row - top : last_row - top, : last - left])[:, first - left :]
        out[first_row - rows.start : last_row - rows.start, first - columns.start : last - columns.start] = piece


def open_remote(file: BandFile) -> RemoteBand | None:
    """The band at an http address, if it is of the plain kind; None leaves it to GDAL.

    Raises:
        Retry: The server does not answer, or not well.
        GiveUp: There is no such file, it is not for us, it has moved, or its server sends whole files only.
    """
    if not direct(file.href):
        return None
    taken: list[int] = []
    with _lock:
        head = _heads().get(file.href)
    if head is None:
        part = _named(file, lambda: fetched(file.href, 0, _HEAD - 1))
        taken.append(len(part.content))
        read = layout(part.content)
        if read is None:
            return None
        head = Head(read, part.size, part.version)
        with _lock:
            heads = _heads()
            heads[file.href] = head
            while len(heads) > _HEADS_KEPT:
                del heads[next(iter(heads))]
    return RemoteBand(file, head, taken)


def forget() -> None:
    """Drop all that is remembered of remote files."""
    with _lock:
        _heads().clear()


def _forget(href: str) -> None:
    with _lock:
        _heads().pop(href, None)


def _cut(content: memoryview, run: list[tuple[int, int, int, int]]) -> list[tuple[tuple[int, int], memoryview]]:
    """The tiles of a run as (row, column) and what is compressed of each."""
    begin = run[0][0]
    return [((row, column), content[offset - begin : offset - begin + length]) for offset, length, row, column in run]


def _named[T](file: BandFile, work: Callable[[], T]) -> T:
    """Put the band's name before what goes wrong."""
    try:
        return work()
    except GiveUp as error:
        raise GiveUp(f"band {file.band}: {error}") from None
    except Retry as error:
        raise Retry(f"band {file.band}: {error}") from None


_lock = threading.Lock()


@cache
def _heads() -> dict[str, Head]:
    """By address, in the order they were read."""
    return {}


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that wait for servers."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="tiles")


@cache
def _decoders() -> ThreadPoolExecutor:
    """As many threads as cores: each one more would have memory of its own paged in, and none would be done sooner."""
    return ThreadPoolExecutor(os.cpu_count() or 2, thread_name_prefix="decode")
