"""What BigQuery is asked to make of a staged index: the same products and refusals as `sources.google_rows`, without a row leaving it.

Names are told apart by the very patterns of that module, which run on the same engine (RE2) in both; what stands where in a name that
fits is a matter of counting, since they are of fixed width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from revisit.adapters.gcp.bigquery_settings import ROWS
from revisit.adapters.gcp.catalog_sql import KEPT, Question, Tables
from revisit.adapters.sources import google_index_rows
from revisit.ports.catalog_schema import SCHEMA

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NO_NUMBER = r"(?i)^[+-]?(nan|inf|infinity)$"
"""Read as a number, and then of no range."""
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_PATTERNS = {"compact": google_index_rows.COMPACT, "old": google_index_rows.OLD, "datatake": google_index_rows.DATATAKE, "tile": google_index_rows.TILE,
             "place": google_index_rows.PLACE, "safe": r"\.SAFE$", "number": _NUMBER, "no_number": _NO_NUMBER, "moment": _MOMENT, "end": "/$",
             "t": "^T", "digit": r"^[0-9][A-Z]{3}$"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can be wrong with a row."""

    column: str
    """Of the file."""
    reason: str
    wrong: str
    """A condition that holds where it is."""

    def said(self, cell: str) -> str:
        """The reason that is kept with the row."""
        return f"{self.column} {cell!r} {self.reason}"


def _unread(column: str) -> Check:
    return Check(column, "cannot be read", f"{column} IS NOT NULL AND {_value(column)} IS NULL AND NOT REGEXP_CONTAINS({column}, @no_number)")


def _outside(column: str, least: float, most: float) -> Check:
    number = _value(column)
    return Check(column, f"is not between {least:g} and {most:g}", f"{column} IS NOT NULL AND NOT COALESCE({number} >= {least:.1f} AND {number} <= {most:.1f}, FALSE)")


def _value(column: str) -> str:
    return f"number_{column}"


def _moment(column: str) -> str:
    return f"moment_{column}"


CHECKS = (
    Check("PRODUCT_ID", "is not the name of a Sentinel-2 product", "NOT (compact OR old)"),
    Check("MGRS_TILE", "is not a tile", "NOT REGEXP_CONTAINS(COALESCE(MGRS_TILE, ''), @tile)"),
    Check("MGRS_TILE", "is another tile than the product's name says", "compact AND tile IS NOT NULL AND SUBSTR(name, 40, 5) <> tile"),
    Check("SENSING_TIME", "cannot be read", f"SENSING_TIME IS NOT NULL AND {_moment('SENSING_TIME')} IS NULL"),
    Check("SENSING_TIME", "is not an instant", "SENSING_TIME IS NULL"),
    Check("GENERATION_TIME", "cannot be read", f"GENERATION_TIME IS NOT NULL AND {_moment('GENERATION_TIME')} IS NULL"),
    *(check for column, most in (("CLOUD_COVER", 100), ("TOTAL_SIZE", 1e15)) for check in (_unread(column), _outside(column, 0, most))),
    *(check for column, limit in google_index_rows.LIMITS.values() for check in (
        _unread(column), _outside(column, -limit, limit), Check(column, "is not a number of degrees", f"{column} IS NULL"))),
    Check("SOUTH_LAT", "lies north of NORTH_LAT", f"{_value('SOUTH_LAT')} > {_value('NORTH_LAT')}"),
    Check("BASE_URL", f"is not a product below {google_index_rows.BUCKET}", "NOT REGEXP_CONTAINS(COALESCE(BASE_URL, ''), @place)"),
)
"""In the order of `google_rows.products`: a row is refused for the first."""


def parse(tables: Tables, raw: str, fresh: str, columns: Sequence[str], source: str, root: str) -> Question:
    """Make a table of the rows whose id the catalog lacks: those of `bigquery_client.ROWS`, the day that the name tells, and what is wrong.

    Args:
        raw: The staged index.
        fresh: The table to make, by month of sensing; refused rows have no sensing time in it.
        columns: Of the index.
        source: SPEC.
        root: What stands before the path in the bucket, ending in a slash.
    """
    numbers = ["CLOUD_COVER", "TOTAL_SIZE", *(column for column, _ in google_index_rows.LIMITS.values())]
    moments = ["SENSING_TIME", "GENERATION_TIME"]
    cells = ", ".join(f"NULLIF(NULLIF({name}, ''), 'NA') AS {name}" if name in columns else f"CAST(NULL AS STRING) AS {name}" for name in google_index_rows.USED)
    first_wrong = " ".join(f"WHEN {check.wrong} THEN {number}" for number, check in enumerate(CHECKS))
    cell = " ".join(f"WHEN wrong = {number} THEN {check.column}" for number, check in enumerate(CHECKS))
    kinds = dict(ROWS)
    ours = ", ".join(f"CAST({_OURS[name]} AS {kinds[name]}) AS {name}" for name in SCHEMA.names)
    return Question(f"""CREATE OR REPLACE TABLE {fresh} PARTITION BY TIMESTAMP_TRUNC(sensing_time, MONTH) {KEPT} AS
WITH cells AS (SELECT {cells} FROM {raw}),
named AS (SELECT *, REGEXP_REPLACE(COALESCE(PRODUCT_ID, ''), @safe, '') AS name, REGEXP_REPLACE(MGRS_TILE, @t, '') AS bare FROM cells),
tiled AS (SELECT *, CASE WHEN REGEXP_CONTAINS(bare, @digit) THEN CONCAT('0', bare) ELSE bare END AS tile FROM named),
identified AS (SELECT *, CASE WHEN STRPOS(name, '_PRD_MSI') > 0 THEN CONCAT(name, '_T', tile) ELSE name END AS id FROM tiled),
lacking AS (SELECT t.* FROM identified AS t LEFT JOIN (SELECT DISTINCT id FROM {tables.product} WHERE source = @source) AS k ON k.id = t.id WHERE k.id IS NULL),
valued AS (SELECT *, REGEXP_CONTAINS(name, @compact) AS compact, REGEXP_CONTAINS(name, @old) AS old,
  REGEXP_CONTAINS(COALESCE(DATATAKE_IDENTIFIER, ''), @datatake) AS timed,
  {", ".join(f"CASE WHEN REGEXP_CONTAINS({name}, @number) THEN SAFE_CAST({name} AS FLOAT64) END AS {_value(name)}" for name in numbers)},
  {", ".join(f"CASE WHEN REGEXP_CONTAINS({name}, @moment) THEN SAFE_CAST({name} AS TIMESTAMP) END AS {_moment(name)}" for name in moments)}
  FROM lacking),
judged AS (SELECT *, CASE {first_wrong} END AS wrong FROM valued),
made AS (SELECT {ours}, wrong, CASE WHEN wrong IS NOT NULL THEN PRODUCT_ID END AS refused, CASE {cell} END AS cell,
  SAFE_CAST(CASE WHEN compact THEN {_day(12)} WHEN old THEN {_day(48)} END AS TIMESTAMP) AS told FROM judged)
SELECT *, UNIX_DATE(DATE(sensing_time)) AS part, ROW_NUMBER() OVER (PARTITION BY DATE(sensing_time) ORDER BY sensing_time, id, published) AS ordinal FROM made""",
                    {**_PATTERNS, "source": source, "root": root, "bucket": google_index_rows.BUCKET})


def _day(first: int) -> str:
    """A day of eight digits in the name, as one may be read."""
    return f"CONCAT(SUBSTR(name, {first}, 4), '-', SUBSTR(name, {first + 4}, 2), '-', SUBSTR(name, {first + 6}, 2), ' 00:00:00+00')"


_OURS = {
    "id": "id", "source": "@source", "tile": "tile", "footprint": "NULL",
    "level": "CASE WHEN compact THEN SUBSTR(name, 8, 3) WHEN old THEN SUBSTR(name, 17, 3) END",
    "platform": "SUBSTR(name, 1, 3)",
    "sensing_time": f"CASE WHEN wrong IS NULL THEN {_moment('SENSING_TIME')} END",
    "datatake": "CASE WHEN compact THEN SUBSTR(name, 12, 15) WHEN timed THEN SUBSTR(DATATAKE_IDENTIFIER, 6, 15) "
                f"ELSE FORMAT_TIMESTAMP('%Y%m%dT%H%M%S', {_moment('SENSING_TIME')}) END",
    **{ours: _value(theirs) for ours, (theirs, _) in google_index_rows.LIMITS.items()},
    "cloud_cover": _value("CLOUD_COVER"),
    "relative_orbit": "SAFE_CAST(CASE WHEN compact THEN SUBSTR(name, 35, 3) WHEN old THEN SUBSTR(name, 43, 3) END AS INT64)",
    "baseline": "CASE WHEN compact THEN SUBSTR(name, 29, 4) WHEN timed THEN CONCAT(SUBSTR(DATATAKE_IDENTIFIER, 30, 2), SUBSTR(DATATAKE_IDENTIFIER, 33, 2)) END",
    "published": _moment("GENERATION_TIME"),
    "size": f"FLOOR({_value('TOTAL_SIZE')})",
    "href": "CONCAT(@root, REGEXP_REPLACE(REPLACE(COALESCE(BASE_URL, ''), @bucket, ''), @end, ''))",
}
"""How each column of the catalog is made."""


def counts(raw: str, fresh: str) -> Question:
    """Rows of the index, and how many of them were refused."""
    return Question(f"SELECT (SELECT COUNT(*) FROM {raw}) AS found, (SELECT COUNT(wrong) FROM {fresh}) AS refused", {})


def refused(fresh: str, limit: int) -> Question:
    """The first rows that were refused: the name, which check, and the cell."""
    return Question(f"SELECT refused, wrong, cell FROM {fresh} WHERE sensing_time IS NULL AND wrong IS NOT NULL ORDER BY refused, cell LIMIT @limit", {"limit": limit})


def around(fresh: str) -> Question:
    """Tiles of rows whose bounds reach round the globe."""
    return Question(f"SELECT DISTINCT tile FROM {fresh} WHERE wrong IS NULL AND (east - west > 180 OR west > east) ORDER BY tile", {})


def put_right(fresh: str, bounds: Mapping[str, tuple[float, float] | None]) -> Question:
    """Give such rows the west and east of their tile; where there is no such tile, west > east."""
    rows = [{"tile": tile, "west": pair and pair[0], "east": pair and pair[1]} for tile, pair in bounds.items()]
    return Question(f"""UPDATE {fresh} AS f SET west = COALESCE(t.west, GREATEST(f.west, f.east)), east = COALESCE(t.east, LEAST(f.west, f.east))
FROM UNNEST(@tiles) AS t WHERE f.tile = t.tile AND f.wrong IS NULL AND (f.east - f.west > 180 OR f.west > f.east)""", {"tiles": rows})


def months(fresh: str) -> Question:
    """What is left to take in, by month: how many, and the period in which they, and all versions of them, were sensed."""
    return Question(f"""SELECT TIMESTAMP_TRUNC(sensing_time, MONTH) AS month, COUNT(*) AS products, COUNTIF(told IS NULL) AS untold,
  MIN(LEAST(sensing_time, COALESCE(told, sensing_time))) AS earliest, MAX(GREATEST(sensing_time, COALESCE(told, sensing_time))) AS latest
FROM {fresh} WHERE wrong IS NULL GROUP BY month ORDER BY month""", {})


def rows_of(fresh: str, first: datetime, until: datetime) -> tuple[str, dict[str, Any]]:
    """The rows of some months as `bigquery_add.add` takes them, and the values that go with the text."""
    names = ", ".join(name for name, _ in ROWS)
    return f"(SELECT {names} FROM {fresh} WHERE wrong IS NULL AND sensing_time >= @first AND sensing_time < @until)", {"first": first, "until": until}


def taken(fresh: str, first: datetime, until: datetime) -> Question:
    """Let go of the rows of whole months, which costs nothing."""
    return Question(f"DELETE FROM {fresh} WHERE sensing_time >= @first AND sensing_time < @until", {"first": first, "until": until})
