"""Files that outlast a power cut: whole and on disk, or not there."""

import contextlib
import errno
import os
from pathlib import Path

from revisit.errors import GiveUp, Retry


def carry_to_disk(path: Path) -> None:
    """Make what was written into a file, or what was named in a folder, outlast a power cut.

    Raises:
        OSError: The disk is full or failing.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Put bytes into a file, durably: under another name first, so that no reader meets half of it.

    Raises:
        Retry: The disk is full.
        GiveUp: The folder is missing, read-only, or does not take files of that size.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if part.stat().st_size != len(content):
            raise Retry(f"{target} came out {part.stat().st_size} bytes long instead of {len(content)}; the disk may be full")
        part.replace(target)
        carry_to_disk(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Retry(f"the disk is full: {target} needs {len(content)} bytes; free some space") from None
        raise GiveUp(f"{target} cannot be written: {error.strerror or error}") from None
