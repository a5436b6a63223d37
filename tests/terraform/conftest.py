"""One folder and one plan for all tests of a file."""

from pathlib import Path

import pytest

from terraform.offline import Plan, Terraform, copied, providers

SMALL = '{"include": ["revisit/__init__.py"], "exclude": []}'
"""What is vendored matters to `test_archive` only, and takes terraform many seconds."""


@pytest.fixture(scope="session")
def reattach():
    with providers() as told:
        yield told


@pytest.fixture
def planted(reattach: str, tmp_path: Path):
    """A deployment of one's own to spoil."""
    return small(tmp_path, reattach)


@pytest.fixture(scope="session")
def deployment(reattach: str, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return small(tmp_path_factory.mktemp("deployment"), reattach)


@pytest.fixture(scope="session")
def plan(deployment: Terraform) -> Plan:
    return deployment.plan()


def small(folder: Path, reattach: str) -> Terraform:
    terraform = Terraform(copied(folder), reattach)
    (terraform.folder / "archive.json").write_text(SMALL)
    assert terraform("init").status == 0
    return terraform
