"""checkov finds nothing but what is on a list with a reason each."""

import json
import subprocess
from pathlib import Path

import pytest

from data import skip_or_fail
from figures import figure
from terraform.terraform_runner import HERE, PYTHON, copy_configuration

CHECKOV = PYTHON.with_name("checkov")


def look(folder: Path) -> dict:
    """Everything that checkov says of a folder, asking nobody else."""
    if not CHECKOV.exists():
        skip_or_fail("checkov in .venv-terraform")
    ran = subprocess.run(
        [
            CHECKOV,
            "--directory",
            folder,
            "--framework",
            "terraform",
            "--skip-download",
            "--compact",
            "--output",
            "json",
        ],
        text=True,
        capture_output=True,
        timeout=280,
    )
    return json.loads(ran.stdout)


def found(said: dict) -> set[tuple[str, str]]:
    return {
        (each["check_id"], each["resource"].partition("[")[0]) for each in said["results"]["failed_checks"]
    }


def accepted() -> set[tuple[str, str]]:
    lines = [
        line.split(maxsplit=2)
        for line in (HERE / "checkov.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert all(reason.endswith(".") for _, _, reason in lines)
    return {(check, resource) for check, resource, _ in lines}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return look(copy_configuration(tmp_path_factory.mktemp("checkov")))


def test_checkov_finds_what_is_accepted_and_nothing_else(said):
    assert found(said) == accepted()
    summary = said["summary"]
    assert (summary["parsing_errors"], summary["skipped"]) == (0, 0)
    left = len(found(said) - accepted())
    figure(
        "checkov",
        f"{summary['passed']} passed, {left} findings, {len(accepted())} accepted with a reason "
        f"({summary['failed']} resources)",
    )


def test_checkov_finds_what_is_planted(tmp_path: Path):
    folder = copy_configuration(tmp_path)
    path = folder / "results.tf"
    assert "uniform_bucket_level_access = true" in path.read_text()
    path.write_text(
        path.read_text().replace("uniform_bucket_level_access = true", "uniform_bucket_level_access = false")
    )
    assert ("CKV_GCP_29", "google_storage_bucket.results") in found(look(folder)) - accepted()
