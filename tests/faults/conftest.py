"""Fixtures for tests that inject faults."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.processes import start


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory if the machine has one: these faults are simulated, so the disk need not be real."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="revisit-test-", dir=shared)) if shared.is_dir() else tmp_path
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def run_in_child() -> Callable[..., Any]:
    """Runs one of `child_tasks` in a child process and returns its result."""

    def run(task: str, *arguments: Any) -> Any:
        with start(task, *arguments) as process:
            output = process.stdout.read()
        assert process.returncode == 0
        return json.loads(output)

    return run
