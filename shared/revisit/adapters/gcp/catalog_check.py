"""Whether a dataset and its tables are as Terraform makes them; asks for their descriptions only, and writes nothing."""

from typing import TYPE_CHECKING, Any

from google.cloud import bigquery

from revisit.adapters.gcp.bigquery_settings import PATIENCE, ROWS
from revisit.errors import GiveUp
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    from revisit.adapters.gcp.bigquery_client import Asker

_KINDS = dict(ROWS)
TABLES: dict[str, dict[str, str]] = {
    "product": {**{name: _KINDS[name] for name in SCHEMA.names}, "position": "INT64", "replaced": "BOOL"},
    "addition": {"source": "STRING", "first_position": "INT64", "last_position": "INT64", "first_sensing": "TIMESTAMP", "last_sensing": "TIMESTAMP",
                 "last_published": "TIMESTAMP", "products": "INT64"},
    "turn": {"next_position": "INT64"},
}
"""Tables, their columns and types."""
_SAME = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""Names of types as descriptions of tables have them."""
PATIENT: dict[str, Any] = {"retry": PATIENCE, "timeout": 15.0}
REMEDY = "run `terraform apply`"


def check(asker: "Asker", location: str = "") -> list[str]:
    """What is wrong, one sentence each.

    Args:
        location: Where the dataset ought to lie.

    Raises:
        Retry: BigQuery does not answer.
    """
    faults: list[str] = []
    try:
        with asker.asking():
            dataset = asker.unchecked.get_dataset(asker.dataset, **PATIENT)
        if location and dataset.location and dataset.location.lower() != location.lower():
            return [f"the dataset {asker.dataset} lies in {dataset.location}, not in {location}; set REVISIT_LOCATION to {dataset.location}"]
        for name, columns in TABLES.items():
            with asker.asking():
                table = asker.unchecked.get_table(f"{asker.dataset}.{name}", **PATIENT)
            faults += _faults(table, columns)
    except GiveUp as error:
        faults.append(str(error))
    return faults


def _faults(table: "bigquery.Table", columns: dict[str, str]) -> list[str]:
    name = f"{table.project}.{table.dataset_id}.{table.table_id}"
    there = {field.name: _SAME.get(field.field_type, field.field_type) for field in table.schema}
    if missing := [column for column in columns if column not in there]:
        return [f"table {name} lacks columns {', '.join(missing)}; it is of another version: {REMEDY}"]
    if other := [f"{column} {there[column]} instead of {kind}" for column, kind in columns.items() if there[column] != kind]:
        return [f"table {name} has {', '.join(other)}; it is of another version: {REMEDY}"]
    return []
