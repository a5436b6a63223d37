"""Snapshot of the catalog: segments on the disk and the newest rows in memory, ready to search."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from revisit.adapters.local.catalog_filter import quantize_bounds
from revisit.adapters.local.catalog_log import UTC_COLUMNS, CatalogDamagedError
from revisit.adapters.local.catalog_removals import Removals
from revisit.adapters.local.catalog_segment import ColumnQuery, IndexSegment
from revisit.adapters.local.row_hashes import hash_rows
from revisit.adapters.local.segment_files import SegmentFile
from revisit.domain.clock import epoch_micros as _micros
from revisit.domain.filters import bounds_overlap, evaluate
from revisit.domain.product import LEVELS, Product
from revisit.ports.catalog import Freshness, OrderBy, Query
from revisit.ports.catalog_query import Position, parse_position, sort_products
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
LatestVersions = dict[tuple[str, str], tuple[int | None, int]]
"""(source, id) -> publication time (microseconds since 1970) and position of the current version."""


class CatalogSnapshot:
    """Products up to a position of the log; `append_rows` extends it.

    Raises:
        CatalogDamagedError: A segment is unreadable.
    """

    def __init__(self, segment_files: list[SegmentFile], removals: Removals) -> None:
        self.removals = removals
        self.segment_files = segment_files
        self.end = self.indexed_end = segment_files[-1].end if segment_files else 0
        """One after the last position, in the snapshot and in the index on the disk."""
        self._segments: tuple[IndexSegment, ...] = ()
        for part in segment_files:
            with translate_read_errors(part):
                self._append_segment(self._segments, IndexSegment.load(part.path))
        self._disk_count = len(self._segments)

    def search(self, query: Query, tiles: tuple[str, ...] | None, limit: int) -> list[Product]:
        """The first products that meet the query, in its order.

        Masks and sort keys are computed for the search columns only; whole rows are read for the page alone.

        Args:
            tiles: Tiles to search; None means any.
            limit: Number of products at most.
        """
        import numpy as np

        after = parse_position(query.after, query.order_by) if query.after else None
        starts, ends = [query.start] if query.start else [], [query.end] if query.end else []
        if after and not query.order_by:
            (ends if query.latest_first else starts).append(after.sensing_time)
        conditions = ColumnQuery(
            None if tiles is None else tuple(tile.encode() for tile in tiles),
            _micros(max(starts)) if starts else None,
            _micros(min(ends)) if ends else None,
            query.max_cloud,
            LEVELS.index(query.level) if query.level else None,
            query.source,
            quantize_bounds(query.bounds) if query.bounds else None,
            self._hash_ids(query.ids, query.source) if query.ids else None,
            query.conditions,
        )
        segments = self._segments
        matches = [segment.find(conditions) for segment in segments]
        owners = np.repeat(np.arange(len(segments)), [len(rows) for rows in matches])
        numbers = np.concatenate(matches or [np.empty(0, np.int64)])
        orders = (*query.order_by, OrderBy("sensing_time", query.latest_first))
        lasts = (*after.values, after.sensing_time) if after else (None,) * len(orders)
        pairs = list(zip(segments, matches, strict=True))
        sort_keys = [_sort_key(pairs, *key) for key in zip(orders, lasts, strict=True)]
        keys = [key for key, _ in sort_keys]
        if after and query.order_by:
            follows, ties = np.zeros(len(numbers), bool), np.ones(len(numbers), bool)
            for key, bound in sort_keys:
                follows |= ties & (key > bound)
                ties &= key == bound
            rest = np.flatnonzero(follows | ties)
            owners, numbers, keys = owners[rest], numbers[rest], [key[rest] for key in keys]
        chosen: list[Product] = []
        order = _first_in_order(keys, 4 * limit)
        at = 0
        while at < len(numbers) and len(chosen) < limit:
            if at == len(order):
                order = _first_in_order(keys, len(numbers))
            # Rows with equal keys are all read: id and source decide between them.
            end = _end_of_ties(keys, order, min(at + limit - len(chosen), len(order)) - 1)
            page = order[at:end]
            products = [
                product
                for number, segment in enumerate(segments)
                if len(own := page[owners[page] == number])
                for product in products_of(segment.fetch(numbers[own]))
            ]
            chosen += sort_products(
                (product for product in products if _matches(product, query, after)), query
            )
            at = end
        return chosen[:limit]

    def get(self, product: str, source: str) -> Product | None:
        """The version of a product that was published last, in any source where none is named."""
        hashed, sources = self._hash_ids((product,), source), self._matching_sources(source)
        best: tuple[tuple[bool, int, int], Product] | None = None
        for part in self._segments:
            rows = self.removals.drop_hidden(part.fetch(part.find_by_hash(hashed)))
            for version, position in zip(products_of(rows), rows["position"].to_pylist(), strict=True):
                age = version_rank((_micros(version.published) if version.published else None, position))
                if version.id == product and version.source in sources and (best is None or age > best[0]):
                    best = age, version
        return best and best[1]

    def _matching_sources(self, source: str) -> list[str]:
        """The named source, or all."""
        return [source] if source else sorted({known for part in self._segments for known in part.sources})

    def _hash_ids(self, ids: tuple[str, ...], source: str) -> "NDArray[np.uint64]":
        """Hashes of (source, id), for every source where none is named."""
        import pyarrow as pa

        pairs = [(known, id) for known in self._matching_sources(source) for id in ids]
        return hash_rows(
            "source, id",
            pa.table(
                {
                    "source": pa.array([known for known, _ in pairs], pa.string()),
                    "id": pa.array([id for _, id in pairs], pa.string()),
                }
            ),
        )

    def contains(self, key_hashes: "NDArray[np.uint64]", versions: bool = False) -> "NDArray[np.bool_]":
        """Which of these hashes of (source, id), or of (source, id, published), are in the catalog.

        Versions of products that were removed count as known.
        """
        import numpy as np

        found = np.zeros(len(key_hashes), bool)
        for part in self._segments:
            found |= part.contains(key_hashes, versions)
        if self.removals.entries and not versions:
            suspects = np.flatnonzero(found & np.isin(key_hashes, self.removals.hashes))
            found[suspects] = np.isin(key_hashes[suspects], self._present_hashes(key_hashes[suspects]))
        return found

    def _present_hashes(self, key_hashes: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
        """Those of these hashes of (source, id) that belong to a row that is not hidden."""
        import numpy as np

        return np.concatenate(
            [
                np.empty(0, np.uint64),
                *(
                    hash_rows("source, id", self.removals.drop_hidden(part.fetch(rows)))
                    for part in self._segments
                    if len(rows := part.find_by_hash(key_hashes))
                ),
            ]
        )

    def latest_versions(self, key_hashes: "NDArray[np.uint64]") -> LatestVersions:
        """Current versions of the products with these hashes of (source, id)."""

        found: LatestVersions = {}
        for part in self._segments:
            rows = self.removals.drop_hidden(part.fetch(part.find_by_hash(key_hashes)))
            columns = (rows[name].to_pylist() for name in ("source", "id", "position"))
            for source, id, position, made in zip(*columns, published_micros(rows), strict=True):
                if (source, id) not in found or version_rank((made, position)) > version_rank(
                    found[source, id]
                ):
                    found[source, id] = made, position
        return found

    def versions(self, key_hashes: "NDArray[np.uint64]") -> set[tuple[str, str, int | None]]:
        """(source, id, published in microseconds) of every version of these products that is not removed."""
        found: set[tuple[str, str, int | None]] = set()
        for part in self._segments:
            rows = self.removals.drop_hidden(part.fetch(part.find_by_hash(key_hashes)))
            columns = (rows["source"].to_pylist(), rows["id"].to_pylist(), published_micros(rows))
            found.update(zip(*columns, strict=True))
        return found

    def append_rows(self, rows: "pa.Table") -> None:
        """Add the rows of the log that follow."""
        import pyarrow as pa

        if rows.num_rows:
            # Each segment in memory is at least twice as long as the next: there are few, and a row is
            # sorted seldom.
            recent, kept = [rows], list(self._segments)
            while len(kept) > self._disk_count and kept[-1].rows < 2 * sum(
                table.num_rows for table in recent
            ):
                recent.insert(0, kept.pop().table())
            self._append_segment(tuple(kept), IndexSegment.from_rows(pa.concat_tables(recent)))
            self.end = rows["position"][-1].as_py() + 1

    def freshness(self) -> list[Freshness]:
        """One entry per source."""
        found: dict[str, Freshness] = {}
        for source, rows, sensed, published in (entry for part in self._segments for entry in part.freshness):
            before = found.get(source, Freshness(source, 0))
            found[source] = Freshness(
                source,
                before.rows + rows,
                _latest_of(before.last_sensing, sensed),
                _latest_of(before.last_published, published),
            )
        return [
            replace(found[source], rows=found[source].rows - self.removals.counts[source])
            for source in sorted(found)
        ]

    def _append_segment(self, parts: tuple[IndexSegment, ...], part: IndexSegment) -> None:
        part.drop_removed(self.removals)
        # One assignment, because other threads may be searching.
        self._segments = (*parts, part)
        positions, hashed = part.superseded
        if len(positions):
            for earlier in parts:
                earlier.drop(positions, hashed)


@contextmanager
def translate_read_errors(part: SegmentFile) -> Iterator[None]:
    """Translate errors of reading a segment."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise CatalogDamagedError(
            f"the catalog's index {part.path} is damaged ({str(error).splitlines()[0]}); run `revisit "
            "doctor --rebuild` to rebuild it from the catalog's log"
        ) from error


def products_of(rows: "pa.Table") -> list[Product]:
    """Rows of the log as products; the columns are in the order of the fields of `Product`."""
    import pyarrow as pa

    columns = {
        name: rows[name].cast(pa.int64()).to_pylist() if name in UTC_COLUMNS else rows[name].to_pylist()
        for name in SCHEMA.names
    }
    for name in UTC_COLUMNS:
        columns[name] = [None if moment is None else _to_datetime(moment) for moment in columns[name]]
    columns["footprint"] = [text and msgspec.json.decode(text) for text in columns["footprint"]]
    return [Product(*cells) for cells in zip(*columns.values(), strict=True)]


def published_micros(rows: "pa.Table") -> list[int | None]:
    """Publication times of rows of the log in microseconds since 1970."""
    import pyarrow as pa

    micros: list[int | None] = rows["published"].cast(pa.int64()).to_pylist()
    return micros


def version_rank(version: tuple[int | None, int]) -> tuple[bool, int, int]:
    """Rank of a version, given (published, position); the greatest is current.

    A published version precedes an unpublished one; then the later publication counts, then the later
    addition.
    """
    published, position = version
    return published is not None, published or 0, position


def _matches(product: Product, query: Query, after: Position | None) -> bool:
    if query.bounds and not bounds_overlap(
        query.bounds, product.west, product.south, product.east, product.north
    ):
        return False
    if query.ids and product.id not in query.ids:
        return False
    if not all(evaluate(condition, partial(getattr, product)) for condition in query.conditions):
        return False
    if after is None or product.sensing_time != after.sensing_time:
        return True
    if any(
        getattr(product, key.column) != value for key, value in zip(query.order_by, after.values, strict=True)
    ):
        return True
    name, last = (product.id, product.source), (after.id, after.source)
    return name < last if query.latest_first else name > last


def _sort_key(
    matches: "list[tuple[IndexSegment, NDArray[np.int64]]]", order: OrderBy, last: Any
) -> "tuple[NDArray[np.float64], float]":
    """Sort key of each row found, ascending with missing values last, and that of the last value read."""
    import numpy as np

    parts = [segment.sort_values(order.column, rows) for segment, rows in matches]
    values = np.concatenate(parts) if parts else np.empty(0)
    if order.column == "tile":
        words, values = np.unique(values, return_inverse=True)
        if last is not None:
            place = int(np.searchsorted(words, last.encode()))
            last = place if place < len(words) and words[place] == last.encode() else place - 0.5
    elif isinstance(last, datetime):
        last = _micros(last)
    sign = -1.0 if order.descending else 1.0
    key = sign * values
    key[np.isnan(key)] = np.inf
    return key, np.inf if last is None else sign * last


def _first_in_order(keys: "list[NDArray[np.float64]]", count: int) -> "NDArray[np.int64]":
    """The rows with the smallest keys, sorted: `count` of them and all whose first key equals that of the
    last."""
    import numpy as np

    rows = np.arange(len(keys[0]))
    if count < len(rows):
        rows = np.flatnonzero(keys[0] <= np.partition(keys[0], count - 1)[count - 1])
    return rows[np.lexsort([key[rows] for key in reversed(keys)])]


def _end_of_ties(keys: "list[NDArray[np.float64]]", order: "NDArray[np.int64]", last: int) -> int:
    """One after the last place in the order whose keys equal those at `last`."""
    import numpy as np

    ties = np.logical_and.reduce([key[order[last:]] == key[order[last]] for key in keys])
    return last + (len(ties) if ties.all() else int(ties.argmin()))


def _to_datetime(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _latest_of(current: datetime | None, micros: int | None) -> datetime | None:
    return (
        current
        if micros is None
        else _to_datetime(micros)
        if current is None
        else max(current, _to_datetime(micros))
    )
