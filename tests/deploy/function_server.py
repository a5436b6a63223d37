"""An installed function as a process of its own, with the environment of a deployed one and no more."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.function_install import InstalledFunction, base_environment, parse_imported_modules
from emulators import die_with_parent
from emulators.function_servers import Function


@dataclass
class FunctionServer(Function):
    """One installed function's server."""

    installed: InstalledFunction = field(kw_only=True)

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                die_with_parent(self.installed.command(self.port)),
                cwd=self.installed.folder,
                env=base_environment() | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def lines(self) -> list[dict[str, Any]]:
        """What it logged of the events it handled."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in map(json.loads, lines) if "outcome" in line]

    def modules(self) -> set[str]:
        """What it has imported so far."""
        return parse_imported_modules(self.log.read_text())

    def memory(self) -> int:
        """Bytes of its processes, what they share counted once."""
        return sum(_memory_of(pid) for pid in _pids_of_group(self.process.pid)) if self.process else 0


def make_server(installed: InstalledFunction, variables: Mapping[str, str], folder: Path) -> FunctionServer:
    """A server for a function, not yet started; it notes what it imports."""
    noting = {"PYTHONPROFILEIMPORTTIME": "1", "PYTHONUNBUFFERED": "1"}
    return FunctionServer(
        installed.name, {**variables, **noting}, folder / f"{installed.name}.log", installed=installed
    )


def _pids_of_group(leader: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            group = stat.read_text().rpartition(")")[2].split()[2]
        except OSError:
            continue
        if int(group) == leader:
            found.append(int(stat.parent.name))
    return found


def _memory_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
