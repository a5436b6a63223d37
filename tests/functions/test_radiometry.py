"""Radiometry through the chain: what items and files say of their numbers, and what the pixels show."""

import pytest

from chain_runner import drain
from item_samples import STATED, field, inner_aoi, write_item
from order_samples import order_acquisitions
from revisit.adapters.local.backend import local_backend
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe

NEW = {"s2__processing_baseline": "05.11"}
"""A baseline whose products have an offset."""
SCL = {"SCL": field(4, 30, "uint8")}
NDVI = Recipe(indices=("NDVI",))
"""Of R 500 and N 3000 without, 1500 and 4000 with an offset of 1000: 2500 / 3500."""
RED_AND_NIR = {"B04": field(1500), "B08": field(4000)} | SCL


@pytest.fixture
def job_of(tmp_path):
    """Writes an item, orders it, and returns its job."""

    def run(recipe=NDVI, bands=RED_AND_NIR, stated=None, tags=None, lost=(), **properties):
        root = tmp_path / "archive"
        write_item(root, "S2A_35MNM_20250601_0_L2A", bands, stated, tags, **properties)
        for band in lost:
            (root / "S2A_35MNM_20250601_0_L2A" / f"{band}.tif").unlink()
        backend = local_backend(tmp_path / "data", (f"folder:{root}",))
        order = order_acquisitions(backend, inner_aoi(), recipe, f"folder:{root}")
        drain(backend)
        (job,) = backend.records.find(Job, orders=order.id)
        return job

    return run


def test_the_reason_for_a_band_that_is_not_used_reaches_the_result_beside_a_band_that_is_fine(job_of):
    job = job_of(Recipe(indices=("NDVI", "NDMI"), bands=("B04",)), stated={"B04": STATED}, **NEW)
    assert (job.state, list(job.bands)) == ("done", ["B04"])
    silent = "B08 is not used: the item states no radiometric offset of B08"
    assert all(silent in note for note in job.notes)
    assert "NDMI" in job.notes[1]
    assert "B11 is not in the product" in job.notes[1]


def test_a_job_without_a_usable_band_fails_with_the_reason_of_every_band(job_of):
    job = job_of(stated={}, **NEW)
    assert job.state == "failed"
    for band in ("B04", "B08"):
        assert f"{band} is not used: the item states no radiometric offset of {band}" in job.reason
    assert job.reason.endswith("the product has SCL")


def test_a_result_says_why_it_has_no_mask(job_of):
    job = job_of(lost=["SCL"], **NEW)
    assert (job.state, job.cover.mask) == ("done", "none")
    assert job.notes == (
        "the result is without a mask of clouds, since SCL is not used: './SCL.tif' is missing",
    )
