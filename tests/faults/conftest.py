"""Where the faults happen."""

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
    """A folder in memory where there is one: for faults that are played, not waited for."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="revisit-test-", dir=shared)) if shared.is_dir() else tmp_path
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def run_in_child() -> Callable[..., Any]:
    """Runs one of the `roles` in a process of its own, and gives its result."""

    def run(task: str, *arguments: Any) -> Any:
        with start(task, *arguments) as process:
            told = process.stdout.read()
        assert process.returncode == 0
        return json.loads(told)

    return run
