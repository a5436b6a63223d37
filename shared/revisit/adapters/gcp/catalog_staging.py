"""Rows on their way into the catalog: as parameters where they are few, in a table that is let go afterwards
where they are many."""

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from revisit.adapters.gcp.bigquery_client import LABELS, QueryRunner
from revisit.adapters.gcp.bigquery_settings import INCOMING_COLUMNS
from revisit.adapters.gcp.catalog_sql import create_staging_table
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    from google.cloud.bigquery import Table

MAX_PARAMETER_BYTES = 6_000_000
"""A request has 10 MB at most, and rows are not measured to the byte."""
BYTES_PER_ROW = 1_600
"""Bytes of a row as parameters, but for its footprint: each value is wrapped in a few words of JSON."""
ROWS_PER_PART = 100_000
"""Rows that are put in order at once."""
LOAD_TIMEOUT_S = 600.0


@contextmanager
def incoming_rows(runner: QueryRunner, batch: "pa.Table") -> "Iterator[tuple[str, dict[str, Any]]]":
    """What stands for the rows of a batch in a text, and the values that go with it.

    Raises:
        TransientError, PermanentError: They could not be staged.
    """
    rows = _add_order_columns(batch)
    lengths = sum(len(text or "") for text in batch["footprint"].to_pylist())
    if batch.num_rows * BYTES_PER_ROW + 2 * lengths <= MAX_PARAMETER_BYTES:
        # The types are said once more: a column of nulls alone has none that every reader would guess.
        columns = ", ".join(f"CAST(r.{name} AS {kind}) AS {name}" for name, kind in INCOMING_COLUMNS)
        yield f"(SELECT {columns} FROM UNNEST(@rows) AS r)", {"rows": rows.to_pylist()}
        return
    with staging_table(runner) as table:
        schema = [bigquery.SchemaField(name, kind) for name, kind in INCOMING_COLUMNS]
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=schema,
            labels=LABELS,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        )
        file = io.BytesIO()
        pq.write_table(rows, file, compression="snappy")
        with runner.translate_errors():
            # Without a size it goes up in pieces, and goes on where a piece was lost.
            runner.client.load_table_from_file(
                file, table, rewind=True, job_config=config, timeout=LOAD_TIMEOUT_S
            ).result(timeout=LOAD_TIMEOUT_S)
        yield runner.quote_table(table.table_id), {}


@contextmanager
def staging_table(runner: QueryRunner) -> "Iterator[Table]":
    """A table for rows on their way, let go at the end."""
    table = bigquery.Table(f"{runner.dataset}.staging_{uuid.uuid4().hex}")
    runner.run(create_staging_table(runner.quote_table(table.table_id), INCOMING_COLUMNS))
    try:
        yield table
    finally:
        with runner.translate_errors():
            runner.client.delete_table(table, not_found_ok=True)


def _add_order_columns(batch: "pa.Table") -> "pa.Table":
    """Rows of `bigquery_settings.INCOMING_COLUMNS`: products, and the order they came in."""
    ordinals = pa.array(range(batch.num_rows), pa.int64())
    parts = pa.array((number // ROWS_PER_PART for number in range(batch.num_rows)), pa.int64())
    return (
        batch.select(SCHEMA.names)
        .cast(SCHEMA)
        .append_column("part", parts)
        .append_column("ordinal", ordinals)
    )
