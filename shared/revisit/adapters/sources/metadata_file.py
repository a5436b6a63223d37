"""Metadata files on this computer: within the folder they belong to, bounded in size."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from revisit.errors import GiveUp, NotFound, Retry

MAX_BYTES = 20_000_000
"""Of one."""


def reader(product: Path, root: Path) -> Callable[[str], bytes]:
    """Reads files of a product by their path in it; none that lies outside `root`, whatever links are there."""
    resolved = root.resolve()

    def read(path: str) -> bytes:
        file = (product / path).resolve()
        if not file.is_relative_to(resolved):
            raise GiveUp(f"{path} leads out of {root}")
        return content(file)

    return read


def content(file: Path) -> bytes:
    """The whole file.

    Raises:
        NotFound: There is none.
        GiveUp: It may not be read, or is too large.
        Retry: Its disk fails.
    """
    try:
        with file.open("rb") as opened:
            read = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"{file.name} is missing") from None
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise GiveUp(f"{file.name} cannot be read: {error.strerror}") from None
    except OSError as error:
        raise Retry(f"{file} cannot be read: {error.strerror}") from None
    if len(read) > MAX_BYTES:
        raise GiveUp(f"{file.name} is larger than {MAX_BYTES // 1_000_000} MB")
    return read


def json(file: Path) -> Any:
    """The file's JSON.

    Raises:
        GiveUp: It holds none, or as `content`.
    """
    try:
        return msgspec.json.decode(content(file))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GiveUp(f"it is not JSON: {error}") from None
