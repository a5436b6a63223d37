"""The log file of a data folder, with one JSON line per handled event, shared by all processes."""

import logging
from pathlib import Path

from revisit.runtime import configure_logging

LOG_FILE = "revisit.log"
MAX_LOG_BYTES = 20 * 2**20
"""Size in bytes above which the log is rotated at the next start; one old log is kept."""


def configure_log_file(data: Path, level: int = logging.INFO, rotate: bool = False) -> None:
    """Write this process's log to the folder's file; lines are appended whole.

    Args:
        data: The data folder.
        level: Minimum level.
        rotate: Whether to rotate a long log; set at the start of the server.
    """
    path = data / LOG_FILE
    if rotate and path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    configure_logging(path.open("a", buffering=1), level)
