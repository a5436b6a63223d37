"""One folder and one plan for all tests of a file."""

from pathlib import Path

import pytest

from terraform.terraform_runner import Plan, Terraform, copy_configuration, run_providers

SMALL = '{"include": ["revisit/*.py", "revisit/net/*.py"], "exclude": ["revisit/__main__.py"]}'
"""A few files that archives hold: Terraform takes many seconds for an archive of all."""


@pytest.fixture(scope="session")
def reattach():
    with run_providers() as result:
        yield result


@pytest.fixture
def scratch_deployment(reattach: str, tmp_path: Path):
    """A private deployment that the test may break."""
    return make_small_deployment(tmp_path, reattach)


@pytest.fixture(scope="session")
def deployment(reattach: str, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return make_small_deployment(tmp_path_factory.mktemp("deployment"), reattach)


@pytest.fixture(scope="session")
def plan(deployment: Terraform) -> Plan:
    return deployment.plan()


def make_small_deployment(folder: Path, reattach: str) -> Terraform:
    terraform = Terraform(copy_configuration(folder), reattach)
    (terraform.folder / "archive.json").write_text(SMALL)
    assert terraform("init").status == 0
    return terraform
