"""What BigQuery is asked to make of a staged index: the same products and refusals as `sources.google_rows`,
without a row leaving it.

Names are told apart by the very patterns of that module, which run on the same engine (RE2) in both; what
stands where in a name that
fits is a matter of counting, since they are of fixed width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from revisit.adapters.gcp.bigquery_settings import INCOMING_COLUMNS
from revisit.adapters.gcp.catalog_sql import EXPIRATION_OPTIONS, Statement, Tables
from revisit.adapters.sources import google_index_rows
from revisit.ports.catalog_schema import SCHEMA

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NON_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"
"""Read as a number, and then of no range."""
_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_PATTERNS = {
    "compact": google_index_rows.COMPACT_NAME_PATTERN,
    "old": google_index_rows.OLD_NAME_PATTERN,
    "datatake": google_index_rows.DATATAKE_PATTERN,
    "tile": google_index_rows.TILE_PATTERN,
    "place": google_index_rows.BASE_URL_PATTERN,
    "safe": r"\.SAFE$",
    "number": _NUMBER,
    "no_number": _NON_FINITE,
    "moment": _TIMESTAMP,
    "end": "/$",
    "t": "^T",
    "digit": r"^[0-9][A-Z]{3}$",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can be wrong with a row."""

    column: str
    """Of the file."""
    reason: str
    failure_condition: str
    """A condition that holds where it is."""

    def message(self, cell: str) -> str:
        """The reason that is kept with the row."""
        return f"{self.column} {cell!r} {self.reason}"


def _parse_check(column: str) -> Check:
    return Check(
        column,
        "cannot be read",
        f"{column} IS NOT NULL AND {_number_column(column)} IS NULL AND NOT REGEXP_CONTAINS({column}, @no_number)",
    )


def _range_check(column: str, minimum: float, maximum: float) -> Check:
    number = _number_column(column)
    return Check(
        column,
        f"is not between {minimum:g} and {maximum:g}",
        f"{column} IS NOT NULL AND NOT COALESCE({number} >= {minimum:.1f} AND {number} <= {maximum:.1f}, FALSE)",
    )


def _number_column(column: str) -> str:
    return f"number_{column}"


def _timestamp_column(column: str) -> str:
    return f"moment_{column}"


CHECKS = (
    Check("PRODUCT_ID", "is not the name of a Sentinel-2 product", "NOT (compact OR old)"),
    Check("MGRS_TILE", "is not a tile", "NOT REGEXP_CONTAINS(COALESCE(MGRS_TILE, ''), @tile)"),
    Check(
        "MGRS_TILE",
        "is another tile than the product's name says",
        "compact AND tile IS NOT NULL AND SUBSTR(name, 40, 5) <> tile",
    ),
    Check(
        "SENSING_TIME",
        "cannot be read",
        f"SENSING_TIME IS NOT NULL AND {_timestamp_column('SENSING_TIME')} IS NULL",
    ),
    Check("SENSING_TIME", "is not an instant", "SENSING_TIME IS NULL"),
    Check(
        "GENERATION_TIME",
        "cannot be read",
        f"GENERATION_TIME IS NOT NULL AND {_timestamp_column('GENERATION_TIME')} IS NULL",
    ),
    *(
        check
        for column, most in (("CLOUD_COVER", 100), ("TOTAL_SIZE", 1e15))
        for check in (_parse_check(column), _range_check(column, 0, most))
    ),
    *(
        check
        for column, limit in google_index_rows.COORDINATE_COLUMNS.values()
        for check in (
            _parse_check(column),
            _range_check(column, -limit, limit),
            Check(column, "is not a number of degrees", f"{column} IS NULL"),
        )
    ),
    Check(
        "SOUTH_LAT",
        "lies north of NORTH_LAT",
        f"{_number_column('SOUTH_LAT')} > {_number_column('NORTH_LAT')}",
    ),
    Check(
        "BASE_URL",
        f"is not a product below {google_index_rows.BUCKET_URI}",
        "NOT REGEXP_CONTAINS(COALESCE(BASE_URL, ''), @place)",
    ),
)
"""In the order of `google_rows.products`: a row is refused for the first."""


def parse(
    tables: Tables, staging_table: str, new_rows_table: str, columns: Sequence[str], source: str, root: str
) -> Statement:
    """Make a table of the rows whose id the catalog lacks: those of `bigquery_settings.INCOMING_COLUMNS`, the
    day that the name tells, and what is wrong.

    Args:
        raw: The staged index.
        fresh: The table to make, by month of sensing; refused rows have no sensing time in it.
        columns: Of the index.
        source: SPEC.
        root: What stands before the path in the bucket, ending in a slash.
    """
    numbers = [
        "CLOUD_COVER",
        "TOTAL_SIZE",
        *(column for column, _ in google_index_rows.COORDINATE_COLUMNS.values()),
    ]
    moments = ["SENSING_TIME", "GENERATION_TIME"]
    cells = ", ".join(
        f"NULLIF(NULLIF({name}, ''), 'NA') AS {name}"
        if name in columns
        else f"CAST(NULL AS STRING) AS {name}"
        for name in google_index_rows.USED_COLUMNS
    )
    first_wrong = " ".join(
        f"WHEN {check.failure_condition} THEN {number}" for number, check in enumerate(CHECKS)
    )
    cell = " ".join(f"WHEN wrong = {number} THEN {check.column}" for number, check in enumerate(CHECKS))
    kinds = dict(INCOMING_COLUMNS)
    ours = ", ".join(f"CAST({_CATALOG_COLUMNS[name]} AS {kinds[name]}) AS {name}" for name in SCHEMA.names)
    return Statement(
        f"""CREATE OR REPLACE TABLE {new_rows_table} PARTITION BY TIMESTAMP_TRUNC(sensing_time, MONTH) {EXPIRATION_OPTIONS} AS
WITH cells AS (SELECT {cells} FROM {staging_table}),
named AS (SELECT *, REGEXP_REPLACE(COALESCE(PRODUCT_ID, ''), @safe, '') AS name, REGEXP_REPLACE(MGRS_TILE, @t, '') AS bare FROM cells),
tiled AS (SELECT *, CASE WHEN REGEXP_CONTAINS(bare, @digit) THEN CONCAT('0', bare) ELSE bare END AS tile FROM named),
identified AS (SELECT *, CASE WHEN STRPOS(name, '_PRD_MSI') > 0 THEN CONCAT(name, '_T', tile) ELSE name END AS id FROM tiled),
lacking AS (SELECT t.* FROM identified AS t LEFT JOIN (SELECT DISTINCT id FROM {tables.product} WHERE source = @source) AS k ON k.id = t.id WHERE k.id IS NULL),
valued AS (SELECT *, REGEXP_CONTAINS(name, @compact) AS compact, REGEXP_CONTAINS(name, @old) AS old,
  REGEXP_CONTAINS(COALESCE(DATATAKE_IDENTIFIER, ''), @datatake) AS timed,
  {", ".join(f"CASE WHEN REGEXP_CONTAINS({name}, @number) THEN SAFE_CAST({name} AS FLOAT64) END AS {_number_column(name)}" for name in numbers)},
  {", ".join(f"CASE WHEN REGEXP_CONTAINS({name}, @moment) THEN SAFE_CAST({name} AS TIMESTAMP) END AS {_timestamp_column(name)}" for name in moments)}
  FROM lacking),
judged AS (SELECT *, CASE {first_wrong} END AS wrong FROM valued),
made AS (SELECT {ours}, wrong, CASE WHEN wrong IS NOT NULL THEN PRODUCT_ID END AS refused, CASE {cell} END AS cell,
  SAFE_CAST(CASE WHEN compact THEN {_day_sql(12)} WHEN old THEN {_day_sql(48)} END AS TIMESTAMP) AS told FROM judged)
SELECT *, UNIX_DATE(DATE(sensing_time)) AS part, ROW_NUMBER() OVER (PARTITION BY DATE(sensing_time) ORDER BY sensing_time, id, published) AS ordinal FROM made""",
        {**_PATTERNS, "source": source, "root": root, "bucket": google_index_rows.BUCKET_URI},
    )


def _day_sql(start: int) -> str:
    """A day of eight digits in the name, as one may be read."""
    return f"CONCAT(SUBSTR(name, {start}, 4), '-', SUBSTR(name, {start + 4}, 2), '-', SUBSTR(name, {start + 6}, 2), ' 00:00:00+00')"


_CATALOG_COLUMNS = {
    "id": "id",
    "source": "@source",
    "tile": "tile",
    "footprint": "NULL",
    "level": "CASE WHEN compact THEN SUBSTR(name, 8, 3) WHEN old THEN SUBSTR(name, 17, 3) END",
    "platform": "SUBSTR(name, 1, 3)",
    "sensing_time": f"CASE WHEN wrong IS NULL THEN {_timestamp_column('SENSING_TIME')} END",
    "datatake": "CASE WHEN compact THEN SUBSTR(name, 12, 15) WHEN timed THEN SUBSTR(DATATAKE_IDENTIFIER, 6, 15) "
    f"ELSE FORMAT_TIMESTAMP('%Y%m%dT%H%M%S', {_timestamp_column('SENSING_TIME')}) END",
    **{ours: _number_column(theirs) for ours, (theirs, _) in google_index_rows.COORDINATE_COLUMNS.items()},
    "cloud_cover": _number_column("CLOUD_COVER"),
    "relative_orbit": "SAFE_CAST(CASE WHEN compact THEN SUBSTR(name, 35, 3) WHEN old THEN SUBSTR(name, 43, 3) END AS INT64)",
    "baseline": "CASE WHEN compact THEN SUBSTR(name, 29, 4) WHEN timed THEN CONCAT(SUBSTR(DATATAKE_IDENTIFIER, 30, 2), SUBSTR(DATATAKE_IDENTIFIER, 33, 2)) END",
    "published": _timestamp_column("GENERATION_TIME"),
    "size": f"FLOOR({_number_column('TOTAL_SIZE')})",
    "href": "CONCAT(@root, REGEXP_REPLACE(REPLACE(COALESCE(BASE_URL, ''), @bucket, ''), @end, ''))",
}
"""How each column of the catalog is made."""


def count_rows(staging_table: str, new_rows_table: str) -> Statement:
    """Rows of the index, and how many of them were refused."""
    return Statement(
        f"SELECT (SELECT COUNT(*) FROM {staging_table}) AS found, (SELECT COUNT(wrong) FROM {new_rows_table}) AS refused",
        {},
    )


def list_refused_rows(new_rows_table: str, limit: int) -> Statement:
    """The first rows that were refused: the name, which check, and the cell."""
    return Statement(
        f"SELECT refused, wrong, cell FROM {new_rows_table} WHERE sensing_time IS NULL AND wrong IS NOT NULL ORDER BY refused, cell LIMIT @limit",
        {"limit": limit},
    )


def find_antimeridian_tiles(new_rows_table: str) -> Statement:
    """Tiles of rows whose bounds reach round the globe."""
    return Statement(
        f"SELECT DISTINCT tile FROM {new_rows_table} WHERE wrong IS NULL AND (east - west > 180 OR west > east) ORDER BY tile",
        {},
    )


def repair_bounds(new_rows_table: str, bounds: Mapping[str, tuple[float, float] | None]) -> Statement:
    """Give such rows the west and east of their tile; where there is no such tile, west > east."""
    rows = [
        {"tile": tile, "west": pair and pair[0], "east": pair and pair[1]} for tile, pair in bounds.items()
    ]
    return Statement(
        f"""UPDATE {new_rows_table} AS f SET west = COALESCE(t.west, GREATEST(f.west, f.east)), east = COALESCE(t.east, LEAST(f.west, f.east))
FROM UNNEST(@tiles) AS t WHERE f.tile = t.tile AND f.wrong IS NULL AND (f.east - f.west > 180 OR f.west > f.east)""",
        {"tiles": rows},
    )


def count_by_month(new_rows_table: str) -> Statement:
    """What is left to take in, by month: how many, and the period in which they, and all versions of them,
    were sensed."""
    return Statement(
        f"""SELECT TIMESTAMP_TRUNC(sensing_time, MONTH) AS month, COUNT(*) AS products, COUNTIF(told IS NULL) AS untold,
  MIN(LEAST(sensing_time, COALESCE(told, sensing_time))) AS earliest, MAX(GREATEST(sensing_time, COALESCE(told, sensing_time))) AS latest
FROM {new_rows_table} WHERE wrong IS NULL GROUP BY month ORDER BY month""",
        {},
    )


def select_rows(new_rows_table: str, first: datetime, until: datetime) -> tuple[str, dict[str, Any]]:
    """The rows of some months as `bigquery_add.add` takes them, and the values that go with the text."""
    names = ", ".join(name for name, _ in INCOMING_COLUMNS)
    return (
        f"(SELECT {names} FROM {new_rows_table} WHERE wrong IS NULL AND sensing_time >= @first AND sensing_time < @until)",
        {"first": first, "until": until},
    )


def delete_inserted_rows(new_rows_table: str, first: datetime, until: datetime) -> Statement:
    """Let go of the rows of whole months, which costs nothing."""
    return Statement(
        f"DELETE FROM {new_rows_table} WHERE sensing_time >= @first AND sensing_time < @until",
        {"first": first, "until": until},
    )
