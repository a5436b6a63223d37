"""BigQuery, emulated by bqemulator in its own virtual environment, since it needs other package versions."""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data import skip_or_fail
from emulators import ROOT, Emulator
from emulators.storage import call_json
from revisit.adapters.gcp.bigquery_client import create_client
from revisit.adapters.gcp.settings import Settings

SCHEMAS = ROOT / "terraform" / "schemas"
LAYOUTS = {
    "product": "PARTITION BY TIMESTAMP_TRUNC(sensing_time, MONTH) CLUSTER BY tile, source, level",
    "addition": "",
    "turn": "",
}
"""The tables, and how Terraform lays them out."""

TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""Types of a schema as DDL has them: the emulator takes FLOAT for one of 32 bits."""

_START = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); "
    "from emulators.bigquery_server import main; main()"
)
_PYTHON = ROOT / ".venv-bqemulator" / "bin" / "python"


@dataclass
class BigQueryEmulator(Emulator):
    """The emulator, and the folder that serves as its home while it runs."""

    home: Path = field(default=Path(), init=False)

    def launch(self, environment: Mapping[str, str] | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="bqemulator-"))
        super().launch(environment)

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.home, ignore_errors=True)


def bigquery(log: Path | None = None) -> BigQueryEmulator:
    """BigQuery."""
    if not _PYTHON.exists():
        skip_or_fail("bqemulator in .venv-bqemulator")
    emulator = BigQueryEmulator(
        lambda port: [
            sys.executable,
            "-c",
            _START,
            "--python",
            _PYTHON,
            "--home",
            emulator.home,
            "--port",
            str(port),
        ],
        "BIGQUERY_EMULATOR_HOST",
        "http://127.0.0.1:{port}",
        log=log,
    )
    return emulator


def set_faults(host: str, project: str, *faults: dict[str, Any]) -> None:
    """Make queries of a project fail.

    Args:
        faults: Each has `times`, how many queries fail; `text`, a regular expression that their text matches;
            and the answer's `status`, `reason` and `message`.
    """
    call_json(f"{host}/_server/faults/{project}", list(faults))


def recorded_jobs(host: str, project: str) -> list[dict[str, Any]]:
    """The jobs of a project so far: path and body."""
    return list(call_json(f"{host}/_server/requests/{project}"))


def set_running_answers(host: str, project: str, answers: int) -> None:
    """Report the load jobs of a project as running in that many more answers."""
    call_json(f"{host}/_server/running/{project}", answers)


def create_catalog(settings: Settings) -> None:
    """Make the dataset and the tables that Terraform makes, by the same schemas."""
    client = create_client(settings)
    client.create_dataset(f"{settings.project}.{settings.dataset}")
    for statement in table_ddl(f"{settings.project}.{settings.dataset}"):
        client.query(statement).result()


def empty_catalog(settings: Settings) -> None:
    """Delete all rows of the tables."""
    dataset = f"{settings.project}.{settings.dataset}"
    statements = [f"TRUNCATE TABLE `{dataset}.{name}`" for name in LAYOUTS]
    create_client(settings).query("; ".join(statements)).result()


def table_ddl(dataset: str) -> list[str]:
    """DDL of the tables in `terraform/schemas`."""
    found = []
    for name, layout in LAYOUTS.items():
        columns = ", ".join(
            f"{column['name']} {TYPES.get(column['type'], column['type'])}"
            + (" NOT NULL" if column["mode"] == "REQUIRED" else "")
            for column in json.loads((SCHEMAS / f"{name}.json").read_text())
        )
        found.append(f"CREATE TABLE `{dataset}.{name}` ({columns}) {layout}")
    return found
