"""Scale and offset in the own metadata of a local GeoTIFF, as GDAL writes them."""

import mmap
import struct
from contextlib import suppress
from pathlib import Path

from revisit.adapters.sources import strict_xml as xml
from revisit.adapters.sources.radiometry import SILENT, Statement
from revisit.errors import PermanentError
from revisit.tiff_directory import read_tags

_GDAL_METADATA = 42112
"""TIFF tag: XML with an Item for each value (https://gdal.org/en/stable/drivers/raster/gtiff.html)."""


def read_statement(path: str, band: str) -> Statement:
    """What a GeoTIFF states of its band; silent where it is no TIFF or states nothing.

    An offset of 0 is silence too: GDAL writes it beside every scale.

    Args:
        path: Absolute local path.
        band: Name of the band, for messages.

    Raises:
        PermanentError: The values cannot be those of reflectance.
    """
    try:
        with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            tags = read_tags(content) or {}
    except (OSError, ValueError, struct.error):
        return SILENT
    text = b"".join(tags.get(_GDAL_METADATA, ())).rstrip(b"\0 \n")
    stated: dict[str, float] = {}
    with suppress(PermanentError, ValueError):
        for item in xml.parse(text, path).iter("Item") if text else ():
            if item.get("role") in ("scale", "offset") and item.get("sample", "0") == "0":
                stated[item.get("role", "")] = float(item.text or "")
    return Statement.parse(
        band, {key: value for key, value in stated.items() if (key, value) != ("offset", 0)}
    )
