"""Check and repair of the catalog: the log from the index and the copies, the index from the log."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from revisit.adapters.local.catalog_index import CatalogIndex, checksum
from revisit.adapters.local.catalog_log import (
    COPY_SUFFIX,
    SUFFIX,
    CatalogDamagedError,
    CatalogLog,
    read_segment,
    stored_schema,
)
from revisit.adapters.local.catalog_segment import METADATA_FILE, IndexSegment
from revisit.adapters.local.segment_files import SegmentFile, list_segments, select_covering

if TYPE_CHECKING:
    import pyarrow as pa


def check_files(log: CatalogLog, index: CatalogIndex) -> list[str]:
    """One sentence for each missing or damaged file."""
    damaged = [
        fault
        for segment in select_covering(list_segments(log.folder, SUFFIX))
        if (fault := _log_segment_fault(segment))
    ]
    missing = [
        f"the catalog's log in {log.folder} lacks the rows from {first} to {end}; run `revisit doctor "
        "--rebuild`"
        for first, end in _missing_ranges(log, index, [])
    ]
    return damaged + missing + [fault for part in index.segments() if (fault := _index_segment_fault(part))]


def rebuild_catalog(log: CatalogLog, index: CatalogIndex, quarantine: Path) -> int:
    """Repair the log and rebuild the index; only for the holder of the write lock.

    Args:
        quarantine: Folder for unreadable files.

    Returns:
        Number of rows lost.
    """
    bad = [segment for segment in list_segments(log.folder, SUFFIX) if _log_segment_fault(segment)]
    saved = [
        (first, end, _recover_rows(log, index, first, end)) for first, end in _missing_ranges(log, index, bad)
    ]
    for segment in bad:
        quarantine.mkdir(exist_ok=True)
        segment.path.replace(quarantine / segment.path.name)
    for first, end, rows in saved:
        log.restore(first, end, rows)
    index.discard()
    index.update(log, merge_all=True)
    return sum(end - first - rows.num_rows for first, end, rows in saved)


def _missing_ranges(
    log: CatalogLog, index: CatalogIndex, damaged: list[SegmentFile]
) -> list[tuple[int, int]]:
    """Ranges of the log that no readable file holds, up to the last position that any file names."""
    spans = [segment for segment in list_segments(log.folder, SUFFIX) if segment not in damaged]
    ends = [
        span.end
        for span in (
            *list_segments(log.folder, SUFFIX),
            *list_segments(log.folder, COPY_SUFFIX),
            *index.segments(),
        )
    ]
    at, missing = 0, []
    for segment in sorted(spans):
        if segment.first > at:
            missing.append((at, segment.first))
        at = max(at, segment.end)
    if at < max(ends, default=0):
        missing.append((at, max(ends)))
    return missing


def _recover_rows(log: CatalogLog, index: CatalogIndex, first: int, end: int) -> "pa.Table":
    """Rows of a range from the intact copies and segments, by position."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = [
        rows
        for twin in list_segments(log.folder, COPY_SUFFIX)
        if not _log_segment_fault(twin)
        for rows in read_segment(twin, first, end)
    ]
    for span in index.segments():
        if span.first < end and span.end > first and not _index_segment_fault(span):
            found += [
                rows.filter(
                    pc.and_(pc.greater_equal(rows["position"], first), pc.less(rows["position"], end))
                )
                for rows in IndexSegment.load(span.path).batches()
            ]
    rows = pa.concat_tables([stored_schema().empty_table(), *found]).sort_by("position").combine_chunks()
    place = rows["position"]
    return (
        rows.filter(
            pc.not_equal(place, pa.chunked_array([[-1], place.slice(0, len(rows) - 1).combine_chunks()]))
        )
        if len(rows)
        else rows
    )


def _log_segment_fault(segment: SegmentFile) -> str:
    try:
        for _ in read_segment(segment, segment.first, segment.end):
            pass
    except CatalogDamagedError as damaged:
        return str(damaged)
    except FileNotFoundError:
        return f"{segment.path} disappeared while it was read"
    return ""


def _index_segment_fault(segment: SegmentFile) -> str:
    try:
        sums = json.loads((segment.path / METADATA_FILE).read_text())["sums"]
        wrong = [name for name, stated in sums.items() if checksum(segment.path / name) != stated]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return (
            f"the catalog's index {segment.path} is damaged ({str(error).splitlines()[0]}); "
            "run `revisit doctor --rebuild` to rebuild it"
        )
    return (
        f"{', '.join(wrong)} of the catalog's index {segment.path} is damaged; run `revisit doctor "
        "--rebuild` to rebuild it"
        if wrong
        else ""
    )
