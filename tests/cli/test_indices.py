"""`revisit indices`, and the list that `--index` takes."""

import json

import pytest

from revisit.cli import run
from revisit.cli.options import split_indices


def run_command(capsys, *arguments: str, code: int = 0) -> tuple[str, str]:
    assert run(arguments) == code
    return capsys.readouterr()


@pytest.mark.parametrize("command", [("indices",), ("indices", "list")])
def test_indices_are_listed_and_searched(capsys, command):
    rows = [line.split("\t") for line in run_command(capsys, *command)[0].splitlines()]
    assert rows[0] == ["NAME", "USE", "BANDS", "TITLE", "FORMULA"] and len(rows) == 1 + 249
    assert rows[1][0] == "NDVI" and rows[1][4] == "(B08 - B04) / (B08 + B04)"
    found = json.loads(run_command(capsys, *command, "--search", "Burn b12", "--json")[0])["indices"]
    assert found[0]["name"] == "NBR" and all("B12" in one["bands"] for one in found)
    assert "no index matches" in run_command(capsys, *command, "--search", "zzz")[1]


def test_an_index_is_shown_with_its_constants(capsys):
    out, _ = run_command(capsys, "indices", "show", "ndvi")
    assert "range\t-1 to 1" in out and "source\thttps://ntrs.nasa.gov" in out
    out, _ = run_command(capsys, "indices", "show", "CRSWIR")
    assert "lambdaS2 = 2185.7, lambdaN2 = 864, lambdaS1 = 1610.4" in out and "range\tnot stated" in out
    out, _ = run_command(capsys, "indices", "show", "wet=(b8a-b11)/(b8a+b11)")
    assert "formula\t(B8A - B11) / (B8A + B11)" in out
    assert "did you mean NDVI" in run_command(capsys, "indices", "show", "NDVX", code=2)[1]
    assert "at character 3" in run_command(capsys, "indices", "show", "x=(B08", code=2)[1]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("NDVI, EVI,", ("NDVI", "EVI")),
        ("x=min(B08,max(B04,1)),EVI,y=B04", ("x=min(B08,max(B04,1))", "EVI", "y=B04")),
        ("x=(B08,NDVI", ("x=(B08,NDVI",)),
        ("x=B08),NDVI", ("x=B08)", "NDVI")),
    ],
)
def test_commas_within_parentheses_separate_nothing(text, parts):
    assert split_indices(text) == parts
