"""`python -m bench`: every benchmark, one after another, and their figures at the end.

The exit status says whether one broke; a missed goal is no failure, since other processes share the machine.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run each benchmark in its own process; options are passed on (`--quick`)."""
    figures: list[str] = []
    broken: list[str] = []
    for name in benchmarks():
        print(f"\n== bench/{name}.py {' '.join(sys.argv[1:])}", flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *sys.argv[1:]]
        with subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                if line.startswith("FIGURE "):
                    figures.append(line.rstrip())
        if process.returncode:
            broken.append(name)
    print("\n== Figures of the benchmarks")
    print("\n".join(figures) or "none")
    if broken:
        print(f"Broken benchmarks: {', '.join(broken)}")
    return bool(broken)


def benchmarks() -> list[str]:
    """The modules that print figures."""
    return sorted(
        path.stem
        for path in HERE.glob("*.py")
        if "figure(" in path.read_text() and path.stem not in ("common", "__main__")
    )


if __name__ == "__main__":
    sys.exit(main())
