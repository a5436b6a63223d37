"""A function as it is deployed: its archive and its own packages in a virtual environment, nothing else."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from deploy.function_archive import build, unpack
from import_graph import ROOT

CACHE = ROOT / ".venv-functions"
"""Environments by function and the hash of its pins, so that only changed pins cost an installation."""
_UV = [sys.executable, "-m", "uv", "--quiet"]


@dataclass(frozen=True)
class InstalledFunction:
    """One function, ready to start."""

    name: str
    folder: Path
    """Of its unpacked archive."""
    environment: Path
    """Of its packages."""

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    @property
    def size(self) -> int:
        """Bytes of its code and packages, and of the bytecode of what it has imported."""
        packages = next((self.environment / "lib").glob("python3*")) / "site-packages"
        return sum(
            path.stat().st_size
            for root in (self.folder, packages)
            for path in root.rglob("*")
            if path.is_file()
        )

    def command(self, port: int) -> list[str]:
        """Starts it as the platform does."""
        return [
            str(self.environment / "bin" / "functions-framework"),
            "--target",
            self.name,
            "--source",
            str(self.folder / "main.py"),
            "--signature-type",
            "http" if self.name == "api" else "cloudevent",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]

    def run(self, program: str, *arguments: str, variables: Mapping[str, str] | None = None) -> Any:
        """What a program prints in a fresh process of the function's, as JSON."""
        done = subprocess.run(
            [self.python, "-c", program, *arguments],
            cwd=self.folder,
            env=base_environment() | (variables or {}),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)


def base_environment() -> dict[str, str]:
    """The environment of a deployed function as far as it is the same in every deployment, and nothing of the
    tests' own."""
    given = dict(
        re.findall(
            r'^ +([A-Z_]+) += "(\w+)"$', (ROOT / "terraform" / "functions.tf").read_text(), re.MULTILINE
        )
    )
    return {"PATH": os.defpath, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", **given}


def install(function: str, folder: Path) -> InstalledFunction:
    """Build a function's archive, unpack it into a folder, install what its requirements.txt pins.

    Nothing is compiled ahead, which would take six times as long as what the functions import.
    """
    archive = folder / f"{function}.zip"
    build(function, archive)
    code = folder / function
    unpack(archive, code)
    return InstalledFunction(function, code, _make_environment(function, code / "requirements.txt"))


def _make_environment(function: str, requirements: Path) -> Path:
    mark = sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = CACHE / f"{function}-{mark}"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{function}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            for old in CACHE.glob(f"{function}-*"):
                shutil.rmtree(old)
            subprocess.run([*_UV, "venv", "--python", sys.executable, place], check=True)
            subprocess.run(
                [
                    *_UV,
                    "pip",
                    "install",
                    "--python",
                    place / "bin" / "python",
                    "--require-hashes",
                    "--requirements",
                    requirements,
                ],
                check=True,
            )
            (place / "complete").touch()
    return place


def parse_imported_modules(log: str) -> set[str]:
    """Modules that a process with PYTHONPROFILEIMPORTTIME loaded, from what it wrote."""
    return set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", log, re.MULTILINE))
