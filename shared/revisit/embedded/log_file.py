"""The suite's log: one JSON line for each event handled, in a file of the data folder that all its processes
share."""

import logging
from pathlib import Path

from revisit.runtime import configure_logging

LOG_FILE = "revisit.log"
MAX_LOG_BYTES = 20 * 2**20
"""Bytes; a longer one is put aside at the next start, and the one put aside before it is dropped."""


def configure_log_file(data: Path, level: int = logging.INFO, rotate: bool = False) -> None:
    """Send this process's log to the folder's file; lines are appended whole.

    Args:
        fresh: Whether this is the start of the suite, the one moment to put a long log aside.
    """
    path = data / LOG_FILE
    if rotate and path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    configure_logging(path.open("a", buffering=1), level)
