"""Durable, atomic writes of files: complete and on disk, or not there."""

import contextlib
import errno
import os
from pathlib import Path

from revisit.errors import PermanentError, TransientError


def fsync_path(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to disk, so that they survive a power failure.

    Raises:
        OSError: The disk is full or failing.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file durably under a temporary name, then rename it, so that no reader sees a part of it.

    Raises:
        TransientError: The disk is full.
        PermanentError: The folder is missing, read-only, or does not accept files of that size.
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
                f"{target} came out {part.stat().st_size} bytes long instead of {len(content)}; the disk may "
                "be full"
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
