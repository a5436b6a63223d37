"""Index of the catalog: sorted segments that are derived from the log and rebuilt where they are missing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from revisit.adapters.local.catalog_log import CatalogLog, stored_schema, translate_write_errors
from revisit.adapters.local.catalog_segment import LOOKUPS, METADATA_FILE, ROWS_FILE
from revisit.adapters.local.search_columns import COLUMNS, search_columns
from revisit.adapters.local.segment_files import (
    SegmentFile,
    list_segments,
    remove,
    remove_obsolete,
    segment_file,
    select_covering,
    write_atomically,
)
from revisit.adapters.local.segment_rows import BATCH_ROWS
from revisit.errors import TransientError

SUFFIX = ".part"
MAX_SEGMENTS = 8
"""Number of segments above which small ones are merged."""
SPILL_FOLDER, SORTED_FILE = "spill", "ordered.parquet"
SORT_MEMORY_LIMIT = "1GB"
"""Memory for sorting before DuckDB spills to the disk."""


@dataclass(frozen=True, slots=True)
class CatalogIndex:
    """Segments in one folder; writers hold the lock of the catalog."""

    folder: Path

    def segments(self) -> list[SegmentFile]:
        """Segments in order; they cover the log from its beginning, but not always to its end."""
        return select_covering(list_segments(self.folder, SUFFIX))

    def discard(self) -> None:
        """Remove the index."""
        remove(self.folder)

    def update(self, log: CatalogLog, merge_all: bool = False) -> None:
        """Index the rest of the log, and merge segments where there are many.

        Args:
            merge_all: Whether to merge everything into one segment.
        """
        parts, end = self.segments(), log.end()
        first = done = parts[-1].end if parts else 0
        if merge_all and len(parts) + (end > done) > 1:
            first = 0
        elif len(parts) >= MAX_SEGMENTS:
            # Each segment that stays is at least twice as long as all that follow it together.
            for part in reversed(parts):
                if part.rows >= 2 * (end - part.end):
                    break
                first = part.first
        if first < end:
            part = segment_file(self.folder, first, end, SUFFIX)
            with translate_write_errors(self.folder), _translate_duckdb_errors(self.folder):
                write_atomically(
                    part.path,
                    partial(_build_segment, segments=log.segments_between(first, end), first=first, end=end),
                )
        remove_obsolete(self.folder, SUFFIX)
        log.remove_copies(end)


@contextmanager
def _translate_duckdb_errors(folder: Path) -> Iterator[None]:
    """Translate errors of building the index, which leave the log intact."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise TransientError(
            f"the catalog's index in {folder} cannot be built ({str(error).splitlines()[0]}); no product is "
            "lost, free disk space and try again"
        ) from error


def _build_segment(folder: Path, segments: list[SegmentFile], first: int, end: int) -> None:
    """Write the files of a segment."""
    import duckdb
    import numpy as np
    import pyarrow.parquet as pq

    folder.mkdir()
    rows = {"files": [str(segment.path) for segment in segments], "first": first, "end": end}
    with duckdb.connect(config={"threads": 2}) as engine:
        # ORDER BY is kept all the same.
        engine.execute(
            "set python_enable_replacements=false; set preserve_insertion_order=false; "
            "set enable_progress_bar=false"
        )
        engine.execute(
            f"set memory_limit='{SORT_MEMORY_LIMIT}'; set temp_directory={_quote_path(folder / SPILL_FOLDER)}"
        )
        engine.execute(
            "create temp table hidden as select hides as position from read_parquet($files) "
            "where hides between $first and $end - 1 and position < $end",
            rows,
        )
        facts: dict[str, Any] = {"first": first, "rows": end - first}
        facts["freshness"] = [
            list(found)
            for found in engine.execute(
                "select source, count(*) - count(hides), epoch_us(max(sensing_time)), "
                "epoch_us(max(published)) "
                "from read_parquet($files) where position >= $first and position < $end group by source "
                "order by source",
                rows,
            ).fetchall()
        ]
        facts["sources"] = [source for source, *_ in facts["freshness"]]
        names = ", ".join(stored_schema().names)
        # Superseded rows come first, under no tile. COPY writes to a file while sorting; a result would be
        # held in memory as a whole.
        ordered = folder / SORTED_FILE
        engine.execute(
            f"copy (select {names}, if(position in (from hidden), '', tile) as place, "  # noqa: S608
            "hash(source, id) as ids, hash(source, id, published) as versions from read_parquet($files) "
            "where position >= $first and position < $end order by place, sensing_time) "
            f"to {_quote_path(ordered)} (format parquet, compression lz4, row_group_size 65536)",
            rows,
        )
    with pq.ParquetFile(ordered) as file:
        tables = _write_rows(folder, file.iter_batches(BATCH_ROWS * 256), facts["sources"], first, end)
    remove(ordered)
    facts["rows"] = len(tables["ids"])
    tables["versions"].sort()
    tables["places"] = np.argsort(tables["ids"])
    tables["ids"] = tables["ids"][tables["places"]]
    remove(folder / SPILL_FOLDER)
    for name, array in tables.items():
        array.astype(LOOKUPS[name], copy=False).tofile(folder / name)
    facts["lengths"] = dict.fromkeys(COLUMNS, facts["rows"]) | {
        name: len(array) for name, array in tables.items()
    }
    facts["sums"] = {name: checksum(folder / name) for name in (*COLUMNS, *LOOKUPS, ROWS_FILE)}
    (folder / METADATA_FILE).write_text(json.dumps(facts))


def _quote_path(path: Path) -> str:
    # SET and COPY take no parameters; the path is that of the data folder, which the user chooses.
    return "'" + str(path).replace("'", "''") + "'"


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    from isal.isal_zlib import crc32

    found = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            found = crc32(chunk, found)
    return found


def _write_rows(folder: Path, batches: Any, sources: list[str], first: int, end: int) -> dict[str, Any]:
    """Write rows and columns in sorted order as they arrive; returns the arrays that need another order."""
    from contextlib import ExitStack

    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    ids, versions = np.empty(end - first, np.uint64), np.empty(end - first, np.uint64)
    hides: list[Any] = []
    hiders: list[Any] = []
    tiles: list[bytes] = []
    starts: list[int] = []
    written = 0
    rest = None
    with ExitStack() as stack:
        # zstd halves the size, but decompressing a batch takes ten times as long.
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        sink = stack.enter_context(pa.ipc.new_file(str(folder / ROWS_FILE), stored_schema(), options=options))
        files = {name: stack.enter_context((folder / name).open("wb")) for name in COLUMNS}
        for batch in batches:
            for name, column in search_columns(batch, sources).items():
                column.astype(COLUMNS[name]).tofile(files[name])
            places = batch["place"]
            runs = pc.run_end_encode(places)
            ends = np.asarray(runs.run_ends)
            for tile, start in zip(runs.values.to_pylist(), [0, *ends[:-1].tolist()], strict=True):
                if not tiles or tiles[-1] != tile.encode():
                    tiles.append(tile.encode())
                    starts.append(written + start)
            here = slice(written, written + batch.num_rows)
            ids[here], versions[here] = batch["ids"].to_numpy(), batch["versions"].to_numpy()
            again = pc.fill_null(pc.less(batch["hides"], first), False)
            hides.append(batch["hides"].filter(again).to_numpy(zero_copy_only=False))
            hiders.append(batch["ids"].filter(again).to_numpy())
            written += batch.num_rows
            table = pa.Table.from_batches([batch]).select(stored_schema().names).cast(stored_schema())
            table = pa.concat_tables([rest, table]).combine_chunks() if rest else table
            whole = table.num_rows // BATCH_ROWS * BATCH_ROWS
            sink.write_table(table.slice(0, whole), max_chunksize=BATCH_ROWS)
            rest = table.slice(whole)
        if rest:
            sink.write_table(rest, max_chunksize=BATCH_ROWS)
    return {
        "ids": ids[:written],
        "versions": versions[:written],
        "hides": np.concatenate([*hides, np.empty(0)]),
        "hiders": np.concatenate([*hiders, np.empty(0, np.uint64)]),
        "tiles": np.array(tiles, "S5"),
        "starts": np.array([*starts, written]),
    }
