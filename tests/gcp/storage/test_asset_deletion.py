"""What belonged to an account that ended is gone from the bucket, and nothing beside it."""

import pytest

from emulators.storage import set_faults
from revisit.adapters.gcp.assets import BucketAssets
from revisit.errors import InvalidInputError, TransientError


def stored(assets: BucketAssets, *paths: str) -> None:
    for path in paths:
        file = assets.workspace() / "made"
        file.write_bytes(path.encode())
        assets.store(file, path, "image/tiff")


def test_all_below_a_folder_is_removed_from_the_bucket_and_nothing_called_alike(assets, bucket):
    for number in range(30):
        bucket.blob(f"jobs/a/{number}.tif").upload_from_string(b"x")
    stored(assets, "jobs/a.tif", "jobs/ab/NDVI.tif", "jobs/b/a/NDVI.tif")
    assert (assets.remove("jobs/a"), assets.remove("jobs/a"), assets.remove("jobs/a.tif")) == (30, 0, 1)
    assert sorted(blob.name for blob in bucket.list_blobs()) == ["jobs/ab/NDVI.tif", "jobs/b/a/NDVI.tif"]


def test_what_is_on_its_way_into_the_bucket_is_not_removed(assets):
    with pytest.raises(InvalidInputError, match="unfinished"):
        assets.remove("unfinished/x")


def test_a_store_that_does_not_answer_is_retried_now_and_then_later(assets, server):
    stored(assets, "jobs/a/NDVI.tif")
    set_faults(server.host, {"target": "NDVI", "methods": ["DELETE"], "status": 503, "times": 1})
    assert assets.remove("jobs/a") == 1
    stored(assets, "jobs/a/NDVI.tif")
    set_faults(server.host, {"target": "NDVI", "methods": ["DELETE"], "status": 503, "times": 1000})
    with pytest.raises(TransientError, match="Cloud Storage does not answer for the asset 'jobs/a'"):
        assets.remove("jobs/a")
