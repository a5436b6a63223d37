"""Parser of the rows of Google's index.csv.gz: whole columns at once, single rows only where one is invalid.

Columns are found by name, all as text. Source: the header of the published files.
"""

import csv
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from revisit.domain.product_name import (
    COMPACT_LENGTH,
    COMPACT_PATTERN,
    DATATAKE_PATTERN,
    OLD_MARK,
    OLD_PATTERN,
)
from revisit.errors import InvalidInputError, PermanentError
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

KEY_COLUMNS = ("PRODUCT_ID", "MGRS_TILE")
"""Columns that a product's id is made of."""
REQUIRED_COLUMNS = (
    *KEY_COLUMNS,
    "DATATAKE_IDENTIFIER",
    "SENSING_TIME",
    "CLOUD_COVER",
    "GENERATION_TIME",
    "NORTH_LAT",
    "SOUTH_LAT",
    "WEST_LON",
    "EAST_LON",
    "BASE_URL",
)
USED_COLUMNS = (*REQUIRED_COLUMNS, "TOTAL_SIZE", "GRANULE_ID")
"""Columns that are read; the last two are optional."""
KNOWN_COLUMNS = frozenset((*USED_COLUMNS, "GEOMETRIC_QUALITY_FLAG"))
"""Columns of the published files; others mean a file of another kind."""

ID_COLUMN = "ID"
"""Column that is added to the rows."""

BUCKET_URI = "gs://gcp-public-data-sentinel-2/"

COMPACT_NAME_PATTERN = f"^{COMPACT_PATTERN}$"
OLD_NAME_PATTERN = f"^{OLD_PATTERN}$"
DATATAKE_ID_PATTERN = f"^{DATATAKE_PATTERN}$"
TILE_PATTERN = r"^T?\d{1,2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]$"
BASE_URL_PATTERN = (
    r"^gs://gcp-public-data-sentinel-2/(L2/)?tiles/\d{1,2}/[C-X]/[A-Z]{2}/[A-Za-z0-9_]+(\.SAFE)?/?$"
)

COORDINATE_COLUMNS = {
    "west": ("WEST_LON", 180),
    "south": ("SOUTH_LAT", 90),
    "east": ("EAST_LON", 180),
    "north": ("NORTH_LAT", 90),
}
"""Column of the catalog -> column of the file, and the largest absolute value in degrees."""

Rejections = list[tuple[str, str]]


def parse_header(line: bytes, location: str) -> list[str]:
    """The names of the columns.

    Args:
        line: First line of the file.
        location: Path or URL of the file, for messages.

    Raises:
        PermanentError: A required column is missing, or one is unknown or repeated.
    """
    names = [name.strip().upper() for name in next(csv.reader([line.decode("utf-8-sig", "replace")]), [])]
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    strange = [name for name in names if name not in KNOWN_COLUMNS]
    if missing or strange or len(set(names)) < len(names):
        faults = [
            f"lacks the columns {', '.join(missing)}" if missing else "",
            f"has unknown ones: {', '.join(strange)[:300]}" if strange else "",
            "names a column twice" if len(set(names)) < len(names) else "",
        ]
        raise PermanentError(
            f"the header of {location} {' and '.join(filter(None, faults))}; "
            "it is not an index that Revisit knows"
        )
    return names


def product_ids(rows: "pa.Table | pa.RecordBatch") -> "pa.Array":
    """Ids of the products: names without .SAFE; an old name covers many tiles, so its tile is appended.

    A column `ID_COLUMN` states them, where `RepeatedTiles` numbered the granules of a tile.
    """
    import pyarrow.compute as pc

    if ID_COLUMN in rows.schema.names:
        return rows[ID_COLUMN]
    names = pc.fill_null(rows["PRODUCT_ID"], "")
    if pc.all(pc.equal(pc.binary_length(names), COMPACT_LENGTH)).as_py():
        return names
    names = pc.replace_substring_regex(names, r"\.SAFE$", "")
    return pc.if_else(
        pc.match_substring(names, OLD_MARK),
        pc.binary_join_element_wise(names, _tile_ids(rows), "_T"),
        names,
    )


def parse_products(rows: "pa.Table", source: str, root: str) -> "tuple[pa.Table, Rejections]":
    """Parse rows.

    Args:
        rows: The columns `USED_COLUMNS`, as text.
        source: SPEC of the source.
        root: Prefix of the paths in the bucket, ending in a slash.

    Returns:
        Products with the schema of the catalog, and the refused rows with the reason.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    check = _RowChecker(rows)
    columns: dict[str, Any] = {}
    name = pc.replace_substring_regex(pc.fill_null(rows["PRODUCT_ID"], ""), r"\.SAFE$", "")
    compact, old = pc.extract_regex(name, COMPACT_NAME_PATTERN), pc.extract_regex(name, OLD_NAME_PATTERN)
    check.require(
        pc.or_(pc.is_valid(compact), pc.is_valid(old)),
        "PRODUCT_ID",
        "is not the name of a Sentinel-2 product",
    )
    datatake = pc.extract_regex(pc.fill_null(rows["DATATAKE_IDENTIFIER"], ""), DATATAKE_ID_PATTERN)

    def part(of: Any, field: str) -> Any:
        return pc.struct_field(of, field)

    columns["tile"] = _tile_ids(rows)
    check.require(
        pc.fill_null(pc.match_substring_regex(rows["MGRS_TILE"], TILE_PATTERN), False),
        "MGRS_TILE",
        "is not a tile",
    )
    stated = pc.fill_null(part(compact, "tile"), columns["tile"])
    check.require(
        pc.fill_null(pc.equal(stated, columns["tile"]), True),
        "MGRS_TILE",
        "is another tile than the product's name says",
    )
    columns["sensing_time"] = check.parse_timestamps("SENSING_TIME")
    check.require(pc.is_valid(columns["sensing_time"]), "SENSING_TIME", "is not an instant")
    columns["published"] = check.parse_timestamps("GENERATION_TIME")
    columns["cloud_cover"] = check.parse_numbers("CLOUD_COVER", 0, 100)
    columns["size"] = pc.cast(pc.floor(check.parse_numbers("TOTAL_SIZE", 0, 1e15)), pa.int64())
    for ours, (theirs, limit) in COORDINATE_COLUMNS.items():
        columns[ours] = check.parse_numbers(theirs, -limit, limit)
        check.require(pc.is_valid(columns[ours]), theirs, "is not a number of degrees")
    check.require(
        pc.fill_null(pc.less_equal(columns["south"], columns["north"]), True),
        "SOUTH_LAT",
        "lies north of NORTH_LAT",
    )
    check.require(
        pc.fill_null(pc.match_substring_regex(rows["BASE_URL"], BASE_URL_PATTERN), False),
        "BASE_URL",
        f"is not a product below {BUCKET_URI}",
    )

    columns["id"] = product_ids(rows)
    columns["source"] = pa.repeat(pa.scalar(source), rows.num_rows)
    columns["level"] = pc.coalesce(part(compact, "level"), part(old, "level"))
    columns["platform"] = pc.coalesce(part(compact, "platform"), part(old, "platform"))
    columns["relative_orbit"] = pc.cast(pc.coalesce(part(compact, "orbit"), part(old, "orbit")), pa.int32())
    columns["baseline"] = pc.coalesce(
        part(compact, "baseline"),
        pc.binary_join_element_wise(part(datatake, "major"), part(datatake, "minor"), ""),
    )
    columns["datatake"] = pc.coalesce(
        part(compact, "datatake"),
        part(datatake, "datatake"),
        pc.strftime(columns["sensing_time"], "%Y%m%dT%H%M%S").cast(pa.string()),
    )
    # pyarrow's strftime writes seconds with their fraction.
    columns["datatake"] = pc.utf8_slice_codeunits(columns["datatake"], 0, len("20220706T085611"))
    path = pc.replace_substring_regex(
        pc.replace_substring(pc.fill_null(rows["BASE_URL"], ""), BUCKET_URI, ""), "/$", ""
    )
    columns["href"] = pc.binary_join_element_wise(pa.scalar(root), path, "")
    columns["footprint"] = pa.nulls(rows.num_rows, pa.string())

    kept = pa.table({field.name: columns[field.name] for field in SCHEMA}).filter(pa.array(check.valid))
    return _repair_antimeridian_bounds(kept).cast(SCHEMA), check.rejections()


def _tile_ids(rows: Any) -> Any:
    """Tiles in the form 01WCP, also for 1WCP, T1WCP and T01WCP."""
    import pyarrow.compute as pc

    bare = pc.replace_substring_regex(rows["MGRS_TILE"], "^T", "")
    return pc.replace_substring_regex(bare, r"^(\d[A-Z]{3})$", r"0\1")


def _repair_antimeridian_bounds(table: "pa.Table") -> "pa.Table":
    """Replace bounds that span the globe, of tiles at the antimeridian, by the bounds of the tile."""
    import numpy as np
    import pyarrow as pa

    west, east = table["west"].to_numpy().copy(), table["east"].to_numpy().copy()
    rows = np.flatnonzero((east - west > 180) | (west > east))
    if not len(rows):
        return table
    tiles = table["tile"].take(pa.array(rows)).to_pylist()
    for row, tile in zip(rows.tolist(), tiles, strict=True):
        west[row], east[row] = tile_west_east(tile) or (max(west[row], east[row]), min(west[row], east[row]))
    for name, values in (("west", west), ("east", east)):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


@cache
def tile_west_east(tile: str) -> tuple[float, float] | None:
    """West and east of a tile's footprint, west > east across the antimeridian; None for an unknown tile."""
    from revisit.geo.bounds import bounds_of
    from revisit.geo.mgrs_tile import Tile

    try:
        west, _, east, _ = bounds_of(Tile.parse(tile).footprint)
    except InvalidInputError:
        return None
    return west, east


class _RowChecker:
    """Collects the valid rows, and the first fault of every other row."""

    def __init__(self, rows: "pa.Table") -> None:
        import numpy as np

        self._rows = rows
        self._failures: dict[int, tuple[str, str]] = {}
        self.valid: NDArray[np.bool_] = np.ones(rows.num_rows, bool)

    def require(self, condition: Any, column: str, reason: str) -> None:
        """Reject the rows for which the condition does not hold."""
        import numpy as np

        holds = np.asarray(condition)
        for row in np.flatnonzero(~holds & self.valid).tolist():
            self._failures[row] = column, reason
        self.valid &= holds

    def parse_numbers(self, column: str, minimum: float, maximum: float) -> Any:
        """Numbers, null for empty cells; rows with another text or a value out of range are rejected."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if column not in self._rows.column_names:
            return pa.nulls(self._rows.num_rows, pa.float64())
        found = self._cast(column, lambda text: pc.cast(text, pa.float64()))
        # NaN is in no range.
        within = pc.and_(pc.greater_equal(found, minimum), pc.less_equal(found, maximum))
        self.require(pc.fill_null(within, True), column, f"is not between {minimum:g} and {maximum:g}")
        return found

    def parse_timestamps(self, column: str) -> Any:
        """Times in UTC, null for empty cells; rows with another text are rejected."""
        import pyarrow as pa
        import pyarrow.compute as pc

        return self._cast(column, lambda text: pc.cast(text, pa.timestamp("us", "UTC")))

    def rejections(self) -> Rejections:
        """(product, reason) of the refused rows."""
        import pyarrow as pa

        return [
            (
                _decode_cell(self._rows["PRODUCT_ID"][row].cast(pa.binary()).as_py()),
                f"{column} {_decode_cell(self._rows[column][row].cast(pa.binary()).as_py())!r} {reason}",
            )
            for row, (column, reason) in sorted(self._failures.items())
        ]

    def _cast(self, column: str, convert: Callable[[Any], Any]) -> Any:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        text = self._rows[column].combine_chunks()
        try:
            return convert(text)
        except pa.ArrowInvalid:
            pass
        readable = np.ones(len(text), bool)
        for row in range(len(text)):
            try:
                convert(text.slice(row, 1))
            except pa.ArrowInvalid:
                readable[row] = False
        self.require(readable, column, "cannot be read")
        return convert(pc.if_else(pa.array(readable), text, None))


def _decode_cell(cell: bytes | None) -> str:
    return (cell or b"").decode(errors="replace")[:200]
