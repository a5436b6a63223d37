"""Finding damage in the catalog's files, and mending it: the log from the index and the twins, the index from the log."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from revisit.adapters.local.catalog_index import Index, checksum
from revisit.adapters.local.catalog_manifest import SUFFIX, TWIN, Damaged, Log, read, stored_schema
from revisit.adapters.local.catalog_segment import FACTS, Part
from revisit.adapters.local.segment_files import Span, covering, named

if TYPE_CHECKING:
    import pyarrow as pa


def check(log: Log, index: Index) -> list[str]:
    """One sentence for each file that is missing or damaged."""
    damaged = [fault for segment in covering(named(log.folder, SUFFIX)) if (fault := _fault(segment))]
    missing = [f"the catalog's log in {log.folder} lacks the rows from {first} to {end}; run `revisit doctor --rebuild`" for first, end in _missing(log, index, [])]
    return damaged + missing + [fault for part in index.parts() if (fault := _part_fault(part))]


def rebuild(log: Log, index: Index, aside: Path) -> int:
    """Mend the log and make the index again; only for the holder of the writers' lock.

    Args:
        aside: A folder for files that cannot be read.

    Returns:
        How many rows were lost.
    """
    bad = [segment for segment in named(log.folder, SUFFIX) if _fault(segment)]
    saved = [(first, end, _saved(log, index, first, end)) for first, end in _missing(log, index, bad)]
    for segment in bad:
        aside.mkdir(exist_ok=True)
        segment.path.replace(aside / segment.path.name)
    for first, end, rows in saved:
        log.restore(first, end, rows)
    index.discard()
    index.cover(log, whole=True)
    return sum(end - first - rows.num_rows for first, end, rows in saved)


def _missing(log: Log, index: Index, bad: list[Span]) -> list[tuple[int, int]]:
    """Stretches of the log that no good file holds, as far as any file knows of."""
    spans = [segment for segment in named(log.folder, SUFFIX) if segment not in bad]
    ends = [span.end for span in (*named(log.folder, SUFFIX), *named(log.folder, TWIN), *index.parts())]
    at, missing = 0, []
    for segment in sorted(spans):
        if segment.first > at:
            missing.append((at, segment.first))
        at = max(at, segment.end)
    if at < max(ends, default=0):
        missing.append((at, max(ends)))
    return missing


def _saved(log: Log, index: Index, first: int, end: int) -> "pa.Table":
    """Rows of a stretch from the twins and the parts that are sound, by position."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = [rows for twin in named(log.folder, TWIN) if not _fault(twin) for rows in read(twin, first, end)]
    for span in index.parts():
        if span.first < end and span.end > first and not _part_fault(span):
            found += [rows.filter(pc.and_(pc.greater_equal(rows["position"], first), pc.less(rows["position"], end)))
                      for rows in Part.load(span.path).batches()]
    rows = pa.concat_tables([stored_schema().empty_table(), *found]).sort_by("position").combine_chunks()
    place = rows["position"]
    return rows.filter(pc.not_equal(place, pa.chunked_array([[-1], place.slice(0, len(rows) - 1).combine_chunks()]))) if len(rows) else rows


def _fault(segment: Span) -> str:
    try:
        for _ in read(segment, segment.first, segment.end):
            pass
    except Damaged as damaged:
        return str(damaged)
    except FileNotFoundError:
        return f"{segment.path} vanished while it was read"
    return ""


def _part_fault(part: Span) -> str:
    try:
        sums = json.loads((part.path / FACTS).read_text())["sums"]
        wrong = [name for name, stated in sums.items() if checksum(part.path / name) != stated]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"the catalog's index {part.path} is damaged ({str(error).splitlines()[0]}); run `revisit doctor --rebuild` to make it again"
    return f"{', '.join(wrong)} of the catalog's index {part.path} is damaged; run `revisit doctor --rebuild` to make it again" if wrong else ""
