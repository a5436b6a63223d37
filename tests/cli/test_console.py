"""Tables on a terminal."""

import sys
from io import StringIO

import pytest
from rich.console import Console

from revisit.cli import console as screen

JOB = "job_913b891d334f2d48ee86e43a0324b9"


@pytest.fixture
def terminal(monkeypatch):
    def of(width):
        console = Console(file=StringIO(), width=width, highlight=False)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setattr(screen, "stdout_console", lambda: console)
        return console.file

    return of


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (120, "SENSED CLEAR COVERED NDVI ACQUISITION JOB"),
        (90, "SENSED CLEAR COVERED NDVI JOB"),
        (75, "SENSED CLEAR NDVI JOB"),
    ],
)
def test_a_narrow_terminal_loses_columns_and_breaks_no_id(terminal, width, columns):
    shown = terminal(width)
    screen.print_table(
        ("SENSED", "CLEAR", "COVERED", "NDVI", "ACQUISITION", "JOB"),
        [
            (
                "2021-11-21 10:58",
                "92.2 %",
                "100.0 %",
                screen.format_value(0.5),
                "S2A_20211121T105331_T31TCJ",
                JOB,
            )
        ],
        ("CLEAR", "COVERED", "NDVI"),
        optional=("ACQUISITION", "COVERED"),
    )
    head, _, row = shown.getvalue().splitlines()
    assert head.split() == columns.split()
    assert "2021-11-21 10:58 " in row
    assert row.rstrip().endswith(JOB)
    assert max(len(line.rstrip()) for line in (head, row)) <= width


def test_measured_values_line_up_at_the_point():
    assert [screen.format_value(value) for value in (0.688, -0.08391, None)] == ["0.6880", "-0.0839", "-"]


def test_who_typed_a_command_is_not_told_that_it_is_tried_again_by_itself(monkeypatch, capsys):
    from revisit import cli
    from revisit.cli import app
    from revisit.errors import TransientError

    def silent(*arguments, **options):
        raise TransientError("https://example.com does not answer; it is tried again later")

    monkeypatch.setattr(app, "app", silent)
    assert cli.run(["refresh"]) == 1
    assert capsys.readouterr().err == "revisit: https://example.com does not answer; try again later\n"
