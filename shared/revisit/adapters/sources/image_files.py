"""Image files of a product on disk: a mark of their content, and which are missing, empty or cut off."""

import contextlib
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

IMAGE_SUFFIXES = (".jp2", ".tif", ".tiff")
MAX_NAMED = 5
"""Faulty files of a product that are named; the others are counted."""
MAX_DIRECTORIES = 64
"""Image file directories of a TIFF that are read: an image, its overviews and masks have a dozen."""
_TIFF_ARRAYS = {"offsets": (273, 324), "counts": (279, 325)}
"""Tags of the positions and lengths of strips and tiles (TIFF 6.0, sections 8 and 15)."""
_TIFF_TYPES = {3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True, slots=True)
class FilesState:
    """The state of a product's files at one moment."""

    mark: str
    """Digest of names, sizes and modification times."""
    written: datetime
    """Latest modification of a file."""
    changed: datetime
    """Latest modification of a file or of a folder that holds one."""


def stat_files(paths: Iterable[Path], folders: Iterable[Path] = ()) -> FilesState:
    """The state of files, from one `stat` each; one that is missing counts by its name.

    Args:
        paths: Files.
        folders: Folders that hold files of the product.
    """
    marks, written = [], 0.0
    for path in sorted(paths):
        try:
            status = path.stat()
        except (OSError, ValueError):
            marks.append(path.name)
            continue
        marks.append(f"{path.name}|{status.st_size}|{status.st_mtime_ns}")
        written = max(written, status.st_mtime)
    changed = written
    for folder in folders:
        with contextlib.suppress(OSError):
            changed = max(changed, folder.stat().st_mtime)
    return FilesState(
        sha256("\n".join(marks).encode(errors="replace")).hexdigest()[:20], _time(written), _time(changed)
    )


def safe_files_state(root: Path) -> FilesState:
    """The state of the images and metadata of a SAFE product, without a look at what its metadata names."""
    paths, folders = list(root.glob("*.xml")), [root]
    for granule in root.glob("GRANULE/*"):
        paths += granule.glob("*.xml")
        folders.append(granule)
        for folder, _, names in os.walk(granule / "IMG_DATA"):
            folders.append(Path(folder))
            paths += [Path(folder, name) for name in names if name.endswith(IMAGE_SUFFIXES)]
    return stat_files(paths, folders)


def faults_of(images: Iterable[Path], since: datetime) -> str:
    """Which images are missing, empty or cut off, in words; empty if none is.

    Args:
        images: Those that the metadata names.
        since: Only files that changed later are read for whether they are cut off.
    """
    found = [f"{path.name} {fault}" for path in images if (fault := _fault(path, since))]
    more = len(found) - MAX_NAMED
    return "; ".join(found[:MAX_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _fault(path: Path, since: datetime) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return "is missing"
    if not status.st_size:
        return "is empty"
    return "is cut off" if status.st_mtime > since.timestamp() and is_cut_off(path) else ""


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0.0), 253_402_214_400), UTC)


def is_cut_off(path: Path) -> bool:
    """Whether a JPEG 2000 or TIFF file ends before its content does, by what its own header states.

    A file of another format, or one that cannot be read, is not cut off.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(12)
            if start[4:8] == b"jP  " or start[:4] == b"\xff\x4f\xff\x51":
                return _jpeg_2000_is_cut_off(file, size, start)
            if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
                return any(end > size for end in _tiff_ends(file, start))
    except struct.error:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return False


def _jpeg_2000_is_cut_off(file: BinaryIO, size: int, start: bytes) -> bool:
    """ISO/IEC 15444-1: the boxes of annex I up to the codestream, which ends with the marker EOC."""
    position, end = 0, size
    while start[4:8] == b"jP  ":
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if kind == b"jp2c":
            end = position + length if length else size
            break
        if length < 8:
            return True
        position += length
    if end > size:
        return True
    file.seek(max(end - 2, 0))
    return file.read(2) != b"\xff\xd9"


def _tiff_ends(file: BinaryIO, start: bytes) -> Iterator[int]:
    """Where the directories, strips and tiles of a TIFF or BigTIFF end, in bytes."""
    order, big = ("<" if start[:1] == b"I" else ">"), start[2:4] in (b"+\0", b"\0+")
    pointer, count, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    file.seek(8 if big else 4)
    (position,) = _unpack(file, f"{order}{pointer}")
    for _ in range(MAX_DIRECTORIES):
        if not position:
            return
        file.seek(position)
        (entries,) = _unpack(file, f"{order}{count}")
        read = [_unpack(file, f"{order}{entry}") for _ in range(entries)]
        (position,) = _unpack(file, f"{order}{pointer}")
        yield file.tell()
        tags = {tag: (kind, number, value) for tag, kind, number, value in read}
        arrays = {
            name: _array(file, order, pointer, next((tags[tag] for tag in found if tag in tags), None))
            for name, found in _TIFF_ARRAYS.items()
        }
        yield max(map(sum, zip(arrays["offsets"], arrays["counts"], strict=False)), default=0)


def _array(file: BinaryIO, order: str, pointer: str, field: tuple[int, int, bytes] | None) -> tuple[int, ...]:
    if field is None or field[0] not in _TIFF_TYPES:
        return ()
    kind, number, value = field
    form = f"{order}{number}{_TIFF_TYPES[kind]}"
    if struct.calcsize(form) <= len(value):
        return struct.unpack(form, value[: struct.calcsize(form)])
    file.seek(*struct.unpack(f"{order}{pointer}", value))
    return _unpack(file, form)


def _unpack(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))
