"""Paths of assets and folders for unfinished files, shared by all stores of assets."""

import re
import shutil
import threading
from pathlib import Path

from revisit.adapters.process_identity import has_ended, process_name
from revisit.errors import InvalidInputError

_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,199}")


def split_asset_path(path: str) -> list[str]:
    """The components of an asset's path; none begins with a dot.

    Raises:
        InvalidInputError: The path could lead outside the store.
    """
    parts = path.split("/")
    if not all(_COMPONENT.fullmatch(part) for part in parts):
        raise InvalidInputError(
            f"{path!r} is not the path of an asset: use letters, digits and . _ + = @ - between single "
            "slashes"
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
    """Remove the unfinished files of processes that have ended."""
    for folder in root.iterdir():
        if has_ended(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
