"""Durable log of the catalog: every product in the order of its addition, in Parquet files.

Everything else is derived from the log. The position of a row is its number in the log, from 0, and never
changes; short files are merged into longer ones. A row that supersedes another names its position in `hides`:
that of the latest version until then, or its own where it is an older version that arrived late.
"""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revisit.adapters.local.segment_files import (
    SegmentFile,
    list_segments,
    remove,
    remove_obsolete,
    segment_file,
    segments_after_gap,
    select_covering,
    write_atomically,
)
from revisit.errors import PermanentError, TransientError
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX = ".parquet"
COPY_SUFFIX = ".twin"
"""A second copy of a file until its rows are indexed, so that one damaged file loses nothing."""
FULL_SEGMENT_ROWS = 1 << 20
"""A file with this many rows is not merged with others."""
ROW_GROUP_ROWS = 1 << 16
"""Rows of a Parquet row group, the smallest unit that is read."""
MAX_SHORT_SEGMENTS = 24
"""Number of short files above which they are merged."""

UTC_COLUMNS = ("sensing_time", "published")


class CatalogDamagedError(PermanentError):
    """A file of the catalog is unreadable."""


class CatalogLog:
    """The log in one folder; writers hold the lock of the catalog."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def segments(self) -> list[SegmentFile]:
        """Its files in order."""
        spans = list_segments(self.folder, SUFFIX)
        chosen = select_covering(spans)
        if segments_after_gap(spans):
            # The listing may fall between the creation of a merged file and the removal of its parts.
            spans = list_segments(self.folder, SUFFIX)
            chosen, lost = select_covering(spans), segments_after_gap(spans)
            if lost:
                end = chosen[-1].end if chosen else 0
                raise CatalogDamagedError(
                    f"the catalog's log in {self.folder} lacks the rows from {end} to {lost[0].first}; "
                    "run `revisit doctor --rebuild` to rebuild the catalog from what is there"
                )
        return chosen

    def end(self) -> int:
        """One after the last position."""
        segments = self.segments()
        return segments[-1].end if segments else 0

    def segments_between(self, first: int, end: int) -> list[SegmentFile]:
        """Files that hold these positions."""
        return [segment for segment in self.segments() if segment.end > first and segment.first < end]

    def append(self, rows: "pa.Table") -> None:
        """Append rows of `stored_schema` durably and atomically.

        Raises:
            TransientError: The disk is full; nothing was added.
            PermanentError: The folder cannot be written.
        """
        position = rows.column("position")
        first, end = position[0].as_py(), position[-1].as_py() + 1
        self._write(segment_file(self.folder, first, end, SUFFIX), [rows])
        # The rows are durable from here on; a full disk costs only the copy.
        with suppress(TransientError):
            self._write(segment_file(self.folder, first, end, COPY_SUFFIX), [rows])

    def read(self, first: int, end: int) -> "Iterator[pa.Table]":
        """Rows at these positions in order, one row group at a time.

        Raises:
            CatalogDamagedError: A file is unreadable.
        """
        for segment in self.segments_between(first, end):
            yield from read_segment(segment, first, end)

    def merge_short_segments(self) -> None:
        """Merge the short files at the end of the log where there are many."""
        segments = self.segments()
        short = len(segments)
        while short and segments[short - 1].rows < FULL_SEGMENT_ROWS:
            short -= 1
        tail = segments[short:]
        if len(tail) > MAX_SHORT_SEGMENTS:
            self._write(
                segment_file(self.folder, tail[0].first, tail[-1].end, SUFFIX),
                (rows for segment in tail for rows in read_segment(segment, segment.first, segment.end)),
            )
        remove_obsolete(self.folder, SUFFIX)

    def remove_copies(self, end: int) -> None:
        """Remove copies of rows before `end`, which are indexed."""
        for twin in list_segments(self.folder, COPY_SUFFIX):
            if twin.end <= end:
                remove(twin.path)

    def restore(self, first: int, end: int, rows: "pa.Table") -> None:
        """Write what was recovered of a damaged or missing range; its positions stay taken."""
        self._write(segment_file(self.folder, first, end, SUFFIX), [rows])

    def _write(self, segment: SegmentFile, tables: "Iterator[pa.Table] | list[pa.Table]") -> None:
        import pyarrow.parquet as pq

        def write(path: Path) -> None:
            # Positions are consecutive, so their deltas take no space; the other columns repeat or are text.
            with pq.ParquetWriter(
                path,
                stored_schema(),
                compression="zstd",
                compression_level=1,
                write_page_checksum=True,
                use_dictionary=[
                    "source",
                    "level",
                    "platform",
                    "tile",
                    "datatake",
                    "baseline",
                    "relative_orbit",
                ],
                column_encoding={"position": "DELTA_BINARY_PACKED"},
            ) as writer:
                for table in tables:
                    writer.write_table(table.cast(stored_schema()), row_group_size=ROW_GROUP_ROWS)

        with translate_write_errors(self.folder):
            write_atomically(segment.path, write)


@contextmanager
def translate_write_errors(folder: Path) -> Iterator[None]:
    """Translate errors of writing below the folder into errors that name a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise TransientError(
                f"the disk of {folder} is full; nothing was added to the catalog, free disk space and try "
                "again"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PermanentError(
                f"the catalog in {folder} cannot be written ({error.strerror}); make the folder writable, "
                "or name another with --data"
            ) from error
        raise


def drop_sensed_before(rows: "pa.Table", cutoffs: Mapping[str, datetime]) -> "pa.Table":
    """Rows of the log without those of a source that were sensed before its cutoff."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for source, moment in cutoffs.items():
        late = pc.greater_equal(
            rows["sensing_time"], pa.scalar(moment.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us"))
        )
        rows = rows.filter(pc.or_(late, pc.not_equal(rows["source"], source)))
    return rows


@cache
def stored_schema() -> "pa.Schema":
    """Columns of the log: those of the catalog, with times in UTC and no time zone, the position of each row
    and the position that it supersedes.
    """
    import pyarrow as pa

    columns = [
        (field.name, pa.timestamp("us") if field.name in UTC_COLUMNS else field.type) for field in SCHEMA
    ]
    return pa.schema([*columns, ("position", pa.int64()), ("hides", pa.int64())])


def read_segment(segment: SegmentFile, first: int, end: int) -> "Iterator[pa.Table]":
    """Rows of one file at these positions.

    Raises:
        CatalogDamagedError: The file is unreadable.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    first, end = max(first, segment.first), min(end, segment.end)
    try:
        with pq.ParquetFile(segment.path, page_checksum_verification=True) as file:
            # A repaired file has fewer rows than positions.
            complete, at = file.metadata.num_rows == segment.rows, segment.first
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if not complete or (at + rows > first and at < end):
                    table: Any = file.read_row_group(group, use_threads=False)
                    place = table["position"]
                    if not complete or at < first or at + rows > end:
                        table = table.filter(pc.and_(pc.greater_equal(place, first), pc.less(place, end)))
                    yield table
                at += rows
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise CatalogDamagedError(
            f"the catalog's file {segment.path} is damaged ({str(error).splitlines()[0]}); "
            "run `revisit doctor --rebuild` to rebuild the catalog"
        ) from error
