"""The tags of the first directory of a TIFF (TIFF 6.0, Adobe 1992; BigTIFF)."""

import mmap
import struct
from typing import Any

_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 12: 8, 16: 8}
_TYPE_CODES = {1: "B", 2: "c", 3: "H", 4: "I", 12: "d", 16: "Q"}
_MAX_TAGS = 200
"""A directory that claims more is taken for garbage."""


def read_tags(head: bytes | bytearray | mmap.mmap) -> dict[int, tuple[Any, ...]] | None:
    """Values by tag; None if it is no little-endian TIFF or BigTIFF.

    Args:
        head: The whole file or its first bytes; tags of unknown types, or longer than it, are left out.

    Raises:
        struct.error: The directory, or a value, lies beyond `head`.
    """
    if head[:4] == b"II*\0":
        pointer, count_format, entry_format, entry_size, inline_size = "<I", "<H", "<HHI", 12, 4
        (directory,) = struct.unpack_from("<I", head, 4)
    elif head[:8] == b"II+\0\x08\0\0\0":
        pointer, count_format, entry_format, entry_size, inline_size = "<Q", "<Q", "<HHQ", 20, 8
        (directory,) = struct.unpack_from("<Q", head, 8)
    else:
        return None
    (count,) = struct.unpack_from(count_format, head, directory)
    if count > _MAX_TAGS:
        return None
    tags: dict[int, tuple[Any, ...]] = {}
    first = directory + struct.calcsize(count_format)
    for entry in range(first, first + count * entry_size, entry_size):
        tag, kind, length = struct.unpack_from(entry_format, head, entry)
        if kind not in _TYPE_SIZES or length > len(head):
            continue
        position = entry + struct.calcsize(entry_format)
        if length * _TYPE_SIZES[kind] > inline_size:
            (position,) = struct.unpack_from(pointer, head, position)
        tags[tag] = struct.unpack_from(f"<{length}{_TYPE_CODES[kind]}", head, position)
    return tags
