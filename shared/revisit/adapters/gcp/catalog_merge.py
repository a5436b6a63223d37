"""Merge of products into the catalog: one script in one transaction, for rows in parameters and staged rows.

Idempotent: rows are merged by (source, id, published). Two concurrent additions both update the row of
    `turn`, so BigQuery aborts one of them, which is retried.
"""

from collections.abc import Sequence
from secrets import token_hex

from revisit.adapters.gcp.catalog_sql import PRODUCT_COLUMNS, Statement, Tables, period_conditions
from revisit.adapters.gcp.month_partitions import Period
from revisit.ports.catalog_schema import SCHEMA

_NO_PUBLISHED_SQL = "TIMESTAMP '0001-01-01 00:00:00+00'"
"""Represents a missing publication time where two rows are compared."""


def merge_products(tables: Tables, incoming: str, values: dict[str, object], period: Period) -> Statement:
    """Merge the rows of a query; returns the number of new rows.

    Args:
        incoming: Table name or bracketed query with the columns of `SCHEMA`, part and ordinal. Rows are
            ordered by part, then ordinal; parts bound what is sorted at once.
        period: Contains the sensing times of the rows and of all their versions.
    """
    values = dict(values)
    here = " AND ".join(["TRUE", *period_conditions(period, values, "p.sensing_time")])
    fields = ", ".join(f"c.{name}" for name in SCHEMA.names)
    known, fresh, ranked = (f"{name}_{token_hex(8)}" for name in ("known", "fresh", "ranked"))
    return Statement(
        f"""BEGIN TRANSACTION;
MERGE INTO {tables.turn} AS t USING (SELECT 0 AS beginning) AS b ON TRUE
WHEN MATCHED THEN UPDATE SET next_position = t.next_position
WHEN NOT MATCHED THEN INSERT (next_position) VALUES (b.beginning);
CREATE TEMP TABLE {known} AS
SELECT p.source, p.id, p.published, p.position, p.replaced FROM {tables.product} AS p
WHERE {here} AND EXISTS (SELECT 1 FROM {incoming} AS i WHERE i.source = p.source AND i.id = p.id);
CREATE TEMP TABLE {fresh} AS
WITH lacking AS (
  SELECT i.*, ROW_NUMBER() OVER (PARTITION BY i.source, i.id, COALESCE(i.published, {_NO_PUBLISHED_SQL})
    ORDER BY i.part, i.ordinal) AS again
  FROM {incoming} AS i LEFT JOIN {known} AS k
  ON k.source = i.source AND k.id = i.id
    AND COALESCE(k.published, {_NO_PUBLISHED_SQL}) = COALESCE(i.published, {_NO_PUBLISHED_SQL})
  WHERE k.id IS NULL),
parts AS (SELECT part, SUM(n) OVER (ORDER BY part) - n AS before
  FROM (SELECT part, COUNT(*) AS n FROM lacking WHERE again = 1 GROUP BY part) AS counted)
SELECT {", ".join(f"l.{name}" for name in SCHEMA.names)},
  CAST(t.next_position + q.before
    + ROW_NUMBER() OVER (PARTITION BY l.part ORDER BY l.ordinal) - 1 AS INT64) AS position
FROM lacking AS l JOIN parts AS q ON q.part = l.part CROSS JOIN {tables.turn} AS t WHERE l.again = 1;
CREATE TEMP TABLE {ranked} AS
SELECT source, id, position, known_before,
  ROW_NUMBER() OVER (PARTITION BY source, id ORDER BY published DESC NULLS LAST, position DESC)
    > 1 AS replaced,
  ROW_NUMBER() OVER (PARTITION BY source, id ORDER BY known_before DESC, position) = 1
    AND NOT known_before AS another
FROM (SELECT source, id, published, position, FALSE AS known_before FROM {fresh}
  UNION ALL SELECT source, id, published, position, TRUE AS known_before FROM {known}
  WHERE NOT replaced) AS versions;
MERGE INTO {tables.product} AS p USING (
  SELECT r.position, r.replaced, {", ".join(f"f.{name}" for name in SCHEMA.names)}
  FROM {ranked} AS r LEFT JOIN {fresh} AS f ON f.position = r.position
  WHERE r.replaced OR NOT r.known_before) AS c
ON p.position = c.position AND {here}
WHEN MATCHED THEN UPDATE SET replaced = TRUE
WHEN NOT MATCHED THEN INSERT ({PRODUCT_COLUMNS}, position, replaced)
  VALUES ({fields}, c.position, c.replaced);
INSERT INTO {tables.addition}
  (source, first_position, last_position, first_sensing, last_sensing, last_published, products)
SELECT f.source, MIN(f.position), MAX(f.position), MIN(f.sensing_time), MAX(f.sensing_time), MAX(f.published),
  COUNTIF(r.another)
FROM {fresh} AS f JOIN {ranked} AS r ON r.position = f.position
GROUP BY f.source, TIMESTAMP_TRUNC(f.sensing_time, MONTH);
UPDATE {tables.turn} SET next_position = next_position + (SELECT COUNT(*) FROM {fresh}) WHERE TRUE;
COMMIT TRANSACTION;
SELECT COUNT(*) AS added FROM {fresh}""",
        values,
    )


def remove_products(tables: Tables, source: str, ids: Sequence[str], period: Period) -> Statement:
    """Delete all versions of products of one source; returns how many products there were.

    The number of products of a source is the sum over its additions, so a removal is an addition of a
    negative number at no position.

    Args:
        period: Contains the sensing times of the products and of all their versions.
    """
    values: dict[str, object] = {"source": source, "ids": list(ids)}
    here = " AND ".join(
        ["source = @source", *period_conditions(period, values), "id IN (SELECT * FROM UNNEST(@ids))"]
    )
    gone = f"gone_{token_hex(8)}"
    return Statement(
        f"""BEGIN TRANSACTION;
MERGE INTO {tables.turn} AS t USING (SELECT 0 AS beginning) AS b ON TRUE
WHEN MATCHED THEN UPDATE SET next_position = t.next_position
WHEN NOT MATCHED THEN INSERT (next_position) VALUES (b.beginning);
CREATE TEMP TABLE {gone} AS
SELECT source, MIN(sensing_time) AS first_sensing, MAX(sensing_time) AS last_sensing,
  MAX(published) AS last_published, COUNT(DISTINCT id) AS products
FROM {tables.product} WHERE {here} GROUP BY source;
INSERT INTO {tables.addition}
  (source, first_position, last_position, first_sensing, last_sensing, last_published, products)
SELECT source, -1, -1, first_sensing, last_sensing, last_published, -products FROM {gone};
DELETE FROM {tables.product} WHERE {here};
COMMIT TRANSACTION;
SELECT COALESCE(SUM(products), 0) AS removed FROM {gone}""",
        values,
    )
