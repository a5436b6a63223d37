"""The backends that are put to the questions of this folder, each empty and with a clock that stands
still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import pytest

from backends import with_adapters
from emulators import new_project
from revisit.ports.backend import Backend
from revisit.ports.cloudevents import Envelope, decode
from revisit.ports.topology import TRIGGER_TOPICS
from samples import StoppedClock


@dataclass(frozen=True)
class BackendFactory:
    """Where backends can be opened, several on the same state."""

    name: str
    open: Callable[[], Backend]
    clock: StoppedClock
    queued: Callable[[Backend], list[Envelope]]
    """The events that are on their way."""


@contextmanager
def local_factory(request: pytest.FixtureRequest) -> Iterator[BackendFactory]:
    from revisit.adapters.local.backend import local_backend, local_queue

    clock, tmp_path = StoppedClock(), request.getfixturevalue("tmp_path")
    yield BackendFactory(
        "local",
        lambda: local_backend(tmp_path / "data", now=clock),
        clock,
        lambda backend: [
            decode(message.body)
            for message in local_queue(backend).lease(tuple(TRIGGER_TOPICS), 1000, lease_s=0)
        ],
    )


@contextmanager
def gcp_factory(request: pytest.FixtureRequest) -> Iterator[BackendFactory]:
    from emulators.bigquery import create_catalog
    from emulators.project import create_topics, pull_events
    from emulators.storage import create_bucket
    from revisit.adapters.gcp.backend import gcp_backend
    from revisit.adapters.gcp.settings import Settings

    google = request.getfixturevalue("google")
    clock, settings = StoppedClock(), Settings(new_project())
    create_topics(settings.project)
    create_bucket(google["STORAGE_EMULATOR_HOST"].host, settings.bucket)
    tables = cache(
        lambda: create_catalog(settings)
    )  # few questions are about them, and they take a while to make

    def opened() -> Backend:
        backend = gcp_backend(settings, clock)
        return with_adapters(backend, catalog=lambda: (tables(), backend.catalog())[1])

    yield BackendFactory("gcp", opened, clock, lambda _: pull_events(settings.project))


BACKENDS = {"local": local_factory, "gcp": gcp_factory}


@pytest.fixture(params=BACKENDS)
def backend_factory(request: pytest.FixtureRequest) -> Iterator[BackendFactory]:
    with BACKENDS[request.param](request) as factory:
        yield factory


@pytest.fixture
def backend(backend_factory: BackendFactory) -> Backend:
    return backend_factory.open()


@pytest.fixture
def clock(backend_factory: BackendFactory) -> StoppedClock:
    return backend_factory.clock


@pytest.fixture
def queued(backend_factory: BackendFactory, backend: Backend) -> Callable[[], list[Envelope]]:
    """The events that are on their way."""
    return lambda: backend_factory.queued(backend)
