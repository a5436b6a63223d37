"""COGs over HTTP without GDAL: the header once, then the tiles needed, all at the same time.

A band costs one request for its header the first time and one for every run of neighbouring tiles; GDAL asks
for the size before
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
from revisit.errors import PermanentError, TransientError
from revisit.pixels.raster.errors import redact_url
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.http_ranges import can_read_directly, fetch_range
from revisit.pixels.raster.tiff_header import Layout, decode_tile, parse_layout, undo_predictor

_HEADER_BYTES = 16 * 1024
"""Bytes that hold the header of a COG of Sentinel-2."""
_MAX_GAP_BYTES = 4096
"""Bytes between two tiles that are cheaper to read than to ask again."""
_MAX_RUN_BYTES = 8 * 2**20
"""Bytes asked for at once."""
_MAX_CACHED_HEADS = 500
_MAX_THREADS = 16


@dataclass(frozen=True, slots=True)
class TiffHead:
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
    head: TiffHead
    read_sizes: list[int] = field(default_factory=list, compare=False, repr=False)
    """Bytes of each answer; appended to by several threads."""

    @property
    def bytes_read(self) -> int:
        return sum(self.read_sizes)

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
            TransientError: The server does not answer, or not well, or the file was replaced.
            PermanentError: The file is broken.
        """
        band = self.head.layout
        out = np.full((rows.stop - rows.start, columns.stop - columns.start), self.file.nodata, band.dtype)
        high, wide = band.tile
        needed = [
            (row, column)
            for row in range(rows.start // high, -(-rows.stop // high))
            for column in range(columns.start // wide, -(-columns.stop // wide))
            if band.counts[row * band.tiles_across + column]
        ]
        asked = {_fetch_pool().submit(self._fetch_run, run): run for run in self._plan_runs(needed)}
        work: list[Future[None]] = []
        for done in as_completed(asked):
            if not done.exception():
                work += [
                    _decode_pool().submit(self._decode_tile_into, out, rows, columns, *place, raw)
                    for place, raw in _split_run(done.result(), asked[done])
                ]
        wait(work)
        try:
            for answer in asked:
                answer.result()
            for tile in work:
                tile.result()
        except _ChangedError:
            _drop_head(self.file.href)
            raise TransientError(
                f"band {self.file.band} was replaced while it was read: {redact_url(self.file.href)}"
            ) from None
        return out

    def close(self) -> None:
        """Nothing is held."""

    def _plan_runs(self, tiles: list[tuple[int, int]]) -> list[list[tuple[int, int, int, int]]]:
        """Tiles as (offset, length, row, column), those that lie together in the file together."""
        band, runs = self.head.layout, list[list[tuple[int, int, int, int]]]()
        most = 2 * band.tile[0] * band.tile[1] * np.dtype(band.dtype).itemsize + 1024
        for offset, length, row, column in sorted(
            (
                band.offsets[row * band.tiles_across + column],
                band.counts[row * band.tiles_across + column],
                row,
                column,
            )
            for row, column in tiles
        ):
            if offset + length > self.head.size or length > most:
                raise PermanentError(
                    f"band {self.file.band} is cut off or lies about its tiles: {redact_url(self.file.href)}"
                )
            last = runs[-1][-1] if runs else (-_MAX_GAP_BYTES - 1, 0, 0, 0)
            if (
                offset - (last[0] + last[1]) <= _MAX_GAP_BYTES
                and offset + length - runs[-1][0][0] <= _MAX_RUN_BYTES
            ):
                runs[-1].append((offset, length, row, column))
            else:
                runs.append([(offset, length, row, column)])
        return runs

    def _fetch_run(self, run: list[tuple[int, int, int, int]]) -> memoryview:
        part = _with_band_name(
            self.file, lambda: fetch_range(self.file.href, run[0][0], run[-1][0] + run[-1][1] - 1)
        )
        self.read_sizes.append(len(part.content))
        if part.version != self.head.version:
            raise _ChangedError
        return memoryview(part.content)

    def _decode_tile_into(
        self, out: npt.NDArray[Any], rows: slice, columns: slice, row: int, column: int, raw: memoryview
    ) -> None:
        band = self.head.layout
        tile = decode_tile(band, raw, f"band {self.file.band} ({redact_url(self.file.href)})")
        high, wide = band.tile
        top, left = row * high, column * wide
        first_row, last_row = max(rows.start, top), min(rows.stop, top + high)
        first, last = max(columns.start, left), min(columns.stop, left + wide)
        piece = undo_predictor(band, tile[first_row - top : last_row - top, : last - left])[:, first - left :]
        out[first_row - rows.start : last_row - rows.start, first - columns.start : last - columns.start] = (
            piece
        )


def open_remote(file: BandFile) -> RemoteBand | None:
    """The band at an http address, if it is of the plain kind; None leaves it to GDAL.

    Raises:
        TransientError: The server does not answer, or not well.
        PermanentError: There is no such file, it is not for us, it has moved, or its server sends whole files
            only.
    """
    if not can_read_directly(file.href):
        return None
    taken: list[int] = []
    with _heads_lock:
        head = _head_cache().get(file.href)
    if head is None:
        part = _with_band_name(file, lambda: fetch_range(file.href, 0, _HEADER_BYTES - 1))
        taken.append(len(part.content))
        read = parse_layout(part.content)
        if read is None:
            return None
        head = TiffHead(read, part.size, part.version)
        with _heads_lock:
            heads = _head_cache()
            heads[file.href] = head
            while len(heads) > _MAX_CACHED_HEADS:
                del heads[next(iter(heads))]
    return RemoteBand(file, head, taken)


def clear_cache() -> None:
    """Drop all that is remembered of remote files."""
    with _heads_lock:
        _head_cache().clear()


def _drop_head(href: str) -> None:
    with _heads_lock:
        _head_cache().pop(href, None)


def _split_run(
    content: memoryview, run: list[tuple[int, int, int, int]]
) -> list[tuple[tuple[int, int], memoryview]]:
    """The tiles of a run as (row, column) and what is compressed of each."""
    begin = run[0][0]
    return [
        ((row, column), content[offset - begin : offset - begin + length])
        for offset, length, row, column in run
    ]


def _with_band_name[T](file: BandFile, work: Callable[[], T]) -> T:
    """Put the band's name before what goes wrong."""
    try:
        return work()
    except PermanentError as error:
        raise PermanentError(f"band {file.band}: {error}") from None
    except TransientError as error:
        raise TransientError(f"band {file.band}: {error}") from None


_heads_lock = threading.Lock()


@cache
def _head_cache() -> dict[str, TiffHead]:
    """By address, in the order they were read."""
    return {}


@cache
def _fetch_pool() -> ThreadPoolExecutor:
    """Threads that wait for servers."""
    return ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="tiles")


@cache
def _decode_pool() -> ThreadPoolExecutor:
    """As many threads as cores: each one more would have memory of its own paged in, and none would be done
    sooner."""
    return ThreadPoolExecutor(os.cpu_count() or 2, thread_name_prefix="decode")
