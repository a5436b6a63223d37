"""Lists an index of Google by BigQuery: loads it from its bucket, parses it there, merges it by months.

No row passes through the function. Steps that take longer than the function may run continue without it: the
state names the load job, and the table of new rows shrinks by what has been merged. The next listing resumes
there, and a newer index is loaded only after that.
"""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from google.api_core import exceptions
from google.cloud import bigquery

from revisit.adapters.gcp import google_index_sql as sql
from revisit.adapters.gcp.bigquery_client import LABELS, QueryRunner
from revisit.adapters.gcp.catalog_sql import create_staging_table, freshness
from revisit.adapters.gcp.errors import TRANSIENT_REASONS
from revisit.adapters.gcp.google_index_object import GoogleIndexObject
from revisit.adapters.gcp.month_partitions import SENSING_MARGIN
from revisit.adapters.gcp.settings import Settings
from revisit.adapters.sources.batches import MAX_REJECTIONS
from revisit.adapters.sources.google_index_rows import tile_west_east
from revisit.errors import PermanentError, TransientError
from revisit.ports.catalog import StagedProducts
from revisit.ports.sources import Listing

MAX_INDEX_BYTES = 60 * 10**9
"""Bytes that parsing a whole index may read: for 40 million rows 16 GB of the index and 5 GB of ids."""
MAX_BAD_LINES = MAX_REJECTIONS
"""Invalid CSV lines that are skipped, as many as other sources reject; more mean a file of another kind."""
LOAD_WAIT_S = 30.0
"""A load that takes longer is awaited by the next listing: some gigabytes of gzip take minutes."""
TIME_BUDGET_S = 200.0
"""No step starts later than this, so that two indices and publishing fit into the function's 540 s."""
PARSE_TIMEOUT_S = 240.0
MAX_CHUNK_ROWS = 1_000_000
MAX_CHUNK_MONTHS = 12
"""Rows and months merged by one transaction; a single month may have more rows."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load of an index, as the state keeps it."""

    job: str
    """Id of the load job, and part of the names of its tables."""
    generation: str
    columns: tuple[str, ...]
    rows: int | None = None
    """Its products; None until it has been parsed."""
    rejections: int = 0


class GoogleIndexLoader:
    """Lists one index."""

    def __init__(self, settings: Settings, file: GoogleIndexObject, spec: str, root: str) -> None:
        """
        Args:
            settings: Project and dataset.
            file: The index.
            spec: SPEC of the source, stored with each product.
            root: Prefix of a product's path in the bucket, ending in a slash.
        """
        self._runner = QueryRunner(settings)
        self._file, self._spec, self._root = file, spec, root

    def batches(self, state: dict[str, Any], listing: Listing, now: datetime) -> Iterator[StagedProducts]:
        """New products by groups of months.

        Args:
            state: Of the previous listing.
            listing: Its counts and state are kept up to date; `unfinished` until everything is merged.
            now: Present.
        """
        until = time.monotonic() + TIME_BUDGET_S
        load = self._resumable_load(state)
        if load is None:
            generation = self._file.generation()
            if generation == state.get("mark") and self._has_rows():
                listing.unchanged = True
                return
            load = Load(self._load_id(generation, now), generation, tuple(self._file.columns(generation)))
        listing.unfinished, listing.state = True, {**state, "load": asdict(load)}
        job = self._get_or_start_job(load)
        if not self._wait_for_job(job, load):
            return
        if load.rows is None:
            load = self._compare_with_catalog(load, _count_bad_lines(job), state)
            listing.state = {**state, "load": asdict(load)}
        listing.rows, listing.rejection_count, listing.rejection_examples = (
            load.rows or 0,
            load.rejections,
            self._list_rejections(load, job),
        )
        for chunk, (first, end) in self._chunks(load):
            if time.monotonic() > until:
                return
            yield chunk
            self._runner.transact(sql.delete_inserted_rows(self._new_rows_table(load), first, end))
        self._drop_tables(load)
        listing.unfinished, listing.state = False, {"mark": load.generation, "rows": load.rows}

    # ---- loading

    def _resumable_load(self, state: dict[str, Any]) -> Load | None:
        """The load that the previous listing left unfinished, if its job and tables still exist."""
        if "load" not in state:
            return None
        load = Load(**{**state["load"], "columns": tuple(state["load"]["columns"])})
        with self._runner.translate_errors():
            try:
                job = self._runner.client.get_job(load.job)
                self._runner.client.get_table(f"{self._runner.dataset}.{_staging_table(load)}")
                if load.rows is not None:
                    self._runner.client.get_table(f"{self._runner.dataset}.{_staging_table(load)}_parsed")
            except exceptions.NotFound:
                return None
        return None if job.error_result else load

    def _load_id(self, generation: str, now: datetime) -> str:
        """Idempotency key of the load: the same generation in the same minute loads once, even if delivered
        twice."""
        what = f"{self._runner.dataset} {self._spec} {generation} {now:%Y-%m-%dT%H:%M}"
        return f"revisit_index_{hashlib.sha256(what.encode()).hexdigest()[:24]}"

    def _get_or_start_job(self, load: Load) -> Any:
        """The load job, started if it does not exist."""
        with self._runner.translate_errors():
            try:
                return self._runner.client.get_job(load.job)
            except exceptions.NotFound:
                pass
        self._runner.run(
            create_staging_table(
                self._runner.quote_table(_staging_table(load)), ((name, "STRING") for name in load.columns)
            )
        )
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.CSV,
            schema=[bigquery.SchemaField(name, "STRING") for name in load.columns],
            skip_leading_rows=1,
            allow_quoted_newlines=True,
            max_bad_records=MAX_BAD_LINES,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            labels=LABELS,
        )
        with self._runner.translate_errors():
            try:
                return self._runner.client.load_table_from_uri(
                    self._file.uri,
                    f"{self._runner.dataset}.{_staging_table(load)}",
                    job_id=load.job,
                    job_config=config,
                )
            except exceptions.Conflict:
                return self._runner.client.get_job(load.job)
            except exceptions.BadRequest as error:
                raise self._load_error(error.message) from error

    def _wait_for_job(self, job: Any, load: Load) -> bool:
        """Whether the job has succeeded; waits `LOAD_WAIT_S` at most."""
        until, pause = time.monotonic() + LOAD_WAIT_S, 0.5
        with self._runner.translate_errors():
            while not job.done():
                if time.monotonic() > until:
                    return False
                time.sleep(pause)
                pause = min(2 * pause, 5.0)
        if job.error_result:
            self._drop_tables(load)
            raise self._load_error(job.error_result.get("message"), job.error_result.get("reason"))
        return True

    def _load_error(self, message: Any, reason: Any = "") -> Exception:
        reason_text = str(message)[:300]
        sentence = (
            f"BigQuery cannot load the index {self._file.uri} into {self._runner.dataset}: {reason_text}"
        )
        return TransientError(sentence) if reason in TRANSIENT_REASONS else PermanentError(sentence)

    # ---- comparing

    def _compare_with_catalog(self, load: Load, bad_lines: int, state: dict[str, Any]) -> Load:
        """Parse the rows that the catalog lacks into a table of new rows."""
        raw, fresh = self._runner.quote_table(_staging_table(load)), self._new_rows_table(load)
        self._runner.run(
            sql.parse(self._runner.tables, raw, fresh, load.columns, self._spec, self._root),
            MAX_INDEX_BYTES,
            PARSE_TIMEOUT_S,
        )
        [count] = self._runner.run(sql.count_rows(raw, fresh))
        if count["found"] == count["refused"]:
            self._drop_tables(load)
            before = f", where it had {state['rows']} rows before" if state.get("rows") else ""
            raise PermanentError(f"the index {self._file.uri} lists no product{before}; nothing was changed")
        if tiles := [row["tile"] for row in self._runner.run(sql.find_antimeridian_tiles(fresh))]:
            # BigQuery bills a change by the whole table.
            self._runner.transact(
                sql.repair_bounds(fresh, {tile: tile_west_east(tile) for tile in tiles}),
                MAX_INDEX_BYTES,
                PARSE_TIMEOUT_S,
            )
        return replace(load, rows=count["found"] - count["refused"], rejections=count["refused"] + bad_lines)

    def _list_rejections(self, load: Load, job: Any) -> list[tuple[str, str]]:
        if not load.rejections:
            return []
        rows = self._runner.run(sql.list_refused_rows(self._new_rows_table(load), MAX_REJECTIONS))
        lines = [(self._file.uri, str(error.get("message"))[:200]) for error in job.errors or ()]
        refused = [
            ((row["refused"] or "")[:200], sql.CHECKS[row["wrong"]].message((row["cell"] or "")[:200]))
            for row in rows
        ]
        return [*refused, *lines][:MAX_REJECTIONS]

    def _chunks(self, load: Load) -> Iterator[tuple[StagedProducts, tuple[datetime, datetime]]]:
        """The rows that are still to be merged, some months at a time."""
        months = self._runner.run(sql.count_by_month(self._new_rows_table(load)))
        while months:
            count = 1
            while (
                count < len(months)
                and sum(month["products"] for month in months[: count + 1]) <= MAX_CHUNK_ROWS
                and (
                    _month_number(months[count]["month"]) - _month_number(months[0]["month"])
                    < MAX_CHUNK_MONTHS
                )
            ):
                count += 1
            taken, months = months[:count], months[count:]
            first, end = taken[0]["month"], _next_month(taken[-1]["month"])
            text, values = sql.select_rows(self._new_rows_table(load), first, end)
            has_bounds = not any(month["without_day"] for month in taken)
            yield (
                StagedProducts(
                    text,
                    values,
                    sum(month["products"] for month in taken),
                    min(month["earliest"] for month in taken) - SENSING_MARGIN if has_bounds else None,
                    max(month["latest"] for month in taken) + SENSING_MARGIN if has_bounds else None,
                ),
                (first, end),
            )

    # ---- parts

    def _has_rows(self) -> bool:
        """Whether the catalog has products of this source; a catalog that was created again has none."""
        return any(
            row["source"] == self._spec and row["products"]
            for row in self._runner.run(freshness(self._runner.tables))
        )

    def _new_rows_table(self, load: Load) -> str:
        return self._runner.quote_table(f"{_staging_table(load)}_parsed")

    def _drop_tables(self, load: Load) -> None:
        with self._runner.translate_errors():
            for table in (_staging_table(load), f"{_staging_table(load)}_parsed"):
                self._runner.client.delete_table(f"{self._runner.dataset}.{table}", not_found_ok=True)


def _staging_table(load: Load) -> str:
    return f"staging_{load.job}"


def _count_bad_lines(job: Any) -> int:
    # The client has no property for it.
    return int(job._properties.get("statistics", {}).get("load", {}).get("badRecords", 0))


def _month_number(month: datetime) -> int:
    return month.year * 12 + month.month


def _next_month(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
