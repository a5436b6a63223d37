"""Output for the terminal: tables, JSON and CSV on stdout, messages and progress on stderr."""

import io
import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from revisit.domain.bands import SourceFile


def strip_control_characters(value: Any) -> str:
    """Replace characters that control a terminal."""
    return "".join(
        character
        if character in "\n\t" or not unicodedata.category(character).startswith("C")
        else "\N{REPLACEMENT CHARACTER}"
        for character in str(value)
    )


def allow_every_character() -> None:
    """Write characters that the encoding of stdout or stderr lacks as escapes, such as \\u5317."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any) -> None:
    """Print one JSON document on stdout, in ASCII unless stdout is UTF-8."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "").replace("_", "") == "utf8"
    print(json.dumps(value, indent=2, ensure_ascii=not is_utf8, allow_nan=False))


def print_csv(text: str) -> None:
    """Print CSV on stdout with its own line endings."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())


def print_message(message: str) -> None:
    """Print one line on stderr."""
    print(strip_control_characters(message), file=sys.stderr)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    numeric: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Print a table on stdout: aligned on a terminal, tab-separated in a pipe.

    Args:
        columns: Column names.
        rows: One sequence of cells per row.
        numeric: Names of right-aligned columns.
        optional: Names of columns to leave out, in this order, on a terminal too narrow for all columns.
    """
    named = any(columns)
    if not sys.stdout.isatty():
        if named:
            print("\t".join(columns))
        for row in rows:
            print("\t".join(" ".join(strip_control_characters(format_cell(cell)).split()) for cell in row))
        return
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    widths = {
        name: max(
            len(name), *(cell_len(strip_control_characters(format_cell(row[position]))) for row in rows), 0
        )
        for position, name in enumerate(columns)
    }
    kept = list(columns)
    for name in optional:
        if name in kept and sum(widths[column] + 2 for column in kept) - 2 > stdout_console().width:
            kept.remove(name)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        show_header=named,
        header_style="bold",
    )
    positions = [position for position, name in enumerate(columns) if name in kept]
    for position in positions:
        table.add_column(
            columns[position],
            justify="right" if columns[position] in numeric else "left",
            overflow="fold",
            min_width=min(widths[columns[position]], _MAX_UNFOLDED_WIDTH) if named else None,
        )
    for row in rows:
        table.add_row(
            *(
                Text(
                    strip_control_characters(format_cell(row[position])),
                    style=_STYLES.get(str(row[position]), ""),
                )
                for position in positions
            )
        )
    stdout_console().print(table)


_MAX_UNFOLDED_WIDTH = 34
"""Cells up to this many characters are never wrapped: times, numbers, ids."""
_STYLES = {
    "done": "green",
    "failed": "red",
    "skipped": "dim",
    "active": "green",
    "paused": "yellow",
    "finished": "green",
    "PROBLEM": "red",
}


def format_cell(cell: Any) -> str:
    """A table cell; numbers have four significant digits."""
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def format_value(value: float | None) -> str:
    """An index or reflectance with four decimals, so that a column lines up."""
    return "-" if value is None else f"{value:.4f}"


def format_minute(moment: str | None) -> str | None:
    """A UTC instant to the minute, such as 2024-06-01 10:30."""
    return moment[:16].replace("T", " ") if moment else None


def format_percent(share: float | None) -> str:
    """A share from 0 to 1 as a percentage."""
    return "-" if share is None else f"{100 * share:.1f} %"


@cache
def stdout_console() -> "Console":
    """The console of standard output, in colour on a terminal unless NO_COLOR is set."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def stderr_console() -> "Console":
    """The console of standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def show_status(message: str) -> Iterator[None]:
    """Show a spinner with a message while the block runs, on a terminal only."""
    if not sys.stderr.isatty():
        yield
        return
    with stderr_console().status(strip_control_characters(message)):
        yield


@contextmanager
def show_progress(message: str, total: int) -> Iterator["Progress | None"]:
    """Show a progress bar from 0 to `total` on stderr; yields None if stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=stderr_console(),
        transient=True,
    ) as bar:
        bar.add_task(message, total=total)
        yield bar


@contextmanager
def show_transfer(name: str) -> "Iterator[Callable[[SourceFile, int], None]]":
    """Show the bytes received so far; in a pipe, print one line per finished file."""
    if not sys.stderr.isatty():
        received: dict[str, int] = {}

        def count(file: "SourceFile", size: int) -> None:
            received[file.path] = received.get(file.path, 0) + size

        yield count
        for path, size in received.items():
            print_message(f"{path}  {size:,} bytes")
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=stderr_console(),
        transient=True,
    ) as bar:
        task = bar.add_task(strip_control_characters(name), total=None)

        def advance(file: "SourceFile", size: int) -> None:
            bar.update(task, advance=size, description=strip_control_characters(file.path.rpartition("/")[2]))

        yield advance
