"""Reads local metadata files: inside their folder, bounded in size."""

import json
import zlib
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
    """The decoded JSON of a file, which may be packed by gzip.

    Raises:
        PermanentError: It is not JSON, or as `read_content`.
    """
    return _decode(_read_unpacked(file), "it")


def read_json_lines(file: Path) -> list[Any]:
    """The decoded JSON of each line (NDJSON, or GeoJSON text sequence of RFC 8142); may be packed by gzip.

    Raises:
        PermanentError: A line is not JSON, or as `read_content`.
    """
    lines = _read_unpacked(file).split(b"\n")
    return [
        _decode(line, f"line {number}")
        for number, each in enumerate(lines, 1)
        if (line := each.strip(b"\x1e \t\r"))
    ]


def _read_unpacked(file: Path) -> bytes:
    """The content in UTF-8; JSON may be in UTF-16 and UTF-32 too, and may begin with a byte order mark."""
    content = _unpack(read_content(file))
    encoding = json.detect_encoding(content)
    try:
        return content if encoding == "utf-8" else content.decode(encoding).encode()
    except UnicodeDecodeError:
        raise PermanentError(f"it breaks off within its {encoding.upper()} text") from None


def _unpack(content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(content, MAX_BYTES + 1)
    except zlib.error as error:
        raise PermanentError(f"it cannot be unpacked: {error}") from None
    if len(unpacked) > MAX_BYTES:
        raise PermanentError(f"unpacked it is larger than {MAX_BYTES // 1_000_000} MB")
    if not unpacker.eof:
        raise PermanentError("it cannot be unpacked: it is cut off")
    return unpacked


def _decode(content: bytes, what: str) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PermanentError(f"{what} is not JSON: {error}") from None
