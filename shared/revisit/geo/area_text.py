"""Text of an area from the bytes of a file; files of other formats are named by their first bytes."""

import codecs
import re

from revisit.errors import InvalidGeometryError

_REMEDY = "convert it to GeoJSON, for example in QGIS or with ogr2ogr"
_SIGNATURES = (
    (b"SQLite format 3\0", "a GeoPackage or another SQLite database"),
    (b"fgb", "FlatGeobuf"),
    (b"\x00\x00\x27\x0a", "a shapefile (.shp)"),
    (b"PAR1", "Parquet"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
)
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Marks of byte order, the longer ones first."""
_XML = (
    ("<kml", "KML"),
    ("<gpx", "GPX"),
    ("<gml", "GML"),
    (":featurecollection", "GML"),
    ("<html", "a web page"),
)


def decode_text(content: bytes) -> str:
    """The text of a file in UTF-8, UTF-16 or UTF-32, with or without a mark of byte order.

    Raises:
        InvalidGeometryError: It is no text.
    """
    require_text_format(content)
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "")
    if not encoding and len(content) > 3 and 0 in content[:2]:
        # GeoJSON and WKT begin with an ASCII character.
        encoding = "utf-16-be" if content[0] == 0 else "utf-16-le"
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding:
            raise InvalidGeometryError(
                f"the AOI's file breaks off within its {encoding.upper()} text"
            ) from None
        # Letters of an older encoding are in names, which an area does not need.
        text = content.decode(errors="replace")
    return require_text(text)


def require_text_format(content: bytes) -> None:
    """Refuse a file whose first bytes are those of another format.

    Raises:
        InvalidGeometryError: It is one, named with what to do.
    """
    if content.startswith(b"PK\x03\x04"):
        what = "a zip file"
        if re.search(rb"\.kml", content[:1024], re.IGNORECASE):
            what = "a KMZ (zipped KML)"
        elif re.search(rb"\.(shp|dbf|prj|shx)", content[:1024], re.IGNORECASE):
            what = "a zipped shapefile"
        raise InvalidGeometryError(f"the AOI's file is {what}; {_REMEDY}, or open it on the page")
    for start, what in _SIGNATURES:
        if content.startswith(start):
            raise InvalidGeometryError(f"the AOI's file is {what}; {_REMEDY}")


def require_text(text: str) -> str:
    """A text without the mark of byte order, unless it is XML or binary.

    Raises:
        InvalidGeometryError: It is.
    """
    text = text.removeprefix("\ufeff")
    start = text[:2000].lstrip().lower()
    if start.startswith("<"):
        what = next((name for tag, name in _XML if tag in start), "XML")
        raise InvalidGeometryError(f"the AOI's file is {what}; {_REMEDY}, or open KML on the page")
    if re.search(r"[\x00-\x08\x0e-\x1f]", start):
        raise InvalidGeometryError(f"the AOI's file is binary, no GeoJSON or WKT; {_REMEDY}")
    return text
