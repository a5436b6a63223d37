"""One state of the catalog, ready to be asked: the index's parts on the disk, and the newest rows in
memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from revisit.adapters.local.catalog_filter import quantize_bounds
from revisit.adapters.local.catalog_log import UTC_COLUMNS, CatalogDamagedError
from revisit.adapters.local.catalog_segment import ColumnQuery, IndexSegment
from revisit.adapters.local.row_hashes import hash_rows
from revisit.adapters.local.segment_files import SegmentFile
from revisit.domain.clock import epoch_micros as _micros
from revisit.domain.filters import bounds_overlap, evaluate
from revisit.domain.product import LEVELS, Product
from revisit.ports.catalog import Freshness, Query
from revisit.ports.catalog_query import parse_page_token, sort_key
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
LatestVersions = dict[tuple[str, str], tuple[int | None, int]]
"""(source, id) -> when the version that counts was published (microseconds since 1970), and its position."""


class CatalogSnapshot:
    """Products up to some position of the log; `append_rows` carries it on.

    Raises:
        Damaged: A part of the index cannot be read.
    """

    def __init__(self, segment_files: list[SegmentFile]) -> None:
        self.segment_files = segment_files
        self.end = self.indexed_end = segment_files[-1].end if segment_files else 0
        """One after the last position it knows, and after the last one that is not in memory only."""
        self._segments: tuple[IndexSegment, ...] = ()
        for part in segment_files:
            with translate_read_errors(part):
                self._append_segment(self._segments, IndexSegment.load(part.path))
        self._disk_count = len(self._segments)

    def search(self, query: Query, tiles: tuple[str, ...] | None, limit: int) -> list[Product]:
        """Products that meet the query, by (sensing_time, id, source), forward or backward; `limit` of them
        at most.

        Args:
            tiles: Those to look on; None means any.
        """
        import numpy as np

        after = parse_page_token(query.after) if query.after else None
        starts, ends = [query.start] if query.start else [], [query.end] if query.end else []
        if after:
            (ends if query.latest_first else starts).append(after[0])
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
        parts = self._segments
        found = [part.find(conditions) for part in parts]
        times = np.concatenate(
            [part.sensing_times(rows) for part, rows in zip(parts, found, strict=True)]
            or [np.empty(0, np.int64)]
        )
        if query.latest_first:
            times = -times
        owners = np.repeat(np.arange(len(parts)), [len(rows) for rows in found])
        numbers = np.concatenate(found or [np.empty(0, np.int64)])
        order = np.argsort(times, kind="stable") if len(times) <= 4 * limit else _smallest(times, 4 * limit)
        chosen: list[Product] = []
        at = 0
        while at < len(times) and len(chosen) < limit:
            if at == len(order):
                order = np.argsort(times, kind="stable")
            # All that were sensed at one moment are needed to put them in order.
            to = min(at + limit - len(chosen), len(order)) - 1
            to = int(np.searchsorted(times[order], times[order[to]], "right"))
            products = [
                product
                for number, part in enumerate(parts)
                if len(own := order[at:to][owners[order[at:to]] == number])
                for product in products_of(part.fetch(numbers[own]))
            ]
            chosen += sorted(
                (product for product in products if _matches(product, query, after)),
                key=sort_key,
                reverse=query.latest_first,
            )
            at = to
        return chosen[:limit]

    def get(self, product: str, source: str) -> Product | None:
        """The version of a product that was published last, in any source where none is named."""
        hashed, sources = self._hash_ids((product,), source), self._matching_sources(source)
        best: tuple[tuple[bool, int, int], Product] | None = None
        for part in self._segments:
            rows = part.fetch(part.find_by_hash(hashed))
            for version, position in zip(products_of(rows), rows["position"].to_pylist(), strict=True):
                age = version_rank((_micros(version.published) if version.published else None, position))
                if version.id == product and version.source in sources and (best is None or age > best[0]):
                    best = age, version
        return best and best[1]

    def _matching_sources(self, source: str) -> list[str]:
        """The one named, else all."""
        return [source] if source else sorted({known for part in self._segments for known in part.sources})

    def _hash_ids(self, ids: tuple[str, ...], source: str) -> "NDArray[np.uint64]":
        """Of (source, id), in every source where none is named."""
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
        """Which hashes of (source, id), or of (source, id, published), are in the catalog."""
        import numpy as np

        found = np.zeros(len(key_hashes), bool)
        for part in self._segments:
            found |= part.contains(key_hashes, versions)
        return found

    def latest_versions(self, key_hashes: "NDArray[np.uint64]") -> LatestVersions:
        """The versions that count of the products with these hashes of (source, id)."""
        import pyarrow as pa

        found: LatestVersions = {}
        for part in self._segments:
            rows = part.fetch(part.find_by_hash(key_hashes))
            published = rows["published"].cast(pa.int64())
            for source, id, made, position in zip(
                *(column.to_pylist() for column in (rows["source"], rows["id"], published, rows["position"])),
                strict=True,
            ):
                if (source, id) not in found or version_rank((made, position)) > version_rank(
                    found[source, id]
                ):
                    found[source, id] = made, position
        return found

    def append_rows(self, rows: "pa.Table") -> None:
        """Take in the rows of the log that follow."""
        import pyarrow as pa

        if rows.num_rows:
            # Each part in memory is at least twice as long as the next, so that there are few and each row is
            # sorted seldom.
            recent, kept = [rows], list(self._segments)
            while len(kept) > self._disk_count and kept[-1].rows < 2 * sum(
                table.num_rows for table in recent
            ):
                recent.insert(0, kept.pop().table())
            self._append_segment(tuple(kept), IndexSegment.from_rows(pa.concat_tables(recent)))
            self.end = rows["position"][-1].as_py() + 1

    def freshness(self) -> list[Freshness]:
        """One entry a source."""
        found: dict[str, Freshness] = {}
        for source, rows, sensed, published in (entry for part in self._segments for entry in part.freshness):
            before = found.get(source, Freshness(source, 0))
            found[source] = Freshness(
                source,
                before.rows + rows,
                _latest_of(before.last_sensing, sensed),
                _latest_of(before.last_published, published),
            )
        return [found[source] for source in sorted(found)]

    def _append_segment(self, parts: tuple[IndexSegment, ...], part: IndexSegment) -> None:
        # In one step, since others may be searching.
        self._segments = (*parts, part)
        positions, hashed = part.superseded
        if len(positions):
            for earlier in parts:
                earlier.drop(positions, hashed)


@contextmanager
def translate_read_errors(part: SegmentFile) -> Iterator[None]:
    """Say in a sentence that a part of the index is damaged."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise CatalogDamagedError(
            f"the catalog's index {part.path} is damaged ({str(error).splitlines()[0]}); run `revisit doctor --rebuild` to make it "
            "again from the catalog's log"
        ) from error


def products_of(rows: "pa.Table") -> list[Product]:
    """Rows of the log as products: `Product`'s fields are the columns in order."""
    import pyarrow as pa

    columns = {
        name: rows[name].cast(pa.int64()).to_pylist() if name in UTC_COLUMNS else rows[name].to_pylist()
        for name in SCHEMA.names
    }
    for name in UTC_COLUMNS:
        columns[name] = [None if moment is None else _to_datetime(moment) for moment in columns[name]]
    columns["footprint"] = [text and msgspec.json.decode(text) for text in columns["footprint"]]
    return [Product(*cells) for cells in zip(*columns.values(), strict=True)]


def version_rank(version: tuple[int | None, int]) -> tuple[bool, int, int]:
    """What the version that counts is the greatest in, of (published, position): published at all, later,
    added later."""
    published, position = version
    return published is not None, published or 0, position


def _matches(product: Product, query: Query, after: tuple[datetime, str, str] | None) -> bool:
    if query.bounds and not bounds_overlap(
        query.bounds, product.west, product.south, product.east, product.north
    ):
        return False
    if query.ids and product.id not in query.ids:
        return False
    if not all(evaluate(condition, partial(getattr, product)) for condition in query.conditions):
        return False
    return after is None or (sort_key(product) < after if query.latest_first else sort_key(product) > after)


def _smallest(times: "NDArray[np.int64]", count: int) -> "NDArray[np.int64]":
    """Where the least of the times are, in order: `count` of them and all that equal the last."""
    import numpy as np

    least = np.flatnonzero(times <= np.partition(times, count - 1)[count - 1])
    return least[np.argsort(times[least], kind="stable")]


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
