"""File channel: appends alerts as JSON lines to a local file, durably."""

import os
import re
from pathlib import Path

from revisit.atomic_write import fsync_path
from revisit.errors import InvalidInputError


def check_name(name: str) -> str:
    """Validate the name of a channel's file, without folder; the suffix .jsonl is optional.

    Raises:
        InvalidInputError: The name is not a plain file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InvalidInputError(
            f"{name[:100]!r} is not a file channel's name; "
            "use letters, digits, dots, dashes and underscores, such as alerts"
        )
    return name


def append(folder: Path, name: str, line: bytes) -> None:
    """Append one line to FOLDER/NAME.jsonl and sync it to disk.

    Lines of concurrent writers never mix, and a line that a crash cut short is terminated.

    Args:
        folder: Folder of the channels; created if missing.
        name: As for `check_name`.
        line: JSON without a line end.

    Raises:
        InvalidInputError: The name is invalid.
        OSError: The disk is full or not writable.
    """
    path = folder / f"{check_name(name).removesuffix('.jsonl')}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(handle).st_size
        torn = size and os.pread(handle, 1, size - 1) != b"\n"
        text = (b"\n" if torn else b"") + line + b"\n"
        if os.write(handle, text) != len(text):
            raise OSError(f"only a part of the line was written to {path}; check whether the disk is full")
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        fsync_path(folder)
