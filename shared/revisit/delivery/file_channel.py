"""The channel of one's own computer: alerts as JSON lines at the end of a file, on disk before they count as
delivered."""

import os
import re
from pathlib import Path

from revisit.atomic_write import fsync_path
from revisit.errors import InvalidInputError


def check_name(name: str) -> str:
    """The name of a channel's file, without folder; the ending .jsonl may be left out.

    Raises:
        InvalidInputError: It would lie elsewhere than among the channels.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InvalidInputError(
            f"{name[:100]!r} is not a file channel's name; use letters, digits, dots, dashes and underscores, such as alerts"
        )
    return name


def append(folder: Path, name: str, line: bytes) -> None:
    """Add one line to FOLDER/NAME[.jsonl], durably; lines of several writers never mix, and one cut short by
    a crash is closed off.

    Raises:
        InvalidInputError: The name is none.
        OSError: The disk is full or not to be written to.
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
            raise OSError(f"{path} took only a part of the line; is the disk full?")
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        fsync_path(folder)
