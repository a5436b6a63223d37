"""`make test`: the tests, then every benchmark at its quick size, then the figures on one line each."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Run it all; the tests decide the exit status, and a benchmark that breaks does too (one that misses its
    goal does not)."""
    figures: list[str] = []
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder) / "figures"
        os.environ["REVISIT_FIGURES"] = str(measured)
        # One more than there are cores: what tests servers mostly waits for them.
        tests = _run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-n",
                str((os.cpu_count() or 2) + 1),
                "--dist",
                "loadfile",
                "--no-loadscope-reorder",
                *sys.argv[1:],
            ],
            [],
        )
        figures += measured.read_text().splitlines() if measured.exists() else []
    if tests == 0 and not sys.argv[1:]:
        for name in _benchmarks():
            print(f"\n== bench/{name}.py --quick", flush=True)
            if _run([sys.executable, "-m", f"bench.{name}", "--quick"], figures):
                broken.append(name)
    print("\n== Figures")
    print("\n".join(figures) or "none")
    if broken:
        print(f"Broken benchmarks: {', '.join(broken)}")
    return tests or bool(broken)


def _benchmarks() -> list[str]:
    return sorted(
        path.stem
        for path in (ROOT / "bench").glob("*.py")
        if "figure(" in path.read_text() and path.stem != "common"
    )


def _run(command: list[str], figures: list[str]) -> int:
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if line.startswith("FIGURE "):
                figures.append(line.rstrip())
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
