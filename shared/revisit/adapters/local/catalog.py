"""The catalog on one disk: a durable log in Parquet, and an index of it that is rebuilt when it is missing.

Several processes may read while one adds. A reader looks at the folder before each answer, which costs microseconds, and
takes in what others have added.
"""

import fcntl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from revisit.adapters.local.catalog_checksums import hashes
from revisit.adapters.local.catalog_index import Index
from revisit.adapters.local.catalog_manifest import GROUP_ROWS, UTC_COLUMNS, Damaged, Log, since, stored_schema, writing
from revisit.adapters.local.catalog_repair import check, rebuild
from revisit.adapters.local.catalog_snapshot import View, age_of, products_of
from revisit.adapters.local.segment_files import listed, remove
from revisit.domain.product import Product
from revisit.errors import GiveUp
from revisit.ports.catalog import Freshness, Page, Query
from revisit.ports.catalog_query import page_end, tiles_of
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FORMAT = 1
"""Of the log's files; a folder of a newer one is refused."""
INDEX = 2
"""Of the index, which is made again from the log."""
RECENT_ROWS = 200_000
"""Rows that may be in memory only, not yet in the index."""
STRIDE = 4 * GROUP_ROWS
"""Rows of the log looked at together where most are passed over."""


class LocalCatalog:
    """`ports.Catalog` in a folder.

    Raises:
        GiveUp: The folder was written by a newer version, or cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        from importlib.metadata import version

        self._folder = folder
        self._log = Log(folder / "log")
        # Hashes differ between versions of DuckDB, so an index belongs to one.
        self._index = Index(folder / f"index-{INDEX}-{version('duckdb')}")
        self._lock = threading.Lock()
        """Held for moments, by who looks at `_view` or carries it on."""
        self._writer = threading.RLock()
        """Held by the thread that writes, for as long as that takes; taken before `_lock`, never after."""
        self._writes = False
        self._view: View | None = None
        self._names: tuple[list[str], list[str]] | None = None
        self._check_format()

    def unseen(self, source: str, ids: "pa.Array | pa.ChunkedArray | Sequence[str]") -> "NDArray[np.bool_]":
        """Which of the ids the catalog does not have from this source."""
        import pyarrow as pa

        column = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(ids, pa.string())
        # One word for all rows, which is hashed once.
        sources = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int8()), len(column)), pa.array([source]))
        return ~self._current().knows(hashes("source, id", pa.table({"source": sources, "id": column})))

    def add(self, batch: "pa.Table") -> int:
        """Merge products by (source, id, published), durably, all or nothing; returns how many were new.

        Raises:
            Retry: The disk is full; nothing was added.
            GiveUp: The folder cannot be written.
        """
        if not batch.num_rows:
            return 0
        with self._writing():
            view = self._current()
            rows = _new_rows(view, _stored(batch))
            if rows.num_rows:
                first = view.end
                self._log.append(rows)
                with self._lock:
                    # Another thread may have taken them in already, from the disk.
                    if self._view is view and view.end == first:
                        view.absorb(rows)
                if self._log.end() - view.indexed > RECENT_ROWS:
                    self._index.cover(self._log)
                self._log.join()
        return int(rows.num_rows)

    def get(self, product: str, source: str = "") -> Product | None:
        """The product of that id, the one published last where there are several."""
        return self._current().get(product, source)

    def search(self, query: Query) -> Page:
        """Products that meet the query, in its order.

        Raises:
            BadInput: A tile, the bounds or `after` make no sense.
        """
        found = self._current().search(query, tiles_of(query), query.limit + 1)
        products = tuple(found[: query.limit])
        return Page(products, page_end(products[-1]) if len(found) > query.limit else "")

    def added_after(self, cursor: int, limit: int = 10_000, past: Mapping[str, datetime] | None = None) -> tuple[list[Product], int]:
        """Products in the order they were added, later versions of one among them, and the cursor to go on from; see `ports.Catalog`."""
        import pyarrow as pa

        end = self._log.end()
        while cursor < end:
            reached = min(cursor + (max(limit, STRIDE) if past else limit), end)
            tables = [since(table, past or {}) for table in self._log_rows(cursor, reached)]
            found = sum(table.num_rows for table in tables)
            if found:
                rows = pa.concat_tables(tables).slice(0, limit)
                return products_of(rows), reached if found <= limit else rows["position"][-1].as_py() + 1
            cursor = reached
        return [], cursor

    def freshness(self) -> list[Freshness]:
        """One entry a source."""
        return self._current().freshness()

    def compact(self) -> None:
        """Make the whole index one part, which searches are quickest on; worth it after a first refresh of many million rows."""
        with self._writing():
            self._index.cover(self._log, whole=True)
            self._log.join()

    def check(self) -> list[str]:
        """What is wrong with the files, one sentence each; reads all of them."""
        return check(self._log, self._index)

    def rebuild(self) -> int:
        """Mend the log from what is left of it in the index, set aside what cannot be read, and make the index again.

        Returns:
            How many products were lost for good; where there are any, the sources are to be listed as if for the first time.
        """
        with self._writing():
            lost = rebuild(self._log, self._index, self._folder / "damaged")
            with self._lock:
                self._view = None
            return lost

    def _current(self) -> View:
        """A view that knows all that is in the log now."""
        for _ in range(2):
            with self._lock:
                names = listed(self._log.folder), listed(self._index.folder)
                if self._view is not None and names == self._names:
                    return self._view
                parts, end = self._index.parts(), self._log.end()
                if self._view is None or self._view.spans != parts or self._view.end > end:
                    self._view = self._opened()
                if self._view is not None:
                    if self._view.end < end:
                        for rows in self._log_rows(self._view.end, end):
                            self._view.absorb(rows)
                        self._view.end = end
                    self._names = names
                    return self._view
            # What is derived needs no person to mend it.
            with self._writing():
                for other in self._folder.glob("index-*"):
                    remove(other)
                self._index.cover(self._log)
        raise Damaged(f"the catalog's index in {self._folder} is damaged as soon as it is made; check the disk")

    def _opened(self) -> View | None:
        """A view of the index, or None where it is of no use."""
        while True:
            parts = self._index.parts()
            if self._log.end() - (parts[-1].end if parts else 0) > (4 if parts else 1) * RECENT_ROWS:
                # Without an index, as after it was deleted or DuckDB was renewed; who adds never leaves so much.
                return None
            try:
                return View(parts)
            except Damaged:
                return None
            except FileNotFoundError:
                # A part may have been joined with others since the folder was looked at.
                if parts == self._index.parts():
                    return None

    def _log_rows(self, first: int, end: int) -> "list[pa.Table]":
        for _ in range(5):
            try:
                return list(self._log.read(first, end))
            except FileNotFoundError:
                # Joined into a longer one since the folder was looked at.
                continue
        raise Damaged(f"files of the catalog in {self._folder} vanish while they are read; run `revisit doctor --rebuild`")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._writer, writing(self._folder):
            if self._writes:
                yield
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            if not (self._folder / "format").exists():
                (self._folder / "format").write_text(f"{FORMAT}\n")
            with (self._folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._writes = True
                try:
                    yield
                finally:
                    self._writes = False

    def _check_format(self) -> None:
        stated = self._folder / "format"
        if stated.exists():
            text = stated.read_text().strip()
            if not text.isdigit() or int(text) > FORMAT:
                raise GiveUp(f"the catalog in {self._folder} has format {text!r}, this version of Revisit reads {FORMAT}; "
                             "use the newer version, or another folder")


def _stored(batch: "pa.Table") -> "pa.Table":
    """A batch of `catalog_schema.SCHEMA` as the log keeps it, without positions."""
    import pyarrow as pa

    batch = batch.select(SCHEMA.names).cast(SCHEMA).combine_chunks()
    for name in UTC_COLUMNS:
        batch = batch.set_column(batch.column_names.index(name), name, batch[name].cast(pa.timestamp("us")))
    return batch


def _new_rows(view: View, batch: "pa.Table") -> "pa.Table":
    """The rows that the catalog lacks, with the positions they will have and what they hide."""
    import numpy as np
    import pyarrow as pa

    versions = hashes("source, id, published", batch)
    keep = np.zeros(len(versions), bool)
    keep[np.unique(versions, return_index=True)[1]] = True
    keep &= ~view.knows(versions, versions=True)
    rows = batch.filter(pa.array(keep))
    ids = hashes("source, id", rows)
    _, which, times = np.unique(ids, return_inverse=True, return_counts=True)
    again = np.flatnonzero(view.knows(ids) | (times[which] > 1))
    hides: list[int | None] = [None] * rows.num_rows
    if len(again):
        repeated = rows.take(pa.array(again))
        latest = view.latest(ids[again])
        published = repeated["published"].cast(pa.int64()).to_pylist()
        for row, key, made in zip(again.tolist(), zip(repeated["source"].to_pylist(), repeated["id"].to_pylist(), strict=True), published,
                                  strict=True):
            version, rival = (made, view.end + row), latest.get(key)
            if rival is None:
                latest[key] = version
            elif age_of(version) > age_of(rival):
                hides[row] = rival[1]
                latest[key] = version
            else:
                hides[row] = version[1]
    positions = np.arange(view.end, view.end + rows.num_rows)
    return rows.append_column("position", pa.array(positions, pa.int64())).append_column("hides", pa.array(hides, pa.int64())).cast(
        stored_schema())
