"""Files or folders named `<first>-<end><suffix>` after the rows of the catalog's log that they cover.

Small ones are replaced by one that covers the same rows. It appears by an atomic rename; from then on the
replaced ones are ignored, whether they still exist or not. So the listing of the folder is the manifest.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from revisit.atomic_write import fsync_path

_NAME_PATTERN = re.compile(r"(\d{12})-(\d{12})(\.\w+)")
_TEMPORARY_SUFFIX = ".tmp"


@dataclass(frozen=True, slots=True, order=True)
class SegmentFile:
    """A file and the rows that it covers."""

    first: int
    end: int
    """One after the last row."""
    path: Path

    @property
    def rows(self) -> int:
        return self.end - self.first


def segment_file(folder: Path, first: int, end: int, suffix: str) -> SegmentFile:
    """The file for these rows, whether it exists or not."""
    return SegmentFile(first, end, folder / f"{first:012d}-{end:012d}{suffix}")


def list_names(folder: Path) -> list[str]:
    """Names in the folder, which may be missing: while they stay the same, so do the files."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - asked at every search, where making paths would cost more than the search
    except FileNotFoundError:
        return []


def list_segments(folder: Path, suffix: str) -> list[SegmentFile]:
    """All files with this suffix, replaced ones included."""
    found = (_NAME_PATTERN.fullmatch(name) for name in list_names(folder))
    return sorted(
        SegmentFile(int(match[1]), int(match[2]), folder / match[0])
        for match in found
        if match and match[3] == suffix
    )


def select_covering(files: Iterable[SegmentFile]) -> list[SegmentFile]:
    """The fewest files that cover the rows from 0 without a gap, in order."""
    longest: dict[int, SegmentFile] = {}
    for candidate in files:
        if candidate.end > longest.get(candidate.first, candidate).end or candidate.first not in longest:
            longest[candidate.first] = candidate
    chosen: list[SegmentFile] = []
    while (following := longest.get(chosen[-1].end if chosen else 0)) and following.rows > 0:
        chosen.append(following)
    return chosen


def segments_after_gap(files: Iterable[SegmentFile]) -> list[SegmentFile]:
    """Files whose first row follows no other file."""
    files = list(files)
    chosen = select_covering(files)
    return [other for other in files if other.first > (chosen[-1].end if chosen else 0)]


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Create a file or a folder of files atomically and durably.

    Args:
        write: Called with the path to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY_SUFFIX}")
    try:
        write(unfinished)
        _sync(unfinished)
        unfinished.replace(path)
        _sync(path.parent)
    finally:
        remove(unfinished)


def remove_obsolete(folder: Path, suffix: str) -> None:
    """Remove unfinished files of a crash and replaced files; only for the holder of the write lock."""
    for left in folder.glob(f".*{_TEMPORARY_SUFFIX}"):
        remove(left)
    spans = list_segments(folder, suffix)
    kept = select_covering(spans)
    for old in spans:
        if old not in kept and any(new.first <= old.first and old.end <= new.end for new in kept):
            remove(old.path)


def remove(path: Path) -> None:
    """Remove a file or a folder if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            _sync(inner)
    fsync_path(path)
