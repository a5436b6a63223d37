"""What jobs keep."""

import errno

import pytest

from products import FIELD, NOW, product
from revisit.adapters.local.backend import local_backend
from revisit.chain.job_lifecycle import store_asset
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe
from revisit.errors import TransientError


def test_a_file_too_large_for_the_disk_is_retried_and_leaves_nothing(tmp_path):
    backend = local_backend(tmp_path / "data")
    job = Job("job_1", product(1), FIELD, Recipe(indices=("NDVI",)), NOW)

    def write(path):
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TransientError, match="No space left"):
        store_asset(backend, job, "NDVI.tif", write, "image/tiff")
    assert not list(backend.assets.workspace().iterdir())
