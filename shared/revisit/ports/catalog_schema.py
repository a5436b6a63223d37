"""Columns of the catalog, which BigQuery and DuckDB both support, and conversion of products."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pyarrow as pa

from revisit.domain.product import Product

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("level", pa.string()),
        ("platform", pa.string()),
        ("tile", pa.string()),
        ("sensing_time", pa.timestamp("us", tz="UTC")),
        ("datatake", pa.string()),
        ("west", pa.float64()),
        ("south", pa.float64()),
        ("east", pa.float64()),
        ("north", pa.float64()),
        ("cloud_cover", pa.float64()),
        ("relative_orbit", pa.int32()),
        ("baseline", pa.string()),
        ("published", pa.timestamp("us", tz="UTC")),
        ("size", pa.int64()),
        ("href", pa.string()),
        ("footprint", pa.string()),
    ]
)
"""One row per product; `footprint` is GeoJSON text or null."""


def to_table(products: Iterable[Product]) -> pa.Table:
    """Products as rows."""
    rows = [{name: _to_cell(getattr(product, name)) for name in SCHEMA.names} for product in products]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def from_row(row: dict[str, Any]) -> Product:
    """One row as a product; columns that are not its fields are ignored."""
    cells = {name: row[name] for name in SCHEMA.names}
    cells["footprint"] = msgspec.json.decode(row["footprint"]) if row["footprint"] else None
    return Product(**cells)


def _to_cell(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else value
