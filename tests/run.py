"""`make test`: the tests, with `make check` beside them, then the figures that tests measure.

Arguments are passed on to pytest, and replace the check.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORKERS = (os.cpu_count() or 2) + 1
"""One more than there are cores, since tests of servers mostly wait for them."""


def main() -> int:
    """Run both; returns 0 when both pass."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures"
        with (Path(folder) / "check").open("w+") as output, _check(output, not sys.argv[1:]) as check:
            tests = subprocess.call(
                [
                    *(sys.executable, "-m", "pytest", "--numprocesses", str(WORKERS)),
                    *("--dist", "loadscope", "--no-loadscope-reorder", "--durations", "20"),
                    *sys.argv[1:],
                ],
                cwd=ROOT,
                env={**os.environ, "REVISIT_FIGURES": str(figures)},
            )
            checked = check.wait() if check else 0
            output.seek(0)
            if check:
                print(f"\n== make check\n{output.read().strip() or 'nothing found'}")
        print("\n== Figures of the tests")
        print(figures.read_text().strip() if figures.exists() else "none")
    print(f"\n{(time.monotonic() - begun) / 60:.1f} minutes")
    return tests or checked


@contextmanager
def _check(output: object, wanted: bool) -> Iterator["subprocess.Popen[str] | None"]:
    """Run `make check` at a low priority, its output kept for the end."""
    if not wanted:
        yield None
        return
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    process = subprocess.Popen(
        ["nice", "make", "--no-print-directory", "check"],
        cwd=ROOT,
        env=inherited,
        stdin=subprocess.DEVNULL,
        stdout=output,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
