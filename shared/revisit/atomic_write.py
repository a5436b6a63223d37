"""Files that outlast a power cut: whole and on disk, or not there."""

import contextlib
import errno
import os
from pathlib import Path

from revisit.errors import PermanentError, TransientError


def fsync_path(path: Path) -> None:
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
        TransientError: The disk is full.
        PermanentError: The folder is missing, read-only, or does not take files of that size.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if part.stat().st_size != len(content):
            raise TransientError(
                f"{target} came out {part.stat().st_size} bytes long instead of {len(content)}; the disk may be full"
            )
        part.replace(target)
        fsync_path(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TransientError(
                f"the disk is full: {target} needs {len(content)} bytes; free some space"
            ) from None
        raise PermanentError(f"{target} cannot be written: {error.strerror or error}") from None
