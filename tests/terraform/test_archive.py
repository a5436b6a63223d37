"""Each function is given the shared code it imports, and nothing that only one computer needs.

Terraform packs the vendored files beside each function's own. A plan over a few of them shows how they are
packed; Terraform lists all of them without a plan, since a plan over all files takes minutes.
"""

import re

import pytest

from deploy.function_archive import vendored_files
from figures import figure
from import_graph import ROOT, SHARED, module_files, reachable_files
from terraform.terraform_runner import Plan, Terraform, copy_configuration

FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))
HOMES = ("revisit.adapters.local", "revisit.embedded", "revisit.cli", "revisit.demo", "revisit.__main__")
"""Looked up by name where they are wanted, or never imported by a function."""


@pytest.fixture(scope="module")
def archives(plan: Plan) -> dict[str, dict[str, str]]:
    """Function -> name in its archive -> content, where few files are vendored."""
    return {
        name: {source["filename"]: source["content"] for source in values["source"]}
        for name, values in plan.data_sources("archive_file").items()
    }


@pytest.fixture(scope="module")
def vendored(reattach: str, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Files of shared/ that a deployment packs into every archive."""
    terraform = Terraform(copy_configuration(tmp_path_factory.mktemp("archive")), reattach)
    assert terraform("init").status == 0
    return set(terraform.evaluate("local.vendored_files"))


def test_every_function_has_an_archive(archives, vendored):
    assert sorted(archives) == FUNCTIONS
    figure("terraform: files in a function's archive", str(len(vendored | {"main.py", "requirements.txt"})))


def test_an_archive_holds_the_functions_own_files_and_the_vendored_ones_as_they_are(archives, deployment):
    some = {name: (SHARED / name).read_text() for name in deployment.evaluate("local.vendored_files")}
    assert {"revisit/errors.py", "revisit/net/retry.py"} <= some.keys()
    for function, files in archives.items():
        own = {
            name: (ROOT / "functions" / function / name).read_text()
            for name in ("main.py", "requirements.txt")
        }
        assert files == own | some


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_module_that_the_function_reaches_is_vendored(function, vendored):
    needed = reachable_files(ROOT / "functions" / function / "main.py", excluded=HOMES)
    assert {str(path.relative_to(SHARED)) for path in needed if path.is_relative_to(SHARED)} <= vendored
    assert "revisit/adapters/gcp/backend.py" in vendored


def test_nothing_of_the_homes_on_one_computer_is_vendored(vendored):
    homes = {str(path.relative_to(SHARED)) for name, path in module_files().items() if name.startswith(HOMES)}
    assert homes
    assert not homes & vendored


def test_functions_are_tested_from_the_files_that_terraform_vendors(vendored):
    assert vendored == vendored_files()


def test_all_of_the_package_but_the_homes_is_vendored(vendored):
    """So that a data file added to the package is not forgotten."""
    every = {
        str(path.relative_to(SHARED))
        for path in (SHARED / "revisit").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    homes = {
        name
        for name in every
        if re.match(r"revisit/(adapters/local|embedded|cli|demo)/|revisit/__main__", name)
    }
    assert vendored == every - homes
