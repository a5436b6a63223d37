"""Files, or folders of files, that are named by the rows of the catalog's log which they cover:
`<first>-<end><suffix>`.

Several small ones are replaced by one that covers the same rows: it appears by a rename, and from then on
those it covers
do not count, whether or not they are still there. So a reader needs no list of what is valid but the folder's
own.
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
    """One file and the rows it covers."""

    first: int
    end: int
    """One after the last row."""
    path: Path

    @property
    def rows(self) -> int:
        return self.end - self.first


def segment_file(folder: Path, first: int, end: int, suffix: str) -> SegmentFile:
    """The file that covers these rows, there or not."""
    return SegmentFile(first, end, folder / f"{first:012d}-{end:012d}{suffix}")


def list_names(folder: Path) -> list[str]:
    """Names in the folder, which need not be there: as long as they stay the same, so do the files."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - asked at every search, where making paths would cost more than the search
    except FileNotFoundError:
        return []


def list_segments(folder: Path, suffix: str) -> list[SegmentFile]:
    """All files of one kind, those covered by others too."""
    found = (_NAME_PATTERN.fullmatch(name) for name in list_names(folder))
    return sorted(
        SegmentFile(int(match[1]), int(match[2]), folder / match[0])
        for match in found
        if match and match[3] == suffix
    )


def select_covering(files: Iterable[SegmentFile]) -> list[SegmentFile]:
    """The fewest of them that cover the rows from 0 on without a gap, in order."""
    longest: dict[int, SegmentFile] = {}
    for candidate in files:
        if candidate.end > longest.get(candidate.first, candidate).end or candidate.first not in longest:
            longest[candidate.first] = candidate
    chosen: list[SegmentFile] = []
    while (following := longest.get(chosen[-1].end if chosen else 0)) and following.rows > 0:
        chosen.append(following)
    return chosen


def segments_after_gap(files: Iterable[SegmentFile]) -> list[SegmentFile]:
    """Files that begin where nothing before them ends."""
    files = list(files)
    chosen = select_covering(files)
    return [other for other in files if other.first > (chosen[-1].end if chosen else 0)]


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Make a file, or a folder of files, that is there whole or not at all, and stays after a power cut.

    Args:
        write: Is given the path to write to.
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
    """Remove what a crash left unfinished, and files whose rows others cover; only for the holder of the
    writers' lock."""
    for left in folder.glob(f".*{_TEMPORARY_SUFFIX}"):
        remove(left)
    spans = list_segments(folder, suffix)
    kept = select_covering(spans)
    for old in spans:
        if old not in kept and any(new.first <= old.first and old.end <= new.end for new in kept):
            remove(old.path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            _sync(inner)
    fsync_path(path)
