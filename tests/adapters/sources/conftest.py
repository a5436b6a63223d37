"""A STAC API on this computer, the source that reads it, and how long that has waited."""

from collections.abc import Iterator

import pytest

from revisit.adapters.sources.stac_api import StacApi
from stac_server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def source(server: Server, waits: list[float]) -> StacApi:
    return StacApi(f"{server.url}#sentinel-2-l2a", waits.append)
