"""A storage server with a bucket of its own for each test, and the adapter that keeps assets in it."""

import pytest

from emulators import new_project
from emulators.storage import create_bucket, set_faults, storage
from revisit.adapters.gcp.assets import BucketAssets
from revisit.adapters.gcp.settings import Settings


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The storage server, which clients of this process then find."""
    started = storage(tmp_path_factory.mktemp("storage") / "requests").start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(started.variable, started.host)
        yield started
    started.stop()


@pytest.fixture
def settings(server):
    made = Settings(new_project())
    create_bucket(server.host, made.bucket)
    yield made
    set_faults(server.host)


@pytest.fixture
def assets(settings):
    return BucketAssets(settings, timeout_s=5)


@pytest.fixture
def bucket(settings):
    """The same bucket by Google's own client."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    return Client(settings.project, AnonymousCredentials()).bucket(settings.bucket)
