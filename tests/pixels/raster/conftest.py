"""A server of rasters that fails in the ways that their tests ask for."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def server(folder):
    """Address of a server of the files in the module's `folder`; see faulty_raster_server.py."""
    script = Path(__file__).with_name("faulty_raster_server.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()
