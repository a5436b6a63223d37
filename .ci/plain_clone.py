"""Check of a plain clone: set-up, demo and tests without shared data, emulators and browser.

The clone is made in a folder whose name holds a space and an umlaut, with a PATH without the optional
programs and with LC_ALL=C. The first further Python of the machine, or the default one where there is no
other, runs all tests of that form; every other Python runs the folders of `FAST`.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = re.compile(r"terraform|java|javac|gcloud|gsutil|bq|docker.*|chromium.*|google-chrome.*")
"""Programs that a plain clone may lack."""
FAST = (
    *("geo", "domain", "pixels", "ports", "delivery", "chain", "services", "stac", "functions", "cli", "api"),
    *("adapters", "embedded"),
)
"""Folders of tests that cover each layer in a minute or two."""
MAX_SKIPS = 250
OLDEST = (3, 12)
DEMO_TIMEOUT_S = 300


def main() -> int:
    """Try each Python; returns 0 when all pass."""
    begun = time.monotonic()
    pythons = list(_other_pythons()) or [Path(sys.executable).resolve()]
    with tempfile.TemporaryDirectory(prefix="revisit plain ü ") as folder:
        environment = _environment(Path(folder) / "bin")
        for turn, python in enumerate(pythons):
            clone = Path(folder) / f"clone {turn}"
            _clone(clone)
            print(f"\n== A plain clone with {python}", flush=True)
            if not _passes(clone, python, environment, () if turn == 0 else FAST):
                print(f"\n{python}: a plain clone does not pass", flush=True)
                return 1
            shutil.rmtree(clone)
    print(f"\nplain clones: {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
    return 0


def _passes(clone: Path, python: Path, environment: dict[str, str], folders: tuple[str, ...]) -> bool:
    """Set up, run the demo once, run the tests."""
    data = clone.parent / "demo data"
    tests = [f"tests/{name}" for name in folders if (clone / "tests" / name).is_dir()]
    commands = (
        (["make", ".venv/test.stamp", f"PYTHON={python}"], None),
        ([".venv/bin/revisit", "demo", "--once", "--port", "0", "--data", str(data)], DEMO_TIMEOUT_S),
        ([".venv/bin/python", "tests/run.py", "--max-skips", str(MAX_SKIPS), *tests], None),
    )
    try:
        for command, timeout in commands:
            subprocess.run(command, cwd=clone, env=environment, check=True, timeout=timeout)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(error)
        return False
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return True


def _other_pythons() -> Iterator[Path]:
    """Pythons of other minor versions that start, the newest of each, from PATH and from pyenv."""
    home = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    names = [f"{folder}/python3.*" for folder in os.environ.get("PATH", "").split(os.pathsep)]
    names.append(f"{home}/versions/*/bin/python3.*")
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(path for name in names for path in glob.glob(name)):
        if not re.fullmatch(r"python3\.\d+", Path(path).name):
            continue
        asked = "import sys, venv, ensurepip; print(*sys.version_info[:2], sys.executable)"
        answer = subprocess.run([path, "-c", asked], capture_output=True, text=True, timeout=60)
        if answer.returncode == 0:
            major, minor, executable = answer.stdout.strip().split(" ", 2)
            found[int(major), int(minor)] = Path(executable)
    for version, path in sorted(found.items()):
        if version >= OLDEST and version != sys.version_info[:2]:
            yield path


def _environment(folder: Path) -> dict[str, str]:
    """This environment without the shared data, the optional programs and a locale."""
    folder.mkdir(parents=True)
    for place in reversed(os.environ.get("PATH", os.defpath).split(os.pathsep)):
        for program in Path(place).glob("*") if Path(place).is_dir() else ():
            link = folder / program.name
            if not HIDDEN.fullmatch(program.name) and program.is_file():
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    dropped = ("REVISIT_", "LC_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS", "CLOUDSDK")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PATH": str(folder), "LC_ALL": "C", "REVISIT_SHARED": str(folder.parent / "none")}


def _clone(folder: Path) -> None:
    """Clone the checkout as it is, changes to its tracked files included."""
    changed = subprocess.run(["git", "stash", "create"], cwd=ROOT, capture_output=True, text=True, check=True)
    subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", ROOT, folder], check=True)
    subprocess.run(
        ["git", "checkout", "--quiet", "--detach", changed.stdout.strip() or "HEAD"], cwd=folder, check=True
    )


if __name__ == "__main__":
    sys.exit(main())
