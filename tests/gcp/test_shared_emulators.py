"""The emulators that all workers of a run share: one start, and no process left at the end."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from emulators import Emulator, is_listening
from emulators.shared import EmulatorOwner, request_ports
from emulators.storage import storage

NAME = "STORAGE_EMULATOR_HOST"
OWNER_PROGRAM = f"""
import time
from emulators.shared import EmulatorOwner, request_ports
from emulators.storage import storage
owner = EmulatorOwner({{"{NAME}": storage}})
print(request_ports(owner.address)["{NAME}"], flush=True)
time.sleep(60)
"""


def ended(port: int) -> bool:
    """Whether the port is closed within ten seconds."""
    until = time.monotonic() + 10
    while is_listening(port) and time.monotonic() < until:
        time.sleep(0.05)
    return not is_listening(port)


def test_workers_that_ask_at_once_share_one_emulator_which_stops_with_the_owner():
    owner, ports = EmulatorOwner({NAME: storage}), []
    workers = [threading.Thread(target=lambda: ports.append(request_ports(owner.address))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(ports) == 4 and all(each == ports[0] for each in ports) and is_listening(ports[0][NAME])
    owner.stop()
    assert ended(ports[0][NAME]) and not Path(owner.address).parent.exists()


def test_no_emulator_is_left_when_the_owner_is_killed():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER_PROGRAM], stdout=subprocess.PIPE, text=True, env=environment
    ) as owner:
        port = int(owner.stdout.readline())
        assert is_listening(port)
        owner.send_signal(signal.SIGKILL)
    assert ended(port)


def test_an_emulator_that_does_not_start_is_an_error_of_the_worker_that_asks():
    owner = EmulatorOwner({"NONE": lambda: Emulator(lambda port: ["false"], "NONE")})
    with pytest.raises(RuntimeError, match="the emulators do not start: NONE: the emulator ended with 1"):
        request_ports(owner.address)
    owner.stop()
