"""Catalog in BigQuery: one table with every version of every product, and one with a row per addition.

Transactions merge products into the table.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from revisit.adapters.gcp import catalog_sql as sql
from revisit.adapters.gcp.bigquery_client import QueryRunner, QueryTooLargeError
from revisit.adapters.gcp.catalog_check import check
from revisit.adapters.gcp.catalog_merge import merge_products, remove_products
from revisit.adapters.gcp.month_partitions import SENSING_MARGIN, Period, parse_period, parse_tile
from revisit.adapters.gcp.settings import Settings
from revisit.adapters.gcp.staged_rows import incoming_rows
from revisit.domain.clock import Clock
from revisit.domain.product import Product
from revisit.ports.catalog import Freshness, Page, Query, StagedProducts
from revisit.ports.catalog_query import page_token, parse_position, sort_products, tiles_to_search
from revisit.ports.catalog_schema import from_row

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

MAX_IDS_PER_QUERY = 50_000
"""Ids per query: a request has at most 10 MB, and an id takes about 100 bytes."""
ADD_TIMEOUT_S = 600.0
"""Longest duration of one addition."""
MAX_STAGED_BYTES = 20 * 10**9
"""Bytes that adding staged rows may read: 3 GB for a million rows and a year of the catalog."""
STAGED_TIMEOUT_S = 240.0
MAX_ADDITIONS_PER_QUERY = 1_000
"""Additions read per query."""


class BigQueryCatalog:
    """`ports.Catalog` in one dataset."""

    def __init__(self, settings: Settings, now: Clock) -> None:
        self._runner = QueryRunner(settings)
        self._location = settings.location
        self._tables = self._runner.tables
        self._now = now

    def missing_mask(
        self, source: str, ids: "pa.Array | pa.ChunkedArray | Sequence[str]"
    ) -> "NDArray[np.bool_]":
        """Numpy bool array, True for each id that the catalog does not have from this source."""
        import numpy as np
        import pyarrow as pa

        names = ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else list(ids)
        known: set[str] = set()
        # Sorted by time, so that a query reads few partitions.
        ordered = sorted(set(names), key=_by_stated_day)
        for first in range(0, len(ordered), MAX_IDS_PER_QUERY):
            chunk = ordered[first : first + MAX_IDS_PER_QUERY]
            known |= {
                row["id"]
                for period, row in self._rows_in_period(
                    parse_period(chunk),
                    lambda period, asked=chunk: sql.known_ids(self._tables, source, asked, period),
                )
            }
        return np.fromiter((name not in known for name in names), bool, len(names))

    def add(self, batch: "pa.Table | StagedProducts") -> int:
        """Merge products by (source, id, published), durably and atomically; returns the number of new rows.

        Raises:
            TransientError: BigQuery does not answer, or other writers keep the transaction from committing;
                nothing
                was added.
            PermanentError: BigQuery rejects the query.
        """
        if isinstance(batch, StagedProducts):
            statement = merge_products(
                self._tables, batch.sql, dict(batch.parameters), Period(batch.start, batch.end)
            )
            [answer] = self._runner.transact(statement, MAX_STAGED_BYTES, STAGED_TIMEOUT_S)
            return int(answer["added"])
        if not batch.num_rows:
            return 0
        with incoming_rows(self._runner, batch) as (text, values):
            statement = merge_products(self._tables, text, values, _sensing_period(batch))
            [answer] = self._runner.transact(statement, timeout_s=ADD_TIMEOUT_S)
        return int(answer["added"])

    def remove(self, source: str, ids: "Sequence[str]") -> int:
        """Remove products of a source, durably and atomically; returns how many it had.

        Raises:
            TransientError: BigQuery does not answer, or other writers keep the transaction from committing.
            PermanentError: BigQuery rejects the query.
        """
        removed, ordered = 0, sorted(set(ids), key=_by_stated_day)
        for first in range(0, len(ordered), MAX_IDS_PER_QUERY):
            chunk = ordered[first : first + MAX_IDS_PER_QUERY]
            statement = remove_products(self._tables, source, chunk, parse_period(chunk))
            [answer] = self._runner.transact(statement, timeout_s=ADD_TIMEOUT_S)
            removed += int(answer["removed"])
        return removed

    def get(self, product: str, source: str = "") -> Product | None:
        """Product with this id; of several versions, the one published last."""
        found = self._runner.run(
            sql.get(self._tables, product, source, parse_tile(product), parse_period([product]))
        )
        return from_row(found[0]) if found else None

    def search(self, query: Query) -> Page:
        """A page of products that meet the query, in its order.

        Raises:
            InvalidInputError: A tile, the bounds or `after` is invalid.
        """
        tiles = tiles_to_search(query)
        after = parse_position(query.after, query.order_by) if query.after else None
        id_period = parse_period(query.ids) if query.ids else Period()
        starts, ends = [query.start, id_period.start], [query.end, id_period.end]
        if after and not query.order_by:
            (ends if query.latest_first else starts).append(after.sensing_time)
        period = Period(max(filter(None, starts), default=None), min(filter(None, ends), default=None))
        if tiles == () or (period.start and period.end and period.start > period.end):
            return Page(())
        max_rows = query.limit + 1
        found: list[Product] = []
        for _, row in self._rows_in_period(
            period,
            lambda period: sql.search(
                self._tables, query, tiles, after, period, max_rows - len(found) * (not query.order_by)
            ),
            query.latest_first,
        ):
            found.append(from_row(row))
            # In another order than by time, the first rows may be in any part of the period.
            if len(found) == max_rows and not query.order_by:
                break
        if query.order_by:
            found = sort_products(found, query)
        products = tuple(found[: query.limit])
        return Page(products, page_token(products[-1], query.order_by) if len(found) > query.limit else "")

    def read_additions(
        self, cursor: int, limit: int = 10_000, min_sensing_times: Mapping[str, datetime] | None = None
    ) -> tuple[list[Product], int]:
        """Products in the order of their addition, later versions included, and the cursor of the next
        call."""
        while True:
            additions = self._runner.run(sql.list_additions(self._tables, cursor, MAX_ADDITIONS_PER_QUERY))
            if not additions:
                return [], cursor
            end = _end_position(additions, cursor, limit, min_sensing_times or {})
            rows: list[dict[str, Any]] = []
            full = False
            make_statement = partial(
                self._log_statement,
                cursor=cursor,
                end=end,
                min_sensing_times=min_sensing_times or {},
                limit=limit,
            )
            for period in _periods_to_read(additions, end, min_sensing_times or {}):
                part = [row for _, row in self._rows_in_period(period, make_statement)]
                full |= len(part) >= limit
                rows += part
            rows.sort(key=lambda row: row["position"])
            if full or len(rows) > limit:
                rows = rows[:limit]
                end = rows[-1]["position"] + 1
            if rows:
                return [from_row(row) for row in rows], end
            cursor = end

    def _log_statement(
        self, period: Period, cursor: int, end: int, min_sensing_times: Mapping[str, datetime], limit: int
    ) -> sql.Statement:
        return sql.read_log(self._tables, cursor, end, period, min_sensing_times, limit)

    def freshness(self) -> list[Freshness]:
        """One entry per source."""
        return [
            Freshness(row["source"], row["products"], row["last_sensing"], row["last_published"])
            for row in self._runner.run(sql.freshness(self._tables))
        ]

    def check(self) -> list[str]:
        """Faults of the dataset and its tables, one sentence each; writes nothing."""
        return check(self._runner, self._location)

    def _rows_in_period(
        self, period: Period, make_statement: Any, latest_first: bool = False
    ) -> "Iterator[tuple[Period, dict[str, Any]]]":
        """Rows of a period, in halves where one query would read too much; in order of time.

        BigQuery estimates the bytes before it prunes clustered blocks, so that a search without a period may
        exceed the limit by its estimate alone.
        """
        try:
            rows = self._runner.run(make_statement(period))
        except QueryTooLargeError:
            halves = period.halves(self._now())
            if halves is None:
                raise
            for half in halves[::-1] if latest_first else halves:
                yield from self._rows_in_period(half, make_statement, latest_first)
            return
        for row in rows:
            yield period, row


def _by_stated_day(id: str) -> tuple[datetime, str]:
    return parse_period([id]).start or datetime.min.replace(tzinfo=UTC), id


def _sensing_period(batch: "pa.Table") -> Period:
    """Period that contains all versions of these products; open where an id does not state a plausible
    time."""
    import pyarrow.compute as pc

    period = parse_period(batch["id"].to_pylist())
    if period.start is None or period.end is None:
        return period
    limits = pc.min_max(batch["sensing_time"]).as_py()
    return Period(
        min(period.start, limits["min"] - SENSING_MARGIN), max(period.end, limits["max"] + SENSING_MARGIN)
    )


def _end_position(
    additions: list[dict[str, Any]], cursor: int, limit: int, min_sensing_times: Mapping[str, datetime]
) -> int:
    """One after the last position to read: whole additions, about `limit` products, and any number of
    skipped ones."""
    end, room = cursor, limit
    for row in additions:
        if room <= 0 and row["first_position"] >= end:
            break
        end = max(end, row["last_position"] + 1)
        if _has_products_since(row, min_sensing_times):
            room -= row["last_position"] + 1 - max(row["first_position"], cursor)
    if len(additions) == MAX_ADDITIONS_PER_QUERY and end > additions[-1]["first_position"]:
        # The account may list more of the last addition.
        end = max(additions[-1]["first_position"], cursor + 1)
    return int(end)


def _has_products_since(addition: dict[str, Any], min_sensing_times: Mapping[str, datetime]) -> bool:
    return bool(
        addition["last_sensing"] >= min_sensing_times.get(addition["source"], addition["last_sensing"])
    )


def _periods_to_read(
    additions: list[dict[str, Any]], end: int, min_sensing_times: Mapping[str, datetime]
) -> list[Period]:
    """Periods that contain the wanted products, in order and disjoint."""
    spans = sorted(
        (
            max(row["first_sensing"], min_sensing_times.get(row["source"], row["first_sensing"])),
            row["last_sensing"],
        )
        for row in additions
        if row["first_position"] < end and _has_products_since(row, min_sensing_times)
    )
    merged: list[tuple[datetime, datetime]] = []
    for first, last in spans:
        if merged and (first.year, first.month) <= (merged[-1][1].year, merged[-1][1].month):
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return [Period(first, last) for first, last in merged]
