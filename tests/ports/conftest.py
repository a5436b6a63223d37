"""The backends that are put to the questions of this folder, each empty and with a clock that stands still."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from revisit.backend import Backend
from revisit.wire import Envelope, decode
from revisit.wiring import HEARS
from samples import StoppedClock


@dataclass(frozen=True)
class Place:
    """Where backends can be opened, several on the same state."""

    open: Callable[[], Backend]
    clock: StoppedClock


def local(tmp_path: Path) -> Place:
    from revisit.local.backend import local_backend

    clock = StoppedClock()
    return Place(lambda: local_backend(tmp_path / "data", now=clock), clock)


PLACES = {"local": local}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    return PLACES[request.param](tmp_path)


@pytest.fixture
def backend(place: Place) -> Backend:
    return place.open()


@pytest.fixture
def clock(place: Place) -> StoppedClock:
    return place.clock


@pytest.fixture
def queued(backend: Backend) -> Callable[[], list[Envelope]]:
    """The events that are on their way."""
    from revisit.local.backend import local_queue

    return lambda: [decode(message.body) for message in local_queue(backend).lease(tuple(HEARS), 1000, lease_s=0)]
