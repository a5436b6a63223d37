"""Columns of the rows sent to BigQuery, and how long one request is retried."""

import pyarrow as pa
from google.cloud.bigquery import DEFAULT_RETRY

from revisit.ports.catalog_schema import SCHEMA

REQUEST_RETRY = DEFAULT_RETRY.with_timeout(15.0)
"""How long one request is retried where nobody answers: the client's own patience is ten minutes."""
INCOMING_COLUMNS = [
    *(
        (field.name, _kind)
        for field in SCHEMA
        for _kind in [
            "STRING"
            if pa.types.is_string(field.type)
            else "TIMESTAMP"
            if pa.types.is_timestamp(field.type)
            else "FLOAT64"
            if pa.types.is_floating(field.type)
            else "INT64"
        ]
    ),
    ("part", "INT64"),
    ("ordinal", "INT64"),
]
"""Columns of incoming rows and their types."""
