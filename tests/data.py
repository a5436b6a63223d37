"""Where the real Sentinel-2 data lies that tests compare with."""

import os
from pathlib import Path

import pytest

REQUIRED = os.environ.get("REVISIT_REQUIRE_ALL") == "1"
"""Set in CI: nothing may be skipped."""


def skip_or_fail(what: str) -> None:
    """Skip the test for want of something, or fail it where all is required."""
    if REQUIRED:
        pytest.fail(f"{what} is required here and missing")
    pytest.skip(f"{what} is missing")


def shared_data(*parts: str) -> Path:
    """A file or folder of the shared data beside the checkout."""
    root = Path(os.environ.get("REVISIT_SHARED", Path(__file__).parents[2] / "shared")) / "data"
    path = root.joinpath(*parts)
    if not path.exists():
        skip_or_fail(f"shared data {'/'.join(parts)}")
    return path
