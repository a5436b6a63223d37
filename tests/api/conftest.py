"""The API over a local backend that is empty, whose clock the tests move."""

import pytest

from products import NOW
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app


@pytest.fixture
def clock():
    """A list whose last moment is now."""
    return [NOW]


@pytest.fixture
def backend(tmp_path, clock):
    return local_backend(tmp_path / "data", (), lambda: clock[-1])


@pytest.fixture
def client(backend):
    return create_app(backend).test_client()
