"""The lock of a data folder: one server per folder, and its address."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO

from revisit.errors import ConflictError

LOCK_FILE = "serve.lock"
LOCK_ATTEMPTS, LOCK_RETRY_S = 6, 0.05
"""Attempts to take the lock and seconds between them; a call of `server_url` holds it for a moment too."""


def acquire_lock(data: Path) -> IO[str]:
    """Take the folder's lock until the returned file is closed or the process ends; `write_url` records the
    address.

    Raises:
        ConflictError: Another process serves the folder.
    """
    file = (data / LOCK_FILE).open("a+")
    for _ in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_RETRY_S)
        else:
            file.truncate(0)
            return file
    file.close()
    raise ConflictError(
        f"{data} is being served already at {server_url(data) or 'another address'}; use that, or stop it "
        "first"
    )


def write_url(lock: IO[str], url: str) -> None:
    """Record the address of the server that holds the lock."""
    lock.write(json.dumps({"pid": os.getpid(), "url": url}))
    lock.flush()


def server_url(data: Path) -> str | None:
    """Address of the server that holds the folder; None if there is none."""
    path = data / LOCK_FILE
    if not path.exists():
        return None
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return str(json.loads(file.read() or "{}").get("url", "")) or "starting"
        return None
