"""Rows staged for the catalog: as query parameters if they are few, else in a temporary table."""

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
"""Bytes of rows in parameters: a request has at most 10 MB, and the size of a row is estimated."""
BYTES_PER_ROW = 1_600
"""Estimated bytes of a row in parameters without its footprint: each value has a JSON wrapper."""
ROWS_PER_PART = 100_000
"""Rows that are sorted at once."""
LOAD_TIMEOUT_S = 600.0


@contextmanager
def incoming_rows(runner: QueryRunner, batch: "pa.Table") -> "Iterator[tuple[str, dict[str, Any]]]":
    """SQL that stands for the rows of a batch, with its parameters.

    Raises:
        TransientError, PermanentError: The rows could not be staged.
    """
    rows = _add_order_columns(batch)
    lengths = sum(len(text or "") for text in batch["footprint"].to_pylist())
    if batch.num_rows * BYTES_PER_ROW + 2 * lengths <= MAX_PARAMETER_BYTES:
        # The types are stated explicitly: a column of nulls alone has none that every reader infers.
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
            # Without a size the upload is chunked and resumes where a chunk was lost.
            runner.client.load_table_from_file(
                file, table, rewind=True, job_config=config, timeout=LOAD_TIMEOUT_S
            ).result(timeout=LOAD_TIMEOUT_S)
        yield runner.quote_table(table.table_id), {}


@contextmanager
def staging_table(runner: QueryRunner) -> "Iterator[Table]":
    """A temporary staging table, removed at the end."""
    table = bigquery.Table(f"{runner.dataset}.staging_{uuid.uuid4().hex}")
    runner.run(create_staging_table(runner.quote_table(table.table_id), INCOMING_COLUMNS))
    try:
        yield table
    finally:
        with runner.translate_errors():
            runner.client.delete_table(table, not_found_ok=True)


def _add_order_columns(batch: "pa.Table") -> "pa.Table":
    """Rows with `bigquery_settings.INCOMING_COLUMNS`: products and their order."""
    ordinals = pa.array(range(batch.num_rows), pa.int64())
    parts = pa.array((number // ROWS_PER_PART for number in range(batch.num_rows)), pa.int64())
    return (
        batch.select(SCHEMA.names)
        .cast(SCHEMA)
        .append_column("part", parts)
        .append_column("ordinal", ordinals)
    )
