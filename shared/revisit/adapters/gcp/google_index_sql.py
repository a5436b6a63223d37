"""SQL that parses a staged index of Google: the same products and refusals as `sources.google_index_rows`.

Why SQL and not the Python parser, whose rows could be staged as Parquet: that parser handles 190,000 rows a
second on one core, so 40 million rows take 210 s, decompression and upload come on top, and two indices
exceed the 540 s of the function. BigQuery loads and parses them without the function.

Both parsers share the patterns of `domain.product_name` (RE2 runs them in both) and the offsets derived from
them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from revisit.adapters.gcp.bigquery_settings import INCOMING_COLUMNS
from revisit.adapters.gcp.catalog_sql import EXPIRATION_OPTIONS, Statement, Tables
from revisit.adapters.sources import google_index_rows
from revisit.domain.product_name import (
    COMPACT_EXAMPLE,
    COMPACT_PATTERN,
    DATATAKE_EXAMPLE,
    DATATAKE_PATTERN,
    MAX_GRANULES,
    OLD_EXAMPLE,
    OLD_MARK,
    OLD_PATTERN,
    field_span,
)
from revisit.ports.catalog_schema import SCHEMA

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NON_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"
"""Numbers that are in no range."""
_TIMESTAMP = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
)
_PATTERNS = {
    "compact": google_index_rows.COMPACT_NAME_PATTERN,
    "old": google_index_rows.OLD_NAME_PATTERN,
    "datatake": google_index_rows.DATATAKE_ID_PATTERN,
    "tile": google_index_rows.TILE_PATTERN,
    "base_url": google_index_rows.BASE_URL_PATTERN,
    "safe": r"\.SAFE$",
    "number": _NUMBER,
    "non_finite": _NON_FINITE,
    "timestamp": _TIMESTAMP,
    "end": "/$",
    "t": "^T",
    "digit": r"^[0-9][A-Z]{3}$",
}
"""Query parameters: regular expressions."""


def _compact_field(field: str) -> str:
    return _substring("name", *field_span(COMPACT_PATTERN, COMPACT_EXAMPLE, field))


def _old_field(field: str) -> str:
    return _substring("name", *field_span(OLD_PATTERN, OLD_EXAMPLE, field))


def _datatake_field(field: str) -> str:
    return _substring("DATATAKE_IDENTIFIER", *field_span(DATATAKE_PATTERN, DATATAKE_EXAMPLE, field))


def _substring(column: str, offset: int, length: int) -> str:
    return f"SUBSTR({column}, {offset + 1}, {length})"


@dataclass(frozen=True, slots=True)
class Check:
    """One rule that a row must meet."""

    column: str
    """Column of the file that is checked."""
    reason: str
    failure_condition: str
    """SQL condition that holds where the row breaks the rule."""

    def message(self, cell: str) -> str:
        """The reason of a refusal."""
        return f"{self.column} {cell!r} {self.reason}"


def _parse_check(column: str) -> Check:
    return Check(
        column,
        "cannot be read",
        f"{column} IS NOT NULL AND {_number_column(column)} IS NULL "
        f"AND NOT REGEXP_CONTAINS({column}, @non_finite)",
    )


def _range_check(column: str, minimum: float, maximum: float) -> Check:
    number = _number_column(column)
    return Check(
        column,
        f"is not between {minimum:g} and {maximum:g}",
        f"{column} IS NOT NULL "
        f"AND NOT COALESCE({number} >= {minimum:.1f} AND {number} <= {maximum:.1f}, FALSE)",
    )


def _number_column(column: str) -> str:
    return f"number_{column}"


def _timestamp_column(column: str) -> str:
    return f"timestamp_{column}"


CHECKS = (
    Check("PRODUCT_ID", "is not the name of a Sentinel-2 product", "NOT (compact OR old)"),
    Check("MGRS_TILE", "is not a tile", "NOT REGEXP_CONTAINS(COALESCE(MGRS_TILE, ''), @tile)"),
    Check(
        "MGRS_TILE",
        "is another tile than the product's name says",
        f"compact AND tile IS NOT NULL AND {_compact_field('tile')} <> tile",
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
        "NOT REGEXP_CONTAINS(COALESCE(BASE_URL, ''), @base_url)",
    ),
)
"""In the order of `google_index_rows.parse_products`: the first broken rule is the reason of a refusal."""


def parse(
    tables: Tables, staging_table: str, new_rows_table: str, columns: Sequence[str], source: str, root: str
) -> Statement:
    """Create a table of the rows whose id the catalog lacks.

    Its columns are `bigquery_settings.INCOMING_COLUMNS`, the day that the name states, and why a row is
    refused.

    Args:
        tables: Of the catalog.
        staging_table: The index as loaded, all columns as text.
        new_rows_table: The table to create, partitioned by month of sensing time, which refused rows lack.
        columns: Columns of the index.
        source: SPEC of the source.
        root: Prefix of the paths in the bucket, ending in a slash.
    """
    numbers = [
        "CLOUD_COVER",
        "TOTAL_SIZE",
        *(column for column, _ in google_index_rows.COORDINATE_COLUMNS.values()),
    ]
    timestamps = ["SENSING_TIME", "GENERATION_TIME"]
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
    numbers_sql = ",\n  ".join(
        f"CASE WHEN REGEXP_CONTAINS({name}, @number) THEN SAFE_CAST({name} AS FLOAT64) END"
        f" AS {_number_column(name)}"
        for name in numbers
    )
    timestamps_sql = ",\n  ".join(
        f"CASE WHEN REGEXP_CONTAINS({name}, @timestamp) THEN SAFE_CAST({name} AS TIMESTAMP) END"
        f" AS {_timestamp_column(name)}"
        for name in timestamps
    )
    compact_day, old_day = _day_sql(_compact_field("datatake")), _day_sql(_old_field("start"))
    return Statement(
        f"""CREATE OR REPLACE TABLE {new_rows_table}
PARTITION BY TIMESTAMP_TRUNC(sensing_time, MONTH) {EXPIRATION_OPTIONS} AS
WITH cells AS (SELECT {cells} FROM {staging_table}),
named AS (SELECT *, REGEXP_REPLACE(COALESCE(PRODUCT_ID, ''), @safe, '') AS name,
  REGEXP_REPLACE(MGRS_TILE, @t, '') AS bare FROM cells),
tiled AS (SELECT *,
  CASE WHEN REGEXP_CONTAINS(bare, @digit) THEN CONCAT('0', bare) ELSE bare END AS tile FROM named),
numbered AS (SELECT *, LEAST(DENSE_RANK() OVER (PARTITION BY name, tile ORDER BY GRANULE_ID), {MAX_GRANULES})
  AS granule FROM tiled),
identified AS (SELECT *, CASE WHEN STRPOS(name, '{OLD_MARK}') = 0 THEN name
  WHEN granule = 1 THEN CONCAT(name, '_T', tile)
  ELSE CONCAT(name, '_T', tile, '_', CAST(granule AS STRING)) END AS id FROM numbered),
lacking AS (SELECT t.* FROM identified AS t
  LEFT JOIN (SELECT DISTINCT id FROM {tables.product} WHERE source = @source) AS k ON k.id = t.id
  WHERE k.id IS NULL),
valued AS (SELECT *, REGEXP_CONTAINS(name, @compact) AS compact, REGEXP_CONTAINS(name, @old) AS old,
  REGEXP_CONTAINS(COALESCE(DATATAKE_IDENTIFIER, ''), @datatake) AS timed,
  {numbers_sql},
  {timestamps_sql}
  FROM lacking),
judged AS (SELECT *, CASE {first_wrong} END AS wrong FROM valued),
made AS (SELECT {ours}, wrong, CASE WHEN wrong IS NOT NULL THEN PRODUCT_ID END AS refused,
  CASE {cell} END AS cell,
  SAFE_CAST(CASE WHEN compact THEN {compact_day} WHEN old THEN {old_day} END AS TIMESTAMP) AS stated_day
  FROM judged)
SELECT *, UNIX_DATE(DATE(sensing_time)) AS part,
  ROW_NUMBER() OVER (PARTITION BY DATE(sensing_time) ORDER BY sensing_time, id, published) AS ordinal
FROM made""",
        {**_PATTERNS, "source": source, "root": root, "bucket": google_index_rows.BUCKET_URI},
    )


def _day_sql(field: str) -> str:
    """The day of a timestamp such as 20180327T105019, in the form that CAST reads."""
    year, month, day = (f"SUBSTR({field}, {start}, {length})" for start, length in ((1, 4), (5, 2), (7, 2)))
    return f"CONCAT({year}, '-', {month}, '-', {day}, ' 00:00:00+00')"


_CATALOG_COLUMNS = {
    "id": "id",
    "source": "@source",
    "tile": "tile",
    "footprint": "NULL",
    "level": f"CASE WHEN compact THEN {_compact_field('level')} WHEN old THEN {_old_field('level')} END",
    "platform": _compact_field("platform"),
    "sensing_time": f"CASE WHEN wrong IS NULL THEN {_timestamp_column('SENSING_TIME')} END",
    "datatake": f"CASE WHEN compact THEN {_compact_field('datatake')} "
    f"WHEN timed THEN {_datatake_field('datatake')} "
    f"ELSE FORMAT_TIMESTAMP('%Y%m%dT%H%M%S', {_timestamp_column('SENSING_TIME')}) END",
    **{ours: _number_column(theirs) for ours, (theirs, _) in google_index_rows.COORDINATE_COLUMNS.items()},
    "cloud_cover": _number_column("CLOUD_COVER"),
    "relative_orbit": f"SAFE_CAST(CASE WHEN compact THEN {_compact_field('orbit')} "
    f"WHEN old THEN {_old_field('orbit')} END AS INT64)",
    "baseline": f"CASE WHEN compact THEN {_compact_field('baseline')} "
    f"WHEN timed THEN CONCAT({_datatake_field('major')}, {_datatake_field('minor')}) END",
    "published": _timestamp_column("GENERATION_TIME"),
    "size": f"FLOOR({_number_column('TOTAL_SIZE')})",
    "href": "CONCAT(@root, REGEXP_REPLACE(REPLACE(COALESCE(BASE_URL, ''), @bucket, ''), @end, ''))",
}
"""SQL expression of each column of the catalog."""


def count_rows(staging_table: str, new_rows_table: str) -> Statement:
    """Count the rows of the index, and those that were refused."""
    return Statement(
        f"SELECT (SELECT COUNT(*) FROM {staging_table}) AS found, "
        f"(SELECT COUNT(wrong) FROM {new_rows_table}) AS refused",
        {},
    )


def list_refused_rows(new_rows_table: str, limit: int) -> Statement:
    """The first rows that were refused: the name, the number of the check, and the cell."""
    return Statement(
        f"SELECT refused, wrong, cell FROM {new_rows_table} WHERE sensing_time IS NULL AND wrong IS NOT NULL "
        "ORDER BY refused, cell LIMIT @limit",
        {"limit": limit},
    )


def find_antimeridian_tiles(new_rows_table: str) -> Statement:
    """Tiles of rows whose bounds span the globe."""
    return Statement(
        f"SELECT DISTINCT tile FROM {new_rows_table} WHERE wrong IS NULL "
        "AND (east - west > 180 OR west > east) ORDER BY tile",
        {},
    )


def repair_bounds(new_rows_table: str, bounds: Mapping[str, tuple[float, float] | None]) -> Statement:
    """Set west and east of such rows to those of their tile; of an unknown tile, swap them so that west >
    east."""
    rows = [
        {"tile": tile, "west": pair and pair[0], "east": pair and pair[1]} for tile, pair in bounds.items()
    ]
    return Statement(
        f"""UPDATE {new_rows_table} AS f
SET west = COALESCE(t.west, GREATEST(f.west, f.east)), east = COALESCE(t.east, LEAST(f.west, f.east))
FROM UNNEST(@tiles) AS t
WHERE f.tile = t.tile AND f.wrong IS NULL AND (f.east - f.west > 180 OR f.west > f.east)""",
        {"tiles": rows},
    )


def count_by_month(new_rows_table: str) -> Statement:
    """Rows still to be merged, by month: their number, and the period in which all their versions were
    sensed."""
    return Statement(
        f"""SELECT TIMESTAMP_TRUNC(sensing_time, MONTH) AS month, COUNT(*) AS products,
  COUNTIF(stated_day IS NULL) AS without_day,
  MIN(LEAST(sensing_time, COALESCE(stated_day, sensing_time))) AS earliest,
  MAX(GREATEST(sensing_time, COALESCE(stated_day, sensing_time))) AS latest
FROM {new_rows_table} WHERE wrong IS NULL GROUP BY month ORDER BY month""",
        {},
    )


def select_rows(new_rows_table: str, first: datetime, until: datetime) -> tuple[str, dict[str, Any]]:
    """The rows of some months as `catalog_merge.merge_products` takes them: SQL and its parameters."""
    names = ", ".join(name for name, _ in INCOMING_COLUMNS)
    period = "sensing_time >= @first AND sensing_time < @until"
    return (
        f"(SELECT {names} FROM {new_rows_table} WHERE wrong IS NULL AND {period})",
        {"first": first, "until": until},
    )


def delete_inserted_rows(new_rows_table: str, first: datetime, until: datetime) -> Statement:
    """Delete the rows of whole months, which is free of charge."""
    return Statement(
        f"DELETE FROM {new_rows_table} WHERE sensing_time >= @first AND sensing_time < @until",
        {"first": first, "until": until},
    )
