"""Install the packages of a lock file with uv, a line of progress per step.

    python locks/install.py LOCK VENV

Runs in the project's virtual environment, which has uv; uses the standard library only.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

LISTING = re.compile(r" [+~-] ")
"""uv's line per package, which would drown the others."""


def main() -> int:
    """Install one lock file; the exit status is uv's."""
    lock, venv = Path(sys.argv[1]), Path(sys.argv[2])
    count = len(re.findall(r"^[\w.-]+(\[[\w,-]+\])?==", lock.read_text(encoding="utf-8"), re.MULTILINE))
    print(f"Installing {count} packages of {lock} into {venv} ...", flush=True)
    begun = time.monotonic()
    command = [sys.executable, "-m", "uv", "pip", "install", "--python", str(venv / "bin" / "python")]
    options = ["--require-hashes", "--compile-bytecode", "--requirements", str(lock)]
    with subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace"
    ) as process:
        for line in process.stderr or ():
            if not LISTING.match(line):
                print("  " + line.rstrip(), flush=True)
    print(f"  {time.monotonic() - begun:.0f} s", flush=True)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
