"""The command `revisit`: results go to stdout, progress and messages to stderr.

Exit codes: 0 success; 1 a job failed, or a transient error; 2 invalid input. Errors are one line on stderr.
"""

import os
import re
import sys
from collections.abc import Sequence

from revisit.errors import PermanentError, TransientError

_RETRY_NOTE = re.compile(r"; it is \w+( again)? later$")
"""Ending of a transient error that promises an automatic retry."""


def main() -> None:
    """Run the command line and exit."""
    from revisit.cli.console import allow_every_character

    allow_every_character()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = code or 1
    # Skip the interpreter's shutdown: it unloads libraries under threads that may still be running. Stdout is
    # flushed, and all records are on disk since their commit.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    # Typer bundles its own copy of Click, whose errors have no public name; `tests/cli` notices a change.
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
        # A server retries by itself; on the command line the user does.
        return _print_error(f"{_RETRY_NOTE.sub('', str(error))}; try again later", 1)
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
