"""The catalog in BigQuery: one table of every version of every product, merged into by transactions, and a small account of each addition."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from revisit.adapters.gcp import catalog_sql as sql
from revisit.adapters.gcp.bigquery_client import Asker, TooMuch
from revisit.adapters.gcp.catalog_check import check
from revisit.adapters.gcp.catalog_merge import add
from revisit.adapters.gcp.catalog_staging import incoming
from revisit.adapters.gcp.month_partitions import MARGIN, Period, told, told_tile
from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock
from revisit.domain.product import Product
from revisit.ports.catalog import Freshness, Page, Query, Staged
from revisit.ports.catalog_query import page_end, place_of, tiles_of
from revisit.ports.catalog_schema import from_row

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

IDS = 50_000
"""Asked about at once: a request has 10 MB at most, and an id about 100 bytes on its way."""
ADDING_S = 600.0
"""Longest that one addition may take."""
STAGED_BYTES = 20 * 10**9
"""What adding rows that lie in BigQuery already may read: of a million of them, and of their year in the catalog, some 3 GB."""
STAGED_S = 240.0
ADDITIONS = 1_000
"""Read of their account at once."""


class BigQueryCatalog:
    """`ports.Catalog` in one dataset."""

    def __init__(self, settings: Settings, now: Clock) -> None:
        self._asker = Asker(settings)
        self._location = settings.location
        self._tables = self._asker.tables
        self._now = now

    def unseen(self, source: str, ids: "pa.Array | pa.ChunkedArray | Sequence[str]") -> "NDArray[np.bool_]":
        """Which of the ids the catalog does not have from this source."""
        import numpy as np
        import pyarrow as pa

        names = ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else list(ids)
        known: set[str] = set()
        # Those of one time together: fewer partitions are looked into.
        ordered = sorted(set(names), key=_told_first)
        for first in range(0, len(ordered), IDS):
            asked = ordered[first:first + IDS]
            known |= {row["id"] for period, row in self._through(told(asked), lambda period, asked=asked: sql.unseen(
                self._tables, source, asked, period))}
        return np.fromiter((name not in known for name in names), bool, len(names))

    def add(self, batch: "pa.Table | Staged") -> int:
        """Merge products by (source, id, published), all or nothing; returns how many were new.

        Raises:
            Retry: BigQuery does not answer, or others add all the time; nothing was added.
            GiveUp: It refuses.
        """
        if isinstance(batch, Staged):
            question = add(self._tables, batch.text, dict(batch.values), Period(batch.start, batch.end))
            [answer] = self._asker.transact(question, STAGED_BYTES, STAGED_S)
            return int(answer["added"])
        if not batch.num_rows:
            return 0
        with incoming(self._asker, batch) as (text, values):
            question = add(self._tables, text, values, _around(batch))
            [answer] = self._asker.transact(question, seconds=ADDING_S)
        return int(answer["added"])

    def get(self, product: str, source: str = "") -> Product | None:
        """The product of that id, the one published last where there are several."""
        found = self._asker.ask(sql.get(self._tables, product, source, told_tile(product), told([product])))
        return from_row(found[0]) if found else None

    def search(self, query: Query) -> Page:
        """Products that meet the query, in its order.

        Raises:
            BadInput: A tile, the bounds or `after` make no sense.
        """
        tiles = tiles_of(query)
        after = place_of(query.after) if query.after else None
        told_by = told(query.ids) if query.ids else Period()
        starts = [moment for moment in (query.start, told_by.start, after and not query.latest_first and after[0]) if moment]
        ends = [moment for moment in (query.end, told_by.end, after and query.latest_first and after[0]) if moment]
        period = Period(max(starts, default=None), min(ends, default=None))
        if tiles == () or (period.start and period.end and period.start > period.end):
            return Page(())
        wanted = query.limit + 1
        found: list[Product] = []
        for _, row in self._through(period, lambda period: sql.search(self._tables, query, tiles, after, period, wanted - len(found)), query.latest_first):
            found.append(from_row(row))
            if len(found) == wanted:
                break
        products = tuple(found[: query.limit])
        return Page(products, page_end(products[-1]) if len(found) > query.limit else "")

    def added_after(self, cursor: int, limit: int = 10_000, past: Mapping[str, datetime] | None = None) -> tuple[list[Product], int]:
        """Products in the order they were added, later versions of one among them, and the cursor to go on from."""
        while True:
            account = self._asker.ask(sql.additions(self._tables, cursor, ADDITIONS))
            if not account:
                return [], cursor
            end = _end_of(account, cursor, limit, past or {})
            rows: list[dict[str, Any]] = []
            full = False
            question = partial(self._logged, cursor=cursor, end=end, past=past or {}, limit=limit)
            for period in _periods(account, end, past or {}):
                part = [row for _, row in self._through(period, question)]
                full |= len(part) >= limit
                rows += part
            rows.sort(key=lambda row: row["position"])
            if full or len(rows) > limit:
                rows = rows[:limit]
                end = rows[-1]["position"] + 1
            if rows:
                return [from_row(row) for row in rows], end
            cursor = end

    def _logged(self, period: Period, cursor: int, end: int, past: Mapping[str, datetime], limit: int) -> sql.Question:
        return sql.logged(self._tables, cursor, end, period, past, limit)

    def freshness(self) -> list[Freshness]:
        """One entry a source."""
        return [Freshness(row["source"], row["products"], row["last_sensing"], row["last_published"])
                for row in self._asker.ask(sql.freshness(self._tables))]

    def check(self) -> list[str]:
        """What is wrong with the dataset and its tables, one sentence each; nothing is written."""
        return check(self._asker, self._location)

    def _through(self, period: Period, question: Any, backward: bool = False) -> "Iterator[tuple[Period, dict[str, Any]]]":
        """The rows of a period, in halves where it is too much to read at once, the earlier first, or the later.

        BigQuery judges before it looks which blocks a tile lies in, so that a search without a period may be too much by its words alone.
        """
        try:
            rows = self._asker.ask(question(period))
        except TooMuch:
            halves = period.halves(self._now())
            if halves is None:
                raise
            for half in halves[::-1] if backward else halves:
                yield from self._through(half, question, backward)
            return
        for row in rows:
            yield period, row


def _told_first(id: str) -> tuple[datetime, str]:
    return told([id]).start or datetime.min.replace(tzinfo=UTC), id


def _around(batch: "pa.Table") -> Period:
    """The period in which all versions of these products were sensed: known where each id tells when, and tells the truth."""
    import pyarrow.compute as pc

    period = told(batch["id"].to_pylist())
    if period.start is None or period.end is None:
        return period
    limits = pc.min_max(batch["sensing_time"]).as_py()
    return Period(min(period.start, limits["min"] - MARGIN), max(period.end, limits["max"] + MARGIN))


def _end_of(account: list[dict[str, Any]], cursor: int, limit: int, past: Mapping[str, datetime]) -> int:
    """One after the last position to read at once: whole additions, `limit` products or a little more, and any number of those passed over."""
    end, room = cursor, limit
    for row in account:
        if room <= 0 and row["first_position"] >= end:
            break
        end = max(end, row["last_position"] + 1)
        if _wanted(row, past):
            room -= row["last_position"] + 1 - max(row["first_position"], cursor)
    if len(account) == ADDITIONS and end > account[-1]["first_position"]:
        # More of the last addition may follow in the account.
        end = max(account[-1]["first_position"], cursor + 1)
    return int(end)


def _wanted(row: dict[str, Any], past: Mapping[str, datetime]) -> bool:
    return bool(row["last_sensing"] >= past.get(row["source"], row["last_sensing"]))


def _periods(account: list[dict[str, Any]], end: int, past: Mapping[str, datetime]) -> list[Period]:
    """Stretches of time in which what is wanted was sensed, in order, apart from one another."""
    spans = sorted((max(row["first_sensing"], past.get(row["source"], row["first_sensing"])), row["last_sensing"]) for row in account
                   if row["first_position"] < end and _wanted(row, past))
    merged: list[tuple[datetime, datetime]] = []
    for first, last in spans:
        if merged and (first.year, first.month) <= (merged[-1][1].year, merged[-1][1].month):
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return [Period(first, last) for first, last in merged]
