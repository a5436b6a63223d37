"""What is particular to assets in a bucket; what every home of assets does is asked in tests/ports."""

import hashlib
from pathlib import Path

import pytest

from emulators import new_project
from emulators.storage import create_bucket, set_faults, storage
from revisit.gcp.gcs import CACHE_CONTROL, BucketAssets
from revisit.gcp.settings import Settings

COG = "image/tiff; application=geotiff; profile=cloud-optimized"


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
    return BucketAssets(settings)


@pytest.fixture
def bucket(settings):
    """The same bucket by Google's own client."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    return Client(settings.project, AnonymousCredentials()).bucket(settings.bucket)


def made(folder: Path, content: bytes, name: str = "made.tif") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def test_an_object_says_what_it_is(assets, bucket, tmp_path):
    content = bytes(range(256)) * 100
    asset = assets.store(made(tmp_path, content), "jobs/j/NDVI-0123.tif", COG)
    found = bucket.get_blob("jobs/j/NDVI-0123.tif")
    assert (found.content_type, found.cache_control, found.size) == (COG, CACHE_CONTROL, 25_600)
    assert found.metadata == {"sha256": hashlib.sha256(content).hexdigest()} == {"sha256": asset.sha256}
    assert [blob.name for blob in bucket.list_blobs()] == ["jobs/j/NDVI-0123.tif"], "nothing unfinished is left"
