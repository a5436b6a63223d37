"""Rows on their way into the catalog: as parameters where they are few, in a table that is let go afterwards where they are many."""

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from revisit.adapters.gcp.bigquery_client import LABELS, Asker
from revisit.adapters.gcp.bigquery_settings import ROWS
from revisit.adapters.gcp.catalog_sql import staging
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    from google.cloud.bigquery import Table

PARAMETER_BYTES = 6_000_000
"""A request has 10 MB at most, and rows are not measured to the byte."""
PER_ROW = 1_600
"""Bytes of a row as parameters, but for its footprint: each value is wrapped in a few words of JSON."""
PART = 100_000
"""Rows that are put in order at once."""
SECONDS = 600.0


@contextmanager
def incoming(asker: Asker, batch: "pa.Table") -> "Iterator[tuple[str, dict[str, Any]]]":
    """What stands for the rows of a batch in a text, and the values that go with it.

    Raises:
        Retry, GiveUp: They could not be staged.
    """
    rows = _ordered(batch)
    lengths = sum(len(text or "") for text in batch["footprint"].to_pylist())
    if batch.num_rows * PER_ROW + 2 * lengths <= PARAMETER_BYTES:
        # The types are said once more: a column of nulls alone has none that every reader would guess.
        columns = ", ".join(f"CAST(r.{name} AS {kind}) AS {name}" for name, kind in ROWS)
        yield f"(SELECT {columns} FROM UNNEST(@rows) AS r)", {"rows": rows.to_pylist()}
        return
    with staged(asker) as table:
        schema = [bigquery.SchemaField(name, kind) for name, kind in ROWS]
        config = bigquery.LoadJobConfig(source_format=bigquery.SourceFormat.PARQUET, schema=schema, labels=LABELS,
                                        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE)
        file = io.BytesIO()
        pq.write_table(rows, file, compression="snappy")
        with asker.asking():
            # Without a size it goes up in pieces, and goes on where a piece was lost.
            asker.client.load_table_from_file(file, table, rewind=True, job_config=config, timeout=SECONDS).result(timeout=SECONDS)
        yield asker.named(table.table_id), {}


@contextmanager
def staged(asker: Asker) -> "Iterator[Table]":
    """A table for rows on their way, let go at the end."""
    table = bigquery.Table(f"{asker.dataset}.staging_{uuid.uuid4().hex}")
    asker.ask(staging(asker.named(table.table_id), ROWS))
    try:
        yield table
    finally:
        with asker.asking():
            asker.client.delete_table(table, not_found_ok=True)


def _ordered(batch: "pa.Table") -> "pa.Table":
    """Rows of `bigquery_client.ROWS`: products, and the order they came in."""
    ordinals = pa.array(range(batch.num_rows), pa.int64())
    parts = pa.array((number // PART for number in range(batch.num_rows)), pa.int64())
    return batch.select(SCHEMA.names).cast(SCHEMA).append_column("part", parts).append_column("ordinal", ordinals)
