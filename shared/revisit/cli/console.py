"""What people see: tables on stdout, sentences and progress on stderr; machines get JSON or CSV on stdout and
nothing else."""

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
    """A text without characters that would steer a terminal."""
    return "".join(
        one if one in "\n\t" or not unicodedata.category(one).startswith("C") else "\N{REPLACEMENT CHARACTER}"
        for one in str(value)
    )


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_csv(text: str) -> None:
    """CSV on stdout, its line ends as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())


def print_message(message: str) -> None:
    """One line on stderr."""
    print(strip_control_characters(message), file=sys.stderr)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    numeric: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """A table on stdout: drawn for a terminal, separated by tabs for a pipe; without a header where no column
    has a name.

    Args:
        numeric: Columns set to the right.
        spare: Columns left out, the first named first, where the terminal is too narrow to show them
            unbroken.
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
            len(name), *(cell_len(strip_control_characters(format_cell(row[place]))) for row in rows), 0
        )
        for place, name in enumerate(columns)
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
    places = [place for place, name in enumerate(columns) if name in kept]
    for place in places:
        table.add_column(
            columns[place],
            justify="right" if columns[place] in numeric else "left",
            overflow="fold",
            min_width=min(widths[columns[place]], _MAX_UNFOLDED_WIDTH) if named else None,
        )
    for row in rows:
        table.add_row(
            *(
                Text(
                    strip_control_characters(format_cell(row[place])), style=_STYLES.get(str(row[place]), "")
                )
                for place in places
            )
        )
    stdout_console().print(table)


_MAX_UNFOLDED_WIDTH = 34
"""Characters of a cell that are not folded: a moment, a number, an id."""
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
    """A cell as people read it."""
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def format_value(value: float | None) -> str:
    """An index or a reflectance as people read it, its decimals one below the other."""
    return "-" if value is None else f"{value:.4f}"


def format_minute(moment: str | None) -> str | None:
    """An instant to the minute: 2024-06-01 10:30, UTC."""
    return moment[:16].replace("T", " ") if moment else None


def format_percent(share: float | None) -> str:
    """A share from 0 to 1 as people read it."""
    return "-" if share is None else f"{100 * share:.1f} %"


@cache
def stdout_console() -> "Console":
    """Standard output, with colours where it is a terminal and NO_COLOR is not set."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def stderr_console() -> "Console":
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def show_status(message: str) -> Iterator[None]:
    """Show that something takes its time, on a terminal only."""
    if not sys.stderr.isatty():
        yield
        return
    with stderr_console().status(strip_control_characters(message)):
        yield


@contextmanager
def show_progress(message: str, total: int) -> Iterator["Progress | None"]:
    """A bar on stderr that fills from 0 to `total`; None where stderr is no terminal."""
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
    """Show on a terminal how many bytes have come; to a pipe, one line a file once it is there."""
    if not sys.stderr.isatty():
        seen: dict[str, int] = {}

        def count(file: "SourceFile", more: int) -> None:
            seen[file.path] = seen.get(file.path, 0) + more

        yield count
        for path, size in seen.items():
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

        def advance(file: "SourceFile", more: int) -> None:
            bar.update(task, advance=more, description=strip_control_characters(file.path.rpartition("/")[2]))

        yield advance
