"""Processes that can be stopped, killed and waited for; each runs one function of `child_tasks`."""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]


def start(task: str, *arguments: Any, **options: Any) -> "subprocess.Popen[str]":
    """Start a child process that runs one of `child_tasks` and prints its result as JSON."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    }
    return subprocess.Popen(
        [sys.executable, "-m", "faults.child_tasks", task, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def fork(run: Callable[[], Any]) -> int:
    """Run a function in a fork of this process; returns the process id."""
    child = os.fork()
    if child:
        return child
    try:
        run()
    except BaseException:  # noqa: BLE001 - a child must never return into its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def kill(child: int, counts: dict[str, int]) -> None:
    """Send SIGKILL, and count whether that ended the child or it had ended before."""
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    counts["kills" if os.WIFSIGNALED(status) else "ended"] += 1


def wait(child: int) -> int:
    """Wait for a child to end; returns its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
