"""What makes the catalog's log quick to search: derived from it, and rebuilt from it whenever it is missing or damaged.

A part covers a stretch of the log with three files: a DuckDB table sorted by tile and time, which is only ever read; and
two arrays of 64-bit hashes, sorted: of (source, id), and of (source, id, published). Among n products known, a new one is
taken for known with a chance of n / 2^64: one in 600 billion at thirty million.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revisit.local.catalog_log import Log, stored_schema, writing
from revisit.local.spans import Span, covering, named, span, sweep, write_whole

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

TABLE = ".duckdb"
IDS = ".ids"
VERSIONS = ".versions"
PARTS = 8
"""Parts at most before small ones are joined."""
GROUP_ROWS = 20_480
"""Rows of a row group of the table: what a search for one tile reads at least."""
MEMORY = "1GB"
"""What sorting may use before it goes to the disk."""

_TYPES = {"string": "varchar", "timestamp[us]": "timestamp", "double": "double", "int32": "integer", "int64": "bigint"}


@dataclass(frozen=True, slots=True)
class Index:
    """The parts in one folder; writers hold the catalog's lock."""

    folder: Path

    def parts(self) -> list[Span]:
        """Its parts in order; they cover the log from its beginning, though not to its end."""
        return covering(part for part in named(self.folder, TABLE) if part.beside(IDS).exists() and part.beside(VERSIONS).exists())

    def cover(self, log: Log, whole: bool = False) -> None:
        """Index the rest of the log, and join parts where there are many.

        Args:
            whole: Whether to make all of it one part.
        """
        segments, parts = log.segments(), self.parts()
        end = segments[-1].end if segments else 0
        done = parts[-1].end if parts else 0
        first = done
        if whole and len(parts) + (end > done) > 1:
            first = 0
        elif len(parts) >= PARTS:
            # Each part left is at least twice as long as all that follow it together.
            for part in reversed(parts):
                if part.rows >= 2 * (end - part.end):
                    break
                first = part.first
        if first < end:
            self._build(log, first, end)
        sweep(self.folder, (TABLE, IDS, VERSIONS))

    def _build(self, log: Log, first: int, end: int) -> None:
        part = span(self.folder, first, end, TABLE)
        with writing(self.folder):
            # The table comes last: a part counts once all three are there, and readers look for the table.
            made: dict[str, NDArray[np.uint64]] = {}

            def build(path: Path) -> None:
                made.update(_sorted_table(path, [segment for segment in log.segments() if segment.end > first and segment.first < end],
                                          first, end))

            unfinished = self.folder / f".{part.path.name}.build.tmp"
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished.unlink(missing_ok=True)
            try:
                build(unfinished)
                write_whole(part.beside(IDS), made["ids"].tofile)
                write_whole(part.beside(VERSIONS), made["versions"].tofile)
                write_whole(part.path, partial(_move, unfinished))
            finally:
                unfinished.unlink(missing_ok=True)


def _move(source: Path, to: Path) -> None:
    source.rename(to)


def columns_ddl() -> str:
    """The columns of the log, for DuckDB."""
    return ", ".join(f"{field.name} {_TYPES[str(field.type)]}" for field in stored_schema())


def _sorted_table(path: Path, segments: list[Span], first: int, end: int) -> "dict[str, NDArray[np.uint64]]":
    import duckdb
    import numpy as np

    with duckdb.connect() as engine:
        engine.execute("set threads=2; set python_enable_replacements=false")
        engine.execute(f"set memory_limit='{MEMORY}'; set temp_directory={_quoted(path.with_suffix('.spill.tmp'))}")
        engine.execute(f"attach {_quoted(path)} as part (row_group_size {GROUP_ROWS})")
        engine.execute(f"create table part.products ({columns_ddl()})")
        rows = {"files": [str(segment.path) for segment in segments], "first": first, "end": end}
        hidden = "(select hides from read_parquet($files) where hides is not null and position >= $first and position < $end)"
        names = ", ".join(stored_schema().names)
        chosen = f"select {names} from read_parquet($files) where position >= $first and position < $end and position"  # noqa: S608
        engine.execute(f"insert into part.products {chosen} not in {hidden} order by tile, sensing_time, id", rows)
        engine.execute("create table part.former as select * from part.products limit 0")
        engine.execute(f"insert into part.former {chosen} in {hidden} order by position", rows)
        engine.execute("create table part.freshness as select source, count(*) - count(hides) as rows, max(sensing_time) as sensed, "
                       "max(published) as published from (from part.products union all from part.former) group by source")
        engine.execute("create table part.hides as select hides as position from (from part.products union all from part.former) "
                       "where hides < $first", {"first": first})
        hashes = engine.execute("select hash(source, id) as ids, hash(source, id, published) as versions "
                                "from (from part.products union all from part.former)").fetchnumpy()
        engine.execute("checkpoint part")
    return {name: np.unique(hashes[name]) for name in ("ids", "versions")}


def contains(known: "NDArray[np.uint64]", wanted: "NDArray[np.uint64]") -> "NDArray[np.bool_]":
    """Which of the wanted are among the known, which are sorted."""
    import numpy as np

    if not len(known):
        return np.zeros(len(wanted), bool)
    # In order, neighbours are sought on the same pages.
    order = np.argsort(wanted)
    ascending = wanted[order]
    at = np.searchsorted(known, ascending)
    at[at == len(known)] = 0
    found = np.empty(len(wanted), bool)
    found[order] = known[at] == ascending
    return found


_HASHING = threading.Lock()


@cache
def _hasher() -> Any:
    import duckdb

    engine = duckdb.connect(config={"threads": 1})
    engine.execute("set python_enable_replacements=false; set enable_external_access=false; set lock_configuration=true")
    return engine


def hashes(expression: str, rows: "pa.Table") -> "NDArray[np.uint64]":
    """Hashes of `expression` over rows: DuckDB's, the same as in the parts."""
    with _HASHING:
        _hasher().register("rows", rows)
        try:
            hashed: NDArray[np.uint64] = _hasher().execute(f"select hash({expression}) as h from rows").fetchnumpy()["h"]  # noqa: S608
            return hashed
        finally:
            _hasher().unregister("rows")


def mapped(part: Span, suffix: str) -> "NDArray[np.uint64]":
    """The hashes of one part, on the disk until they are asked for."""
    import numpy as np

    path = part.beside(suffix)
    return np.memmap(path, np.uint64, "r") if path.stat().st_size else np.empty(0, np.uint64)


def attached(parts: Iterable[Span], engine: Any) -> list[str]:
    """Names under which the parts are attached to the engine, to be read only."""
    names = []
    for number, part in enumerate(parts):
        engine.execute(f"attach {_quoted(part.path)} as part_{number} (read_only)")
        names.append(f"part_{number}")
    return names


def _quoted(path: Path) -> str:
    # ATTACH and SET take no parameters; the path is the data folder's, which the user owns.
    return "'" + str(path).replace("'", "''") + "'"
