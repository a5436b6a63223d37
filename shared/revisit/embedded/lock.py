"""One server per data folder: who holds it, and where it answers."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO

from revisit.errors import Conflict

NAME = "serve.lock"
LOOKS, LOOK_S = 6, 0.05
"""How often and how far apart the lock is asked for: who asks `server_of` has it for a moment too."""


def hold(data: Path) -> IO[str]:
    """Take the folder's lock until the file returned is closed or the process ends; `tell` says where it answers.

    Raises:
        Conflict: Another process serves the folder.
    """
    file = (data / NAME).open("a+")
    for _ in range(LOOKS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_S)
        else:
            file.truncate(0)
            return file
    file.close()
    raise Conflict(f"{data} is being served already at {server_of(data) or 'another address'}; use that, or stop it first")


def tell(lock: IO[str], url: str) -> None:
    """Write down where the holder of the lock answers."""
    lock.write(json.dumps({"pid": os.getpid(), "url": url}))
    lock.flush()


def server_of(data: Path) -> str | None:
    """Address of the server that holds the folder; None if there is none."""
    path = data / NAME
    if not path.exists():
        return None
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return str(json.loads(file.read() or "{}").get("url", "")) or "starting"
        return None
