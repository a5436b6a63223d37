"""The data and programs that some tests need: where they are, and what happens where one is missing."""

import os
from pathlib import Path

import pytest

REQUIRED = os.environ.get("REVISIT_REQUIRE_ALL") == "1"
"""Set in CI: a test that would be skipped fails."""
REMEDIES = {
    "chromium": "install Chromium (Debian: apt-get install chromium)",
    "checkov in .venv-terraform": "make setup-test",
    "bqemulator in .venv-bqemulator": "make setup-test",
    "curl": "install curl",
    "gcloud": "install the Google Cloud CLI, https://cloud.google.com/sdk/docs/install",
    "gcp-storage-emulator": "make setup-test",
    "java": "install a Java runtime, version 21 or newer",
    "node": "install Node.js 20 or newer",
    "a second disk": "mount another file system on /dev/shm",
    "root": "run the tests as root; only root can mount a small disk",
    "shared data": "put the data folder beside the checkout as ../shared, or name it in REVISIT_SHARED",
    "terraform": "install Terraform 1.11 or newer",
    "the Firestore emulator": "gcloud components install cloud-firestore-emulator",
    "the Pub/Sub emulator": "gcloud components install pubsub-emulator",
    "Terraform's providers in .venv-terraform": "make setup-test",
}
"""How to get each thing that tests may lack; the table at the end of a run lists it."""


def skip_or_fail(requirement: str, detail: str = "") -> None:
    """Skip the test because a requirement is missing, or fail it where everything is required.

    Args:
        requirement: A key of `REMEDIES`.
        detail: Which part of it is missing.
    """
    assert requirement in REMEDIES, f"say in REMEDIES how to get {requirement}"
    message = f"{requirement} is missing" + (f": {detail}" if detail else "")
    if REQUIRED:
        pytest.fail(f"{message}; {REMEDIES[requirement]}")
    pytest.skip(message)


def shared_data(*parts: str) -> Path:
    """A file or folder of the real Sentinel-2 data beside the checkout, which tests compare with."""
    path = _data_folder().joinpath(*parts)
    if not path.exists():
        skip_or_fail("shared data", "/".join(parts))
    return path


def has_shared_data(*parts: str) -> bool:
    """Whether that file or folder is there; where everything is required, a missing one fails the test."""
    return REQUIRED or _data_folder().joinpath(*parts).exists()


def _data_folder() -> Path:
    return Path(os.environ.get("REVISIT_SHARED", Path(__file__).parents[2] / "shared")) / "data"
