"""Each function is given the shared code it imports, and nothing that only one computer needs."""

import re
from pathlib import Path

import pytest

from deploy.function_archive import vendored_files
from figures import figure
from import_graph import ROOT, SHARED, module_files, reachable_files
from terraform.terraform_runner import Terraform, copy_configuration

FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))
HOMES = ("revisit.adapters.local", "revisit.embedded", "revisit.cli", "revisit.demo", "revisit.__main__")
"""Looked up by name where they are wanted, or never imported by a function."""


@pytest.fixture(scope="module")
def archives(reattach: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Function -> name in its archive -> content."""
    terraform = Terraform(copy_configuration(tmp_path_factory.mktemp("archive")), reattach)
    assert terraform("init").status == 0
    asked = terraform.plan().data_sources("archive_file")
    return {
        name: {source["filename"]: source["content"] for source in values["source"]}
        for name, values in asked.items()
    }


def test_every_function_has_an_archive(archives):
    assert sorted(archives) == FUNCTIONS
    figure("terraform: files in a function's archive", str(len(archives["extract"])))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_archive_holds_the_functions_own_files_as_they_are(function, archives):
    for name in ("main.py", "requirements.txt"):
        assert archives[function][name] == (ROOT / "functions" / function / name).read_text()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_archive_holds_every_module_that_the_function_reaches(function, archives):
    needed = reachable_files(ROOT / "functions" / function / "main.py", excluded=HOMES)
    names = {str(path.relative_to(SHARED)) for path in needed if path.is_relative_to(SHARED)}
    assert names <= set(archives[function])
    assert "revisit/adapters/gcp/backend.py" in archives[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_archive_holds_nothing_of_the_homes_on_one_computer(function, archives):
    homes = {str(path.relative_to(SHARED)) for name, path in module_files().items() if name.startswith(HOMES)}
    assert homes
    assert not homes & set(archives[function])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_tested_from_the_files_that_terraform_vendors(function, archives):
    assert set(archives[function]) == vendored_files() | {"main.py", "requirements.txt"}


def test_an_archive_is_all_of_the_package_but_the_homes(archives):
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
    assert set(archives["api"]) - {"main.py", "requirements.txt"} == every - homes
    assert all(archives["api"][name] == Path(SHARED, name).read_text() for name in every - homes)
