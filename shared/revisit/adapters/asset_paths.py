"""What is alike wherever assets are kept: the form of their paths, and folders for what is unfinished."""

import re
import shutil
import threading
from pathlib import Path

from revisit.adapters.process_identity import gone, this_process
from revisit.errors import BadInput

_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,199}")


def components(path: str) -> list[str]:
    """The parts of an asset's path; none begins with a dot.

    Raises:
        BadInput: It could lead elsewhere.
    """
    parts = path.split("/")
    if not all(_COMPONENT.fullmatch(part) for part in parts):
        raise BadInput(f"{path!r} is not the path of an asset: use letters, digits and . _ + = @ - between single slashes")
    return parts


def workspace(root: Path) -> Path:
    """This thread's folder for unfinished files.

    Raises:
        OSError: The disk is full or failing.
    """
    folder = root / this_process() / str(threading.get_native_id())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def clear_left_overs(root: Path) -> None:
    """Remove what processes that have ended left unfinished."""
    for left in root.iterdir():
        if gone(left.name):
            shutil.rmtree(left, ignore_errors=True)
