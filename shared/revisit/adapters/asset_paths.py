"""What is alike wherever assets are kept: the form of their paths, and folders for what is unfinished."""

import re
import shutil
import threading
from pathlib import Path

from revisit.adapters.process_identity import has_ended, process_name
from revisit.errors import InvalidInputError

_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,199}")


def split_asset_path(path: str) -> list[str]:
    """The parts of an asset's path; none begins with a dot.

    Raises:
        InvalidInputError: It could lead elsewhere.
    """
    parts = path.split("/")
    if not all(_COMPONENT.fullmatch(part) for part in parts):
        raise InvalidInputError(
            f"{path!r} is not the path of an asset: use letters, digits and . _ + = @ - between single slashes"
        )
    return parts


def workspace(root: Path) -> Path:
    """This thread's folder for unfinished files.

    Raises:
        OSError: The disk is full or failing.
    """
    folder = root / process_name() / str(threading.get_native_id())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def clear_leftovers(root: Path) -> None:
    """Remove what processes that have ended left unfinished."""
    for left in root.iterdir():
        if has_ended(left.name):
            shutil.rmtree(left, ignore_errors=True)
