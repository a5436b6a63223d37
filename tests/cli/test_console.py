"""Tables, numbers and messages on a terminal."""

import sys
from io import StringIO

import pytest
from rich.console import Console

from revisit.cli import console

JOB = "job_913b891d334f2d48ee86e43a0324b9"


@pytest.fixture
def terminal(monkeypatch):
    def make(width):
        fake = Console(file=StringIO(), width=width, highlight=False)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setattr(console, "stdout_console", lambda: fake)
        return fake.file

    return make


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (120, "SENSED CLEAR COVERAGE NDVI ACQUISITION JOB"),
        (90, "SENSED CLEAR COVERAGE NDVI JOB"),
        (75, "SENSED CLEAR NDVI JOB"),
    ],
)
def test_a_narrow_terminal_drops_columns_and_wraps_no_id(terminal, width, columns):
    output = terminal(width)
    console.print_table(
        ("SENSED", "CLEAR", "COVERAGE", "NDVI", "ACQUISITION", "JOB"),
        [
            (
                "2021-11-21 10:58",
                "92.2 %",
                "100.0 %",
                console.format_value(0.5),
                "S2A_20211121T105331_T31TCJ",
                JOB,
            )
        ],
        ("CLEAR", "COVERAGE", "NDVI"),
        optional=("ACQUISITION", "COVERAGE"),
    )
    header, _, row = output.getvalue().splitlines()
    assert header.split() == columns.split()
    assert "2021-11-21 10:58 " in row
    assert row.rstrip().endswith(JOB)
    assert max(len(line.rstrip()) for line in (header, row)) <= width


def test_values_line_up_at_the_decimal_point():
    assert [console.format_value(value) for value in (0.688, -0.08391, None)] == ["0.6880", "-0.0839", "-"]


def test_a_transient_error_asks_the_user_to_try_again(monkeypatch, capsys):
    from revisit import cli
    from revisit.cli import app
    from revisit.errors import TransientError

    def fail(*arguments, **options):
        raise TransientError("https://example.com does not answer; it is retried later")

    monkeypatch.setattr(app, "app", fail)
    assert cli.run(["refresh"]) == 1
    assert capsys.readouterr().err == "revisit: https://example.com does not answer; try again later\n"
