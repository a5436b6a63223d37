"""The backends under test in this folder, each empty and with a stopped clock."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from backends import with_adapters
from emulators import Emulator, new_project
from revisit.adapters.gcp.settings import Settings
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


class GcpProject:
    """One project in the emulators for a module, emptied for each of its tests."""

    def __init__(self, storage_host: str) -> None:
        from emulators.project import create_topics

        self.settings = Settings(new_project())
        self._storage_host, self._catalog = storage_host, False
        create_topics(self.settings.project)

    def emptied(self) -> Settings:
        """The project without records, events and products, with a new bucket."""
        from emulators.bigquery import empty_catalog
        from emulators.project import delete_documents, discard_events
        from emulators.storage import create_bucket

        delete_documents(self.settings.project)
        discard_events(self.settings.project)
        if self._catalog:
            empty_catalog(self.settings)
        bucket = create_bucket(self._storage_host, f"{self.settings.project}-{uuid.uuid4().hex[:8]}")
        return replace(self.settings, bucket=bucket)

    def create_catalog(self) -> None:
        """Create the catalog's tables before their first use; most tests need none."""
        from emulators.bigquery import create_catalog

        if not self._catalog:
            create_catalog(self.settings)
            self._catalog = True


@pytest.fixture(scope="module")
def gcp_project(google: dict[str, Emulator]) -> GcpProject:
    return GcpProject(google["STORAGE_EMULATOR_HOST"].host)


@contextmanager
def gcp_factory(request: pytest.FixtureRequest) -> Iterator[BackendFactory]:
    from emulators.project import pull_events
    from revisit.adapters.gcp.backend import gcp_backend

    project: GcpProject = request.getfixturevalue("gcp_project")
    clock, settings = StoppedClock(), project.emptied()

    def opened() -> Backend:
        backend = gcp_backend(settings, clock)
        return with_adapters(backend, catalog=lambda: (project.create_catalog(), backend.catalog())[1])

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
