"""Google's emulators, for whoever asks for them."""

from collections.abc import Iterator

import pytest

from emulators import Emulator, firestore, pubsub
from emulators.bigquery import bigquery
from emulators.storage import storage


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
