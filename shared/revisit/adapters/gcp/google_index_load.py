"""An index of Google's, loaded by BigQuery itself from its bucket, judged there, and taken in month by month: no row passes through here.

What takes longer than a function may run goes on without it, and is taken up at the next listing: the state names the load, and the table
of what the catalog lacked shrinks by what has been taken in. What was begun is finished before a newer index is looked at.
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
from revisit.adapters.gcp.bigquery_client import LABELS, Asker
from revisit.adapters.gcp.catalog_sql import freshness, staging
from revisit.adapters.gcp.google_index_object import IndexObject
from revisit.adapters.gcp.month_partitions import MARGIN
from revisit.adapters.gcp.settings import Settings
from revisit.adapters.sources.batches import KEPT
from revisit.adapters.sources.google_index_rows import west_east
from revisit.errors import GiveUp, Retry
from revisit.ports.catalog import Staged
from revisit.ports.sources import Listing

INDEX_BYTES = 60 * 10**9
"""What comparing a whole index with the catalog may read: at 40 million rows some 16 GB of the index and 5 GB of ids."""
BAD_LINES = KEPT
"""Lines that are no rows: so many are passed over, as the other routes do; more, and it is another file than we think."""
WAIT_S = 30.0
"""A load that takes longer is left to itself until the next listing: packed text of some gigabytes takes minutes."""
BUDGET_S = 200.0
"""Nothing further is begun later than this, so that two indices, and announcing, fit into a function's 540 s."""
PARSE_S = 240.0
CHUNK_ROWS = 1_000_000
CHUNK_MONTHS = 12
"""Rows and months taken in by one transaction, but for a month that has more."""
TRANSIENT = frozenset(("backendError", "internalError", "jobBackendError", "jobInternalError", "rateLimitExceeded", "quotaExceeded", "stopped", "timeout"))


@dataclass(frozen=True, slots=True)
class Load:
    """One load of an index, as the state keeps it."""

    job: str
    """Id of BigQuery's job, and of the tables that belong to it."""
    generation: str
    columns: tuple[str, ...]
    rows: int | None = None
    """Products it has; None until it has been compared with the catalog."""
    rejections: int = 0


class BigQueryIndex:
    """The listing of one index."""

    def __init__(self, settings: Settings, file: IndexObject, spec: str, root: str) -> None:
        """
        Args:
            spec: Of the source, which stands with each product.
            root: What stands before a product's path in the bucket, ending in a slash.
        """
        self._asker = Asker(settings)
        self._file, self._spec, self._root = file, spec, root

    def batches(self, state: dict[str, Any], listing: Listing, now: datetime) -> Iterator[Staged]:
        """What is new, by months, counted into `listing`; its state is right once all is taken in, or left for the next listing."""
        until = time.monotonic() + BUDGET_S
        load = self._left(state)
        if load is None:
            generation = self._file.generation()
            if generation == state.get("mark") and self._has_rows():
                listing.unchanged = True
                return
            load = Load(self._name(generation, now), generation, tuple(self._file.columns(generation)))
        listing.unfinished, listing.state = True, {**state, "load": asdict(load)}
        job = self._job(load)
        if not self._done(job, load):
            return
        if load.rows is None:
            load = self._compared(load, _bad_lines(job), state)
            listing.state = {**state, "load": asdict(load)}
        listing.rows, listing.rejections, listing.rejected = load.rows or 0, load.rejections, self._rejected(load, job)
        for chunk, (first, end) in self._chunks(load):
            if time.monotonic() > until:
                return
            yield chunk
            self._asker.transact(sql.taken(self._fresh(load), first, end))
        self._let_go(load)
        listing.unfinished, listing.state = False, {"mark": load.generation, "rows": load.rows}

    # ---------------------------------------------------------------------------------------------------------------- loading

    def _left(self, state: dict[str, Any]) -> Load | None:
        """The load that the listing before left, if it is still of use."""
        if "load" not in state:
            return None
        load = Load(**{**state["load"], "columns": tuple(state["load"]["columns"])})
        with self._asker.asking():
            try:
                job = self._asker.client.get_job(load.job)
                self._asker.client.get_table(f"{self._asker.dataset}.{_raw(load)}")
                if load.rows is not None:
                    self._asker.client.get_table(f"{self._asker.dataset}.{_raw(load)}_new")
            except exceptions.NotFound:
                return None
        return None if job.error_result else load

    def _name(self, generation: str, now: datetime) -> str:
        """The same for whoever lists this generation at this minute: a tick that is delivered twice loads once."""
        what = f"{self._asker.dataset} {self._spec} {generation} {now:%Y-%m-%dT%H:%M}"
        return f"revisit_index_{hashlib.sha256(what.encode()).hexdigest()[:24]}"

    def _job(self, load: Load) -> Any:
        """The load job, begun if it is not there."""
        with self._asker.asking():
            try:
                return self._asker.client.get_job(load.job)
            except exceptions.NotFound:
                pass
        self._asker.ask(staging(self._asker.named(_raw(load)), ((name, "STRING") for name in load.columns)))
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.CSV, schema=[bigquery.SchemaField(name, "STRING") for name in load.columns], skip_leading_rows=1,
            allow_quoted_newlines=True, max_bad_records=BAD_LINES, write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE, labels=LABELS)
        with self._asker.asking():
            try:
                return self._asker.client.load_table_from_uri(self._file.uri, f"{self._asker.dataset}.{_raw(load)}", job_id=load.job, job_config=config)
            except exceptions.Conflict:
                return self._asker.client.get_job(load.job)
            except exceptions.BadRequest as error:
                raise self._refusal(error.message) from error

    def _done(self, job: Any, load: Load) -> bool:
        """Whether it has ended well; looked at for a while."""
        until, pause = time.monotonic() + WAIT_S, 0.5
        with self._asker.asking():
            while not job.done():
                if time.monotonic() > until:
                    return False
                time.sleep(pause)
                pause = min(2 * pause, 5.0)
        if job.error_result:
            self._let_go(load)
            raise self._refusal(job.error_result.get("message"), job.error_result.get("reason"))
        return True

    def _refusal(self, said: Any, reason: Any = "") -> Exception:
        sentence = f"BigQuery cannot load the index {self._file.uri} into {self._asker.dataset}: {str(said)[:300]}"
        return Retry(sentence) if reason in TRANSIENT else GiveUp(sentence)

    # -------------------------------------------------------------------------------------------------------------- comparing

    def _compared(self, load: Load, bad_lines: int, state: dict[str, Any]) -> Load:
        """Have the rows that the catalog lacks judged and put aside."""
        raw, fresh = self._asker.named(_raw(load)), self._fresh(load)
        self._asker.ask(sql.parse(self._asker.tables, raw, fresh, load.columns, self._spec, self._root), INDEX_BYTES, PARSE_S)
        [count] = self._asker.ask(sql.counts(raw, fresh))
        if count["found"] == count["refused"]:
            self._let_go(load)
            before = f", where it had {state['rows']} rows before" if state.get("rows") else ""
            raise GiveUp(f"the index {self._file.uri} lists no product{before}; nothing was changed")
        if tiles := [row["tile"] for row in self._asker.ask(sql.around(fresh))]:
            # A change is counted by the whole table it is made in.
            self._asker.transact(sql.put_right(fresh, {tile: west_east(tile) for tile in tiles}), INDEX_BYTES, PARSE_S)
        return replace(load, rows=count["found"] - count["refused"], rejections=count["refused"] + bad_lines)

    def _rejected(self, load: Load, job: Any) -> list[tuple[str, str]]:
        if not load.rejections:
            return []
        rows = self._asker.ask(sql.refused(self._fresh(load), KEPT))
        lines = [(self._file.uri, str(error.get("message"))[:200]) for error in job.errors or ()]
        refused = [((row["refused"] or "")[:200], sql.CHECKS[row["wrong"]].said((row["cell"] or "")[:200])) for row in rows]
        return [*refused, *lines][:KEPT]

    def _chunks(self, load: Load) -> Iterator[tuple[Staged, tuple[datetime, datetime]]]:
        """What is left to take in, some months at a time."""
        months = self._asker.ask(sql.months(self._fresh(load)))
        while months:
            count = 1
            while count < len(months) and sum(month["products"] for month in months[:count + 1]) <= CHUNK_ROWS and (
                    _number(months[count]["month"]) - _number(months[0]["month"]) < CHUNK_MONTHS):
                count += 1
            taken, months = months[:count], months[count:]
            first, end = taken[0]["month"], _after(taken[-1]["month"])
            text, values = sql.rows_of(self._fresh(load), first, end)
            told = not any(month["untold"] for month in taken)
            yield Staged(text, values, sum(month["products"] for month in taken),
                         min(month["earliest"] for month in taken) - MARGIN if told else None,
                         max(month["latest"] for month in taken) + MARGIN if told else None), (first, end)

    # ------------------------------------------------------------------------------------------------------------------- parts

    def _has_rows(self) -> bool:
        """Whether the catalog still has anything of this source: one that was made anew has to be filled again."""
        return any(row["source"] == self._spec and row["products"] for row in self._asker.ask(freshness(self._asker.tables)))

    def _fresh(self, load: Load) -> str:
        return self._asker.named(f"{_raw(load)}_new")

    def _let_go(self, load: Load) -> None:
        with self._asker.asking():
            for table in (_raw(load), f"{_raw(load)}_new"):
                self._asker.client.delete_table(f"{self._asker.dataset}.{table}", not_found_ok=True)


def _raw(load: Load) -> str:
    return f"staging_{load.job}"


def _bad_lines(job: Any) -> int:
    # The client has no name for it.
    return int(job._properties.get("statistics", {}).get("load", {}).get("badRecords", 0))


def _number(month: datetime) -> int:
    return month.year * 12 + month.month


def _after(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
