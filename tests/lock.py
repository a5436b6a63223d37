"""`make lock`: renew the pins of the whole suite, then each function's own from what it imports."""

import subprocess
import sys
from pathlib import Path

from import_graph import ROOT, packages_of

LOCKS = ROOT / "locks"
COMPILE = [
    sys.executable,
    "-m",
    "uv",
    "pip",
    "compile",
    "--quiet",
    "--no-header",
    "--generate-hashes",
    "--python-version",
    "3.12",
]


def main() -> None:
    """Write every lock file again; `upgrade` as an argument also moves to the newest versions."""
    upgrade = ["--upgrade"] if "upgrade" in sys.argv else []
    _compile("runtime.in", LOCKS / "runtime.txt", upgrade)
    _compile("test.in", LOCKS / "test.txt", [*upgrade, "--constraint", "runtime.txt"])
    for part in ("tools", "uv"):
        _compile(f"{part}.in", LOCKS / f"{part}.txt", [*upgrade, "--constraint", "test.txt"])
    for apart in ("bqemulator", "terraform"):
        _compile(f"{apart}.in", LOCKS / f"{apart}.txt", upgrade)
    for folder in sorted(path.parent for path in (ROOT / "functions").glob("*/main.py")):
        wanted = LOCKS / "revisit"
        wanted.write_text("\n".join(sorted(packages_of(folder / "main.py"))) + "\n")
        _compile(wanted.name, folder / "requirements.txt", ["--constraint", "runtime.txt"])
        wanted.unlink()


def _compile(source: str, target: Path, options: list[str]) -> None:
    subprocess.run([*COMPILE, *options, source, "--output-file", str(target)], cwd=LOCKS, check=True)


if __name__ == "__main__":
    main()
