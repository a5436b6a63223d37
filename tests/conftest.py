"""Google's emulators, for whoever asks for them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators import Emulator, firestore, pubsub
from emulators.bigquery import bigquery
from emulators.storage import storage

SLOW_FIRST = (
    "gcp/test_chain.py",
    "deploy/",
    "ports/test_catalog.py",
    "browser/",
    "gcp/",
    "terraform/",
    "embedded/",
    "ports/",
    "api/",
)
"""What takes longest is begun first, so that no core waits for the other at the end."""


# A thread of the memory pool's own would hold its locks where a test forks.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; within one, tests keep their order."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        name = str(item.path.relative_to(here))
        return next(
            (place for place, start in enumerate(SLOW_FIRST) if name.startswith(start)), len(SLOW_FIRST)
        )

    items.sort(key=rank)


@pytest.fixture(scope="session")
def google() -> Iterator[dict[str, Emulator]]:
    """Google's emulators by the variable that names them, running; clients of this process find them."""
    started: dict[str, Emulator] = {}
    with pytest.MonkeyPatch.context() as patch:
        try:
            for make in (firestore, pubsub, storage, bigquery):
                emulator = make()
                started[emulator.variable] = emulator.start()
                patch.setenv(emulator.variable, emulator.host)
            yield started
        finally:
            for emulator in started.values():
                emulator.stop()
