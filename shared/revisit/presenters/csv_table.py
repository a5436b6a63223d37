"""Tables of the API and the command line as CSV: their columns and their text."""

from collections.abc import Sequence
from typing import Any

OBSERVATION_COLUMNS = (
    "datetime",
    "acquisition",
    "count",
    "mean",
    "std",
    "min",
    "max",
    "median",
    "clear_fraction",
    "coverage",
    "job",
    "clear_of_aoi",
    "mask",
    "level",
    "product",
    "parts",
    "baseline",
    "platform",
    "relative_orbit",
    "tiles",
    "reflectance",
)
"""Columns of a series as CSV; new ones are added at the end."""


PRODUCT_COLUMNS = (
    "product",
    "acquisition",
    "tile",
    "level",
    "platform",
    "datetime",
    "cloud_cover",
    "baseline",
    "relative_orbit",
    "published",
    "source",
    "sources",
)
"""Columns of a search as CSV."""


def to_csv(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV with a header (RFC 4180), lists joined by spaces. An apostrophe protects a text that a
    spreadsheet would run as a formula."""
    import csv
    from io import StringIO

    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_escape_formula(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def _escape_formula(value: Any) -> Any:
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
