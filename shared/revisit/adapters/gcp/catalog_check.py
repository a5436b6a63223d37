"""Check of the dataset and its tables against what Terraform creates; reads their metadata only."""

from typing import TYPE_CHECKING, Any

from google.cloud import bigquery

from revisit.adapters.gcp.bigquery_settings import INCOMING_COLUMNS, REQUEST_RETRY
from revisit.errors import PermanentError
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    from revisit.adapters.gcp.bigquery_client import QueryRunner

_COLUMN_TYPES = dict(INCOMING_COLUMNS)
TABLES: dict[str, dict[str, str]] = {
    "product": {
        **{name: _COLUMN_TYPES[name] for name in SCHEMA.names},
        "position": "INT64",
        "replaced": "BOOL",
    },
    "addition": {
        "source": "STRING",
        "first_position": "INT64",
        "last_position": "INT64",
        "first_sensing": "TIMESTAMP",
        "last_sensing": "TIMESTAMP",
        "last_published": "TIMESTAMP",
        "products": "INT64",
    },
    "turn": {"next_position": "INT64"},
}
"""Tables with the types of their columns."""
_TYPE_ALIASES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""Names of types in the metadata of a table."""
REQUEST_OPTIONS: dict[str, Any] = {"retry": REQUEST_RETRY, "timeout": 15.0}
REMEDY = "run `terraform apply`"


def check(runner: "QueryRunner", location: str = "") -> list[str]:
    """Faults, one sentence each.

    Args:
        location: Expected location of the dataset.

    Raises:
        TransientError: BigQuery does not answer.
    """
    faults: list[str] = []
    try:
        with runner.translate_errors():
            dataset = runner.unchecked_client.get_dataset(runner.dataset, **REQUEST_OPTIONS)
        if location and dataset.location and dataset.location.lower() != location.lower():
            return [
                (
                    f"the dataset {runner.dataset} lies in {dataset.location}, not in {location}; set "
                    f"REVISIT_LOCATION to {dataset.location}"
                )
            ]
        for name, columns in TABLES.items():
            with runner.translate_errors():
                table = runner.unchecked_client.get_table(f"{runner.dataset}.{name}", **REQUEST_OPTIONS)
            faults += _table_faults(table, columns)
    except PermanentError as error:
        faults.append(str(error))
    return faults


def _table_faults(table: "bigquery.Table", columns: dict[str, str]) -> list[str]:
    name = f"{table.project}.{table.dataset_id}.{table.table_id}"
    existing = {field.name: _TYPE_ALIASES.get(field.field_type, field.field_type) for field in table.schema}
    if missing := [column for column in columns if column not in existing]:
        return [f"table {name} lacks columns {', '.join(missing)}; it is of another version: {REMEDY}"]
    if other := [
        f"{column} {existing[column]} instead of {kind}"
        for column, kind in columns.items()
        if existing[column] != kind
    ]:
        return [f"table {name} has {', '.join(other)}; it is of another version: {REMEDY}"]
    return []
