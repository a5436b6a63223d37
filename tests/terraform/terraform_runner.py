"""The real terraform over `provider.py`, on a copy of terraform/ beside the folders it reads."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import skip_or_fail
from import_graph import ROOT

HERE = Path(__file__).parent
PYTHON = ROOT / ".venv-terraform" / "bin" / "python"
"""Of `make setup-test`."""
ARGUMENTS = {
    "alert_email": "ops@lakes.example",
    "billing_account": "012345-678901-ABCDEF",
    "cdse_keys_number": "7",
    "google_sign_in": "client",
    "project": "revisit-lakes",
}
"""Every optional part is requested, so that the plan shows all there is."""
QUERIES = ("console", "show")
"""Commands whose answer is read from stdout."""
LOCAL_BACKEND = 'terraform {\n  backend "local" {}\n}\n'


@contextmanager
def run_providers() -> Iterator[str]:
    """Runs the providers; gives the text for TF_REATTACH_PROVIDERS."""
    if not shutil.which("terraform"):
        skip_or_fail("terraform")
    if not PYTHON.exists():
        skip_or_fail("Terraform's providers in .venv-terraform")
    with subprocess.Popen(
        [PYTHON, HERE / "provider.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process.stdout.readline()
        finally:
            process.stdin.close()


def copy_configuration(folder: Path) -> Path:
    """A copy of terraform/ to run in and to plant errors in; the rest of the checkout is as it is."""
    for name in ("functions", "shared", "web"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(
        ROOT / "terraform",
        folder / "terraform",
        ignore=shutil.ignore_patterns(".terraform*", "build", "*.tfstate*", "*.tfvars"),
    )
    (folder / "terraform" / "backend_override.tf").write_text(LOCAL_BACKEND)
    return folder / "terraform"


@dataclass(frozen=True)
class CommandResult:
    """What one command of terraform did."""

    status: int
    output: str


@dataclass(frozen=True)
class Terraform:
    """terraform in one folder."""

    folder: Path
    reattach: str

    def __call__(self, *command: str, stdin: str | None = None) -> CommandResult:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        environment |= {
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "TF_REATTACH_PROVIDERS": self.reattach,
        }
        ran = subprocess.run(
            ["terraform", *command, *(["-no-color"] if command[0] not in QUERIES else [])],
            cwd=self.folder,
            env=environment,
            input=stdin,
            text=True,
            capture_output=True,
            timeout=280,
        )
        failed = ran.returncode or command[0] not in QUERIES
        return CommandResult(ran.returncode, ran.stdout + ran.stderr if failed else ran.stdout)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of the configuration, without a plan."""
        ran = self("console", *_variables(ARGUMENTS), stdin=f"jsonencode({expression})\n")
        assert ran.status == 0, ran.output
        return json.loads(json.loads(ran.output))

    def plan(self, **arguments: str) -> "Plan":
        """The plan from an empty state."""
        ran = self("plan", "-lock=false", "-out=made.plan", *_variables(ARGUMENTS | arguments))
        assert ran.status == 0, ran.output
        return Plan(json.loads(self("show", "-json", "made.plan").output))


def _variables(values: dict[str, str]) -> list[str]:
    return [f"-var={name}={value}" for name, value in values.items()]


@dataclass(frozen=True)
class Plan:
    """What `terraform apply` would make."""

    raw: dict[str, Any]

    def resources(self, kind: str = "") -> dict[str, dict[str, Any]]:
        """Planned values by address, of one type or of all."""
        planned = self.raw["planned_values"]["root_module"]["resources"]
        return {
            each["address"]: each["values"]
            for each in planned
            if each["mode"] == "managed" and kind in ("", each["type"])
        }

    def resources_by_key(self, kind: str, name: str) -> dict[str, dict[str, Any]]:
        """Planned values of a resource with for_each, by its key."""
        planned = self.raw["planned_values"]["root_module"]["resources"]
        return {
            each["index"]: each["values"] for each in planned if (each["type"], each["name"]) == (kind, name)
        }

    def configured_expressions(self, kind: str) -> dict[str, dict[str, Any]]:
        """What is written for each resource of a type, by address: its arguments, as expressions."""
        return {
            each["address"]: each["expressions"]
            for each in self.raw["configuration"]["root_module"]["resources"]
            if each["mode"] == "managed" and each["type"] == kind
        }

    def data_sources(self, kind: str) -> dict[str, dict[str, Any]]:
        """What data sources were asked, by key."""
        state = self.raw["prior_state"]["values"]["root_module"]["resources"]
        return {each.get("index", ""): each["values"] for each in state if each["type"] == kind}
