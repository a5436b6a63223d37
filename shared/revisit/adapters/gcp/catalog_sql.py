"""SQL statements of the catalog, which BigQuery and DuckDB both accept.

Values are always parameters; only table names and fragments of this module are put into the text. Each query
with a known period restricts `sensing_time`, by which the table is partitioned.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from revisit.adapters.gcp.filter_sql import to_sql
from revisit.adapters.gcp.month_partitions import Period
from revisit.domain.filters import BoundsOverlap
from revisit.ports.catalog import OrderBy, Query, SortColumn
from revisit.ports.catalog_query import Position
from revisit.ports.catalog_schema import SCHEMA

_SORT_COLUMNS: tuple[str, ...] = get_args(SortColumn.__value__)
PRODUCT_COLUMNS = ", ".join(SCHEMA.names)
EXPIRATION_OPTIONS = "OPTIONS (expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 DAY))"
"""Options of a staging table, which BigQuery removes by itself if a crash leaves it behind."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Names of the tables of the catalog, as they appear in SQL."""

    product: str
    """Every version of every product: the columns of `catalog_schema.SCHEMA`, its position in the log, and
    whether a later version replaced it."""
    addition: str
    """Per addition, source and month of sensing: number of products, their positions and sensing times."""
    turn: str
    """One row with the next position. Each addition updates it, so that of two concurrent transactions one
    is aborted and retried."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with the values of its parameters."""

    text: str
    values: Mapping[str, Any]


def create_staging_table(table: str, columns: Iterable[tuple[str, str]]) -> Statement:
    """Create a staging table with these columns and types."""
    return Statement(
        f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(f'{name} {kind}' for name, kind in columns)}) "
        f"{EXPIRATION_OPTIONS}",
        {},
    )


def _join_conditions(parts: Sequence[str]) -> str:
    return " AND ".join(parts)


def period_conditions(period: Period, values: dict[str, Any], column: str = "sensing_time") -> list[str]:
    """Conditions that restrict a column to a period; adds to the values of the statement."""
    parts = []
    if period.start is not None:
        values["start"] = period.start
        parts.append(f"{column} >= @start")
    if period.end is not None:
        values["end"] = period.end
        parts.append(f"{column} <= @end")
    return parts


def known_ids(tables: Tables, source: str, ids: Sequence[str], period: Period) -> Statement:
    """Ids among these that the catalog has from this source."""
    values: dict[str, Any] = {"source": source, "ids": list(ids)}
    where = _join_conditions(
        ["source = @source", *period_conditions(period, values), "id IN (SELECT * FROM UNNEST(@ids))"]
    )
    return Statement(f"SELECT DISTINCT id FROM {tables.product} WHERE {where}", values)


def get(tables: Tables, id: str, source: str, tile: str | None, period: Period) -> Statement:
    """Product with this id; of several versions, the one published last."""
    values: dict[str, Any] = {"id": id}
    parts = ["id = @id", "NOT replaced", *period_conditions(period, values)]
    if tile:
        values["tile"] = tile
        parts.append("tile = @tile")
    if source:
        values["source"] = source
        parts.append("source = @source")
    return Statement(
        f"SELECT {PRODUCT_COLUMNS} FROM {tables.product} WHERE {_join_conditions(parts)} ORDER BY "
        "published DESC NULLS LAST, position DESC LIMIT 1",
        values,
    )


def search(
    tables: Tables,
    query: Query,
    tiles: Sequence[str] | None,
    after: Position | None,
    period: Period,
    limit: int,
) -> Statement:
    """Products that meet the query within a period, in its order, after a position."""
    values: dict[str, Any] = {"limit": limit}
    parts = ["NOT replaced", *period_conditions(period, values)]
    if tiles is not None:
        # One parameter per tile, not an array: BigQuery prunes clustered blocks only for constants.
        named = {f"tile_{number}": tile for number, tile in enumerate(tiles)}
        values |= named
        parts.append(f"tile IN ({', '.join(f'@{name}' for name in named)})" if named else "FALSE")
    if query.level:
        values["level"] = query.level
        parts.append("level = @level")
    if query.source:
        values["source"] = query.source
        parts.append("source = @source")
    if query.max_cloud is not None:
        values["max_cloud"] = float(query.max_cloud)
        parts.append("(cloud_cover IS NULL OR cloud_cover <= @max_cloud)")
    if query.bounds:
        parts.append(to_sql(BoundsOverlap(query.bounds), values))
    if query.ids:
        values["ids"] = list(query.ids)
        parts.append("id IN (SELECT * FROM UNNEST(@ids))")
    parts += [to_sql(condition, values) for condition in query.conditions]
    if after:
        parts.append(_keyset_condition(query, after, values))
    keys = [f"{_column(key)}{' DESC' * key.descending} NULLS LAST" for key in query.order_by]
    keys += [f"{column}{' DESC' * query.latest_first}" for column in ("sensing_time", "id", "source")]
    return Statement(
        f"SELECT {PRODUCT_COLUMNS} FROM {tables.product} WHERE {_join_conditions(parts)} "
        f"ORDER BY {', '.join(keys)} LIMIT @limit",
        values,
    )


def _keyset_condition(query: Query, after: Position, values: dict[str, Any]) -> str:
    """Condition of the rows that follow a position in the order of the query."""
    operator = "<" if query.latest_first else ">"
    values |= {"after_time": after.sensing_time, "after_id": after.id, "after_source": after.source}
    condition = f"source {operator} @after_source"
    for column, name in (("id", "after_id"), ("sensing_time", "after_time")):
        condition = f"({column} {operator} @{name} OR ({column} = @{name} AND {condition}))"
    for number, (key, value) in reversed(list(enumerate(zip(query.order_by, after.values, strict=True)))):
        column = _column(key)
        if value is None:
            condition = f"({column} IS NULL AND {condition})"
        else:
            name = f"after_{number}"
            values[name] = float(value) if isinstance(value, int) else value
            condition = (
                f"({column} {'<' if key.descending else '>'} @{name} OR {column} IS NULL "
                f"OR ({column} = @{name} AND {condition}))"
            )
    return condition


def _column(key: OrderBy) -> str:
    return _SORT_COLUMNS[_SORT_COLUMNS.index(key.column)]


def freshness(tables: Tables) -> Statement:
    """Products, last sensing and last publication of each source, summed over the additions."""
    return Statement(
        f"""SELECT source, SUM(products) AS products, MAX(last_sensing) AS last_sensing,
  MAX(last_published) AS last_published
FROM {tables.addition} GROUP BY source ORDER BY source""",
        {},
    )


def list_additions(tables: Tables, cursor: int, limit: int) -> Statement:
    """Additions from a position on."""
    return Statement(
        f"""SELECT source, first_position, last_position, first_sensing, last_sensing FROM {tables.addition}
WHERE last_position >= @cursor ORDER BY first_position, last_position LIMIT @limit""",
        {"cursor": cursor, "limit": limit},
    )


def read_log(
    tables: Tables,
    cursor: int,
    end: int,
    period: Period,
    min_sensing_times: Mapping[str, datetime],
    limit: int,
) -> Statement:
    """Products in the order of the log within a period, without those of a source sensed before its
    cutoff."""
    values: dict[str, Any] = {"cursor": cursor, "last": end - 1, "limit": limit}
    parts = ["position >= @cursor", "position <= @last", *period_conditions(period, values)]
    for number, (source, moment) in enumerate(sorted(min_sensing_times.items())):
        values |= {f"past_{number}": source, f"since_{number}": moment}
        parts.append(f"(source <> @past_{number} OR sensing_time >= @since_{number})")
    return Statement(
        f"SELECT {PRODUCT_COLUMNS}, position FROM {tables.product} WHERE {_join_conditions(parts)} ORDER "
        "BY position LIMIT @limit",
        values,
    )
