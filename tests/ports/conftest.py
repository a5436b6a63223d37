"""The backends that are put to the questions of this folder, each empty and with a clock that stands still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from emulators import Emulator, firestore, new_project, pubsub
from revisit.backend import Backend
from revisit.wire import Envelope, decode
from revisit.wiring import HEARS
from samples import StoppedClock


@dataclass(frozen=True)
class Place:
    """Where backends can be opened, several on the same state."""

    name: str
    open: Callable[[], Backend]
    clock: StoppedClock
    queued: Callable[[Backend], list[Envelope]]
    """The events that are on their way."""
    crowd: tuple[int, int] = (16, 10)
    """Threads that get in one another's way, and how often each: the Firestore emulator takes seconds for what contends."""


@contextmanager
def local(request: pytest.FixtureRequest) -> Iterator[Place]:
    from revisit.local.backend import local_backend, local_queue

    clock, tmp_path = StoppedClock(), request.getfixturevalue("tmp_path")
    yield Place("local", lambda: local_backend(tmp_path / "data", now=clock), clock,
                lambda backend: [decode(message.body) for message in local_queue(backend).lease(tuple(HEARS), 1000, lease_s=0)])


@contextmanager
def gcp(request: pytest.FixtureRequest) -> Iterator[Place]:
    from emulators.project import lay_out, pulled
    from revisit.gcp.backend import gcp_backend
    from revisit.gcp.settings import Settings

    request.getfixturevalue("google")
    clock, settings = StoppedClock(), Settings(new_project())
    lay_out(settings.project)
    yield Place("gcp", lambda: gcp_backend(settings, clock), clock, lambda _: pulled(settings.project), crowd=(3, 3))


PLACES = {"local": local, "gcp": gcp}


@pytest.fixture(scope="session")
def google() -> Iterator[None]:
    """Google's emulators, which clients of this process then find."""
    started: list[Emulator] = []
    with pytest.MonkeyPatch.context() as patch:
        try:
            for make in (firestore, pubsub):
                started.append(make().start())
                patch.setenv(started[-1].variable, started[-1].host)
            yield
        finally:
            for emulator in started:
                emulator.stop()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with PLACES[request.param](request) as place:
        yield place


@pytest.fixture
def backend(place: Place) -> Backend:
    return place.open()


@pytest.fixture
def clock(place: Place) -> StoppedClock:
    return place.clock


@pytest.fixture
def queued(place: Place, backend: Backend) -> Callable[[], list[Envelope]]:
    """The events that are on their way."""
    return lambda: place.queued(backend)
