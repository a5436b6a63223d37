"""Identity of a process across restarts, so that what a killed process held can be released at once."""

import os
import platform
from functools import lru_cache
from pathlib import Path


def process_name() -> str:
    """Unique name of the running process: host.pid.start."""
    return _process_name(os.getpid())


def has_ended(process: str) -> bool:
    """Whether a process is known to have ended; False for one on another host, and for an invalid name."""
    name, _, start = process.rpartition(".")
    host, _, pid = name.rpartition(".")
    return host == _host() and pid.isdecimal() and _start_time(int(pid)) != start


@lru_cache(maxsize=4)
def _process_name(pid: int) -> str:
    return f"{_host()}.{pid}.{_start_time(pid)}"


@lru_cache(maxsize=1)
def _host() -> str:
    """The host's name, safe for file names."""
    return (
        "".join(letter if letter.isalnum() or letter == "-" else "-" for letter in platform.node()) or "host"
    )


def _start_time(pid: int) -> str:
    """Start of a process in clock ticks since boot (proc(5), /proc/[pid]/stat, field 22); empty if it has
    ended."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return _start_time_without_proc(pid)
    return "" if state in "ZX" else rest[18]


def _start_time_without_proc(pid: int) -> str:
    """Without /proc only the existence of a process can be checked."""
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "0"
    return "0"
