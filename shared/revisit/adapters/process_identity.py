"""Which process holds something, and whether that process still lives: what a killed one held can be freed at
once."""

import os
import platform
from functools import lru_cache
from pathlib import Path


def process_name() -> str:
    """Name of the running process, unlike that of any process before: host.pid.start."""
    return _process_name(os.getpid())


def has_ended(process: str) -> bool:
    """Whether the process so named is known to have ended; one on another host, or with a name that is none,
    is not judged."""
    name, _, start = process.rpartition(".")
    host, _, pid = name.rpartition(".")
    return host == _host() and pid.isdecimal() and _start_time(int(pid)) != start


@lru_cache(maxsize=4)
def _process_name(pid: int) -> str:
    return f"{_host()}.{pid}.{_start_time(pid)}"


@lru_cache(maxsize=1)
def _host() -> str:
    """The host's name, fit for a file name."""
    return (
        "".join(letter if letter.isalnum() or letter == "-" else "-" for letter in platform.node()) or "host"
    )


def _start_time(pid: int) -> str:
    """When the process started, in clock ticks since boot (proc(5), /proc/[pid]/stat field 22); empty if it
    has ended."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return _start_time_without_proc(pid)
    return "" if state in "ZX" else rest[18]


def _start_time_without_proc(pid: int) -> str:
    """Where there is no /proc only the existence of the process can be asked for."""
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "0"
    return "0"
