"""STAC items in a GeoParquet file (stac-geoparquet specification): one row an item."""

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revisit.adapters.sources import metadata_file
from revisit.domain.clock import format_rfc3339
from revisit.errors import PermanentError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

SUFFIXES = (".parquet", ".geoparquet")
MAX_UNPACKED_BYTES = 400_000_000
"""Bytes of a file's columns without compression."""
MAX_ROWS = 50_000
_ITEM_COLUMNS = {"id", "geometry", "assets", "stac_version"}
"""Columns without which a table is something else, such as the points of a survey."""
_MEMBERS = {
    "type",
    "stac_version",
    "stac_extensions",
    "id",
    "geometry",
    "bbox",
    "links",
    "assets",
    "collection",
}
"""Columns that are members of an item; all others are properties."""


def read_items(path: Path, id: str = "") -> list[dict[str, Any]]:
    """The items in a file; none where it is another table.

    Args:
        path: The file.
        id: Only the item of this id; empty means all.

    Raises:
        PermanentError: It is not Parquet, or is too large.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    content = metadata_file.read_content(path)
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        if not set(file.schema_arrow.names) >= _ITEM_COLUMNS:
            return []
        _require_size(file)
        table = file.read()
        if id:
            table = table.filter(pc.equal(table["id"], id))
        return [_item_of(row) for row in table.to_pylist()]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"it is not GeoParquet: {str(error)[:200]}") from None


def _require_size(file: "pq.ParquetFile") -> None:
    groups = range(file.metadata.num_row_groups)
    unpacked = sum(file.metadata.row_group(group).total_byte_size for group in groups)
    if unpacked > MAX_UNPACKED_BYTES or file.metadata.num_rows > MAX_ROWS:
        raise PermanentError(
            f"it has {file.metadata.num_rows:,} rows and {unpacked // 1_000_000:,} MB without compression, "
            f"{MAX_ROWS:,} and {MAX_UNPACKED_BYTES // 1_000_000} MB at most; split it by month"
        )


def _item_of(row: dict[str, Any]) -> dict[str, Any]:
    """The item of a row: its members, and the other columns as properties."""
    item = {name: _plain(row[name]) for name in _MEMBERS & row.keys() if row[name] is not None}
    box = item.get("bbox")
    if isinstance(box, dict):
        item["bbox"] = [box.get(side) for side in ("xmin", "ymin", "xmax", "ymax")]
    return item | {
        "type": "Feature",
        "geometry": _geometry(row["geometry"]),
        "properties": {
            name: _plain(value) for name, value in row.items() if name not in _MEMBERS and value is not None
        },
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it; the members that other rows have, and this one lacks, are left out."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return format_rfc3339(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, date):
        return value.isoformat()
    return value


def _geometry(value: Any) -> Any:
    """GeoJSON of well-known binary; None where it is none, so that the item is judged by its bbox."""
    import shapely
    from shapely.geometry import mapping

    if not isinstance(value, bytes):
        return None
    shape = shapely.from_wkb(value, on_invalid="ignore")
    return None if shape is None else mapping(shapely.force_2d(shape))
