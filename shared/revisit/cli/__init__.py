"""The command `revisit`: results on stdout, progress and sentences on stderr.

Exit codes: 0 well done; 1 a job failed, or try again later; 2 what was asked makes no sense: one line on
stderr.
"""

import os
import sys
from collections.abc import Sequence

from revisit.errors import PermanentError, TransientError


def main() -> None:
    """The entry point."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = code or 1
    # Without the interpreter's own end, which takes the libraries down under threads that may still be at
    # work. Stdout is flushed,
    # and whatever is kept is on the disk since its commit.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    # Typer carries its own copy of Click, whose errors have no public name; `tests/cli` sees when they
    # change.
    from typer import Abort
    from typer._click.exceptions import ClickException, NoArgsIsHelpError

    from revisit.cli.app import app

    try:
        code = app(list(arguments), prog_name="revisit", standalone_mode=False)
    except NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except ClickException as error:
        return _print_error(error.format_message(), 2)
    except Abort:
        return _print_error("stopped", 130)
    except PermanentError as error:
        return _print_error(str(error), 2)
    except TransientError as error:
        # A server tries again by itself; who typed a command does it.
        return _print_error(
            f"{str(error).removesuffix('; it is tried again later').removesuffix('; it is read again later')}; try again later",
            1,
        )
    except KeyboardInterrupt:
        return _print_error("stopped", 130)
    except BrokenPipeError:
        return 1
    except OSError as error:
        return _print_error(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    return code if isinstance(code, int) else 0


def _print_error(message: str, code: int) -> int:
    from revisit.cli.console import strip_control_characters

    print(f"revisit: {' '.join(strip_control_characters(message).split())}", file=sys.stderr)
    return code
