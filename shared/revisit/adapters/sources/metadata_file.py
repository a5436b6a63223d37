"""Reads local metadata files: inside their folder, bounded in size."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from revisit.errors import NotFoundError, PermanentError, TransientError

MAX_BYTES = 20_000_000
"""Bytes of one file."""


def create_reader(product: Path, root: Path) -> Callable[[str], bytes]:
    """A function that reads files of a product by their relative paths.

    Symbolic links that lead out of `root` are refused.
    """
    resolved = root.resolve()

    def read(path: str) -> bytes:
        file = (product / path).resolve()
        if not file.is_relative_to(resolved):
            raise PermanentError(f"{path} leads out of {root}")
        return read_content(file)

    return read


def read_content(file: Path) -> bytes:
    """The whole content of a file.

    Raises:
        NotFoundError: The file does not exist.
        PermanentError: It cannot be read, or is larger than `MAX_BYTES`.
        TransientError: The disk fails.
    """
    try:
        with file.open("rb") as opened:
            read = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{file.name} is missing") from None
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise PermanentError(f"{file.name} cannot be read: {error.strerror}") from None
    except OSError as error:
        raise TransientError(f"{file} cannot be read: {error.strerror}") from None
    if len(read) > MAX_BYTES:
        raise PermanentError(f"{file.name} is larger than {MAX_BYTES // 1_000_000} MB")
    return read


def read_json(file: Path) -> Any:
    """The decoded JSON of a file.

    Raises:
        PermanentError: It is not JSON, or as `read_content`.
    """
    try:
        return msgspec.json.decode(read_content(file))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PermanentError(f"it is not JSON: {error}") from None
