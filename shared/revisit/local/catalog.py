"""The catalog on one disk: a durable log in Parquet, and an index of it that is rebuilt when it is missing.

Several processes may read while one adds. A reader looks at the folder before each answer, which costs microseconds, and
takes in what others have added.
"""

import fcntl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from revisit import catalog_sql
from revisit.catalog_schema import SCHEMA
from revisit.errors import BadInput, GiveUp
from revisit.local.catalog_index import Index, hashes
from revisit.local.catalog_log import UTC_COLUMNS, Damaged, Log, stored_schema, writing
from revisit.local.catalog_view import View
from revisit.ports import Freshness, Page, Query
from revisit.product import Product

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FORMAT = 1
"""Of the log's files; a folder of a newer one is refused."""
RECENT_ROWS = 200_000
"""Rows that may be in memory only, not yet in the index."""
MANY_TILES = 500
"""Bounds over more tiles than these are looked for by the bounds alone."""


class LocalCatalog:
    """`ports.Catalog` in a folder.

    Raises:
        GiveUp: The folder was written by a newer version, or cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        import duckdb

        self._folder = folder
        self._log = Log(folder / "log")
        # Hashes differ between versions of DuckDB, so an index belongs to one.
        self._index = Index(folder / f"index-{FORMAT}-{duckdb.__version__}")
        self._lock = threading.RLock()
        self._view: View | None = None
        self._check_format()

    def unseen(self, source: str, ids: "pa.Array | pa.ChunkedArray | Sequence[str]") -> "NDArray[np.bool_]":
        """Which of the ids the catalog does not have from this source."""
        import pyarrow as pa

        column = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(ids, pa.string())
        rows = pa.table({"id": column})
        constant = source.replace("'", "''")
        return ~self._current().knows(hashes(f"'{constant}'::varchar, id", rows))

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
                self._log.append(rows)
                view.absorb(rows)
                if view.end - (view.parts[-1].end if view.parts else 0) > RECENT_ROWS:
                    self._index.cover(self._log)
                self._log.join()
        return int(rows.num_rows)

    def get(self, product: str, source: str = "") -> Product | None:
        """The product of that id, the one published last where there are several."""
        view = self._current()
        for tile in dict.fromkeys((_tile_in(product), "")):
            found = view.ask(catalog_sql.get(product, source, tile))
            if found:
                return found[0]
        return None

    def search(self, query: Query) -> Page:
        """Products that meet the query, by (sensing_time, id).

        Raises:
            BadInput: A tile, the bounds or `after` make no sense.
        """
        if query.limit < 1:
            raise BadInput(f"a page has at least one product, not {query.limit}")
        tiles = query.tiles
        if query.bounds:
            under = _tiles_under(query.bounds)
            tiles = tuple(tile for tile in tiles if tile in set(under)) if tiles else under
            if not tiles:
                return Page(())
        found = self._current().ask(catalog_sql.search(query, tiles if len(tiles) <= MANY_TILES else (), query.limit + 1))
        products = tuple(found[: query.limit])
        return Page(products, catalog_sql.page_end(products[-1]) if len(found) > query.limit else "")

    def added_after(self, cursor: int, limit: int = 10_000) -> tuple[list[Product], int]:
        """Products in the order they were added, later versions of one among them, and the cursor to go on from."""
        from revisit.catalog_schema import to_products

        products: list[Product] = []
        for table in self._log_rows(cursor, cursor + limit):
            products += to_products(table)
        return products, cursor + len(products)

    def freshness(self) -> list[Freshness]:
        """One entry a source."""
        return self._current().freshness()

    def compact(self) -> None:
        """Make the whole index one part, which searches are quickest on; worth it after a first refresh of many million rows."""
        with self._writing():
            self._index.cover(self._log, whole=True)
            self._log.join()

    def _current(self) -> View:
        """A view that knows all that is in the log now."""
        with self._lock:
            segments, parts = self._log.segments(), self._index.parts()
            end = segments[-1].end if segments else 0
            if self._view is None or (self._view.parts != parts and parts) or self._view.end > end:
                self._view = View(parts)
            if self._view.end < end:
                for rows in self._log_rows(self._view.end, end):
                    self._view.absorb(rows)
            return self._view

    def _log_rows(self, first: int, end: int) -> "list[pa.Table]":
        for _ in range(5):
            try:
                return list(self._log.read(first, end))
            except FileNotFoundError:
                # Joined into a longer one since the folder was looked at.
                continue
        raise Damaged(f"files of the catalog in {self._folder} vanish while they are read; run `revisit doctor`")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            if not (self._folder / "format").exists():
                (self._folder / "format").write_text(f"{FORMAT}\n")
            with (self._folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield

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
        latest = view.latest(repeated)
        for row, source, id, published in zip(again.tolist(), *(repeated[name].to_pylist() for name in ("source", "id", "published")),
                                              strict=True):
            position, rival = view.end + row, latest.get((source, id))
            if rival is None:
                latest[source, id] = published, position
            elif (published is not None, published) >= (rival[0] is not None, rival[0]):
                hides[row] = rival[1]
                latest[source, id] = published, position
            else:
                hides[row] = position
    positions = np.arange(view.end, view.end + rows.num_rows)
    return rows.append_column("position", pa.array(positions, pa.int64())).append_column("hides", pa.array(hides, pa.int64())).cast(
        stored_schema())


def _tiles_under(bounds: tuple[float, float, float, float]) -> tuple[str, ...]:
    import shapely

    from revisit.tile import tiles_under

    west, south, east, north = bounds
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise BadInput(f"{bounds} are no bounds; give west, south, east, north in degrees")
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    return tiles_under(shapely.union_all([shapely.box(left, south, right, north) for left, right in spans]))


def _tile_in(product: str) -> str:
    """The tile that a product's name tells, or nothing."""
    import re

    found = re.search(r"(?:_T|_)(\d{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V])(?:_|$)", product)
    return found[1] if found else ""
