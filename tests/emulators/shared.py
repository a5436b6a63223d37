"""One set of Google's emulators for a whole run: the pytest process that starts the workers owns it.

A worker asks over a Unix socket; the first request starts the emulators. They end with the run, by their own
process ids, or with the owner's death however it dies (`die_with_parent`). Tests stay apart by their
projects.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Client, Listener
from pathlib import Path
from threading import Thread

from emulators import Emulator, firestore, pubsub
from emulators.bigquery import bigquery
from emulators.storage import storage

ADDRESS_VARIABLE = "REVISIT_TEST_EMULATORS"
"""Names the owner's socket to the workers."""
EMULATORS: dict[str, Callable[[], Emulator]] = {
    "FIRESTORE_EMULATOR_HOST": firestore,
    "PUBSUB_EMULATOR_HOST": pubsub,
    "STORAGE_EMULATOR_HOST": storage,
    "BIGQUERY_EMULATOR_HOST": bigquery,
}
"""By the variable under which Google's clients find them; BigQuery's loads from Storage's."""


class EmulatorOwner:
    """Starts the emulators for the workers and stops them at the end of the run."""

    def __init__(self, emulators: Mapping[str, Callable[[], Emulator]] = EMULATORS) -> None:
        self._emulators = emulators
        self._folder = tempfile.mkdtemp(prefix="revisit-emulators-")
        self.address = str(Path(self._folder, "socket"))
        self._listener = Listener(self.address, family="AF_UNIX", backlog=64)
        self._running: dict[str, Emulator] = {}
        # The emulators die with the thread that starts them, so one thread does that until the end.
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            with self._listener.accept() as connection:
                if not connection.recv():
                    return
                try:
                    connection.send({name: each.port for name, each in self._start().items()})
                except Exception as error:  # noqa: BLE001 - the worker that asks reports it
                    connection.send(str(error))

    def _start(self) -> dict[str, Emulator]:
        for name, make in self._emulators.items():
            if name not in self._running:
                emulator = make()
                environment = {variable: each.host for variable, each in self._running.items()}
                emulator.launch(environment)
                self._running[name] = emulator
        for emulator in self._running.values():
            emulator.wait()
        return self._running

    def stop(self) -> None:
        """Stop what was started."""
        with Client(self.address, family="AF_UNIX") as connection:
            connection.send(False)
        self._thread.join()
        for emulator in self._running.values():
            emulator.stop()
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def request_ports(address: str) -> dict[str, int]:
    """The ports of an owner's emulators by their variables; the first request starts them.

    Raises:
        RuntimeError: One of them does not start.
    """
    with Client(address, family="AF_UNIX") as connection:
        connection.send(True)
        ports = connection.recv()
    if isinstance(ports, str):
        raise RuntimeError(f"the emulators do not start: {ports}")
    return dict(ports)


@contextmanager
def shared_emulators() -> Iterator[dict[str, Emulator]]:
    """The run's emulators by their variables, which are set within the block.

    A test that needs an emulator to itself, to stop it say, starts one of its own (`private_emulators`).
    """
    # Made here first, so that a worker is the one to skip its tests where something is missing.
    made = {name: make() for name, make in EMULATORS.items()}
    ports = request_ports(os.environ[ADDRESS_VARIABLE])
    with _named({name: replace(each, port=ports[name]) for name, each in made.items()}) as running:
        yield running


@contextmanager
def private_emulators(*variables: str) -> Iterator[dict[str, Emulator]]:
    """Emulators for one module alone, by their variables, which are set within the block."""
    started: dict[str, Emulator] = {}
    try:
        for name in variables:
            started[name] = EMULATORS[name]()
            started[name].launch()
        for emulator in started.values():
            emulator.wait()
        with _named(started) as running:
            yield running
    finally:
        for emulator in started.values():
            emulator.stop()


@contextmanager
def _named(emulators: dict[str, Emulator]) -> Iterator[dict[str, Emulator]]:
    before = {name: os.environ.get(name) for name in emulators}
    os.environ.update({name: each.host for name, each in emulators.items()})
    try:
        yield emulators
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
