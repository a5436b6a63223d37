"""Files of a folder that are meant as products and are not read: archives of products."""

import re
import struct
import zlib
from pathlib import Path

_PRODUCT_ARCHIVE = re.compile(
    r"S2[A-Z]_\S+\.(zip|tar|tgz|tbz2?|txz|tzst|tar\.\w+|7z|rar|SAFE\.(gz|bz2|xz|zst))", re.IGNORECASE
)
_PRODUCT_FOLDER = re.compile(rb"(?:\./)?S2[A-Z]_[A-Z0-9_]+\.SAFE/")
"""Start of the path of a product's first file in an archive."""
_ZIP_HEADER = struct.Struct("<4s22xHH")
"""Local file header of a zip: signature, length of the name, length of the extra field."""
_ZIPPED = "a zipped product is not read; unpack it"
_PACKED = "a packed product is not read; unpack it"


def reason_unread(path: Path) -> str | None:
    """Why a file that is evidently meant as a product is not read; None for any other file."""
    name = path.name
    if _PRODUCT_ARCHIVE.fullmatch(name):
        return _ZIPPED if name.lower().endswith(".zip") else _PACKED
    if name.lower().endswith((".tar", ".tgz", ".tar.gz")):
        # A tar archive begins with the path of its first file.
        return _PACKED if _PRODUCT_FOLDER.match(_unpack_start(_read_start(path))) else None
    if name.lower().endswith((".safe", ".zip")):
        start = _read_start(path)
        if start.startswith(b"PK") and (name.lower().endswith(".safe") or _holds_product(start)):
            return _ZIPPED
        if re.fullmatch(r"S2[A-Z]_\S+\.SAFE", name, re.IGNORECASE):
            return "a product is a folder, and this is a file; unpack or copy the product"
    return None


def _read_start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError:
        return b""


def _unpack_start(start: bytes) -> bytes:
    """The start of what gzip has packed; other bytes unchanged."""
    if not start.startswith(b"\x1f\x8b"):
        return start
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(start, 512)
    except zlib.error:
        return b""


def _holds_product(start: bytes) -> bool:
    """Whether the first entry of a zip lies in the folder of a product."""
    if len(start) < _ZIP_HEADER.size:
        return False
    _, length, _ = _ZIP_HEADER.unpack_from(start)
    return _PRODUCT_FOLDER.match(start[_ZIP_HEADER.size : _ZIP_HEADER.size + length]) is not None
