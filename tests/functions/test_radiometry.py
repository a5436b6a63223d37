"""Radiometry through the chain: what items and files say of their numbers, and what the pixels show."""

import pytest

from chain_runner import drain
from item_samples import STATED, field, inner_aoi, write_item
from order_samples import order_acquisitions
from revisit.adapters.local.backend import local_backend
from revisit.chain.refresh import refresh_source
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
    assert job.notes == (
        "B08 is not used: the item states no radiometric offset of B08, which baseline 0511 may have",
        "B11 is not in the product",
        "NDVI is not computed, for lack of B08",
        "NDMI is not computed, for lack of B08 and B11",
    )


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


def mean_ndvi(job):
    return pytest.approx(job.indices["NDVI"].mean, abs=1e-6)


def test_a_scale_of_one_says_nothing(job_of):
    """rio-stac writes scale 1 and offset 0 for every file of integers."""
    said = {key: {"scale": 1.0, "offset": 0.0, "nodata": 0} for key in ("B04", "B08")}
    job = job_of(stated=said, **NEW)
    assert job.state == "failed"
    assert "states no radiometric offset of B04" in job.reason


def test_a_scale_without_an_offset_is_silence_about_the_offset(job_of):
    job = job_of(stated={key: {"scale": 0.0001, "nodata": 0} for key in ("B04", "B08")}, **NEW)
    assert job.state == "failed"
    assert "states no radiometric offset of B08, which baseline 0511 may have" in job.reason


def test_what_the_item_does_not_state_is_read_from_the_file(job_of):
    job = job_of(stated={}, tags=dict.fromkeys(("B04", "B08"), (0.0001, -0.1)), **NEW)
    assert (job.state, mean_ndvi(job)) == ("done", 2500 / 3500)


def test_an_offset_in_digital_numbers_is_the_same_in_reflectance(job_of):
    said = {key: {"scale": 0.0001, "offset": -1000, "nodata": 0} for key in ("B04", "B08")}
    assert mean_ndvi(job_of(stated=said, **NEW)) == 2500 / 3500


APPLIED = {"B04": field(500), "B08": field(3000)} | SCL
"""DN from which the offset is subtracted already."""
WRONG_FLAG = NEW | {"earthsearch__boa_offset_applied": False}


def test_a_wrong_flag_of_earth_search_is_corrected_where_the_pixels_show_it(job_of):
    job = job_of(bands=APPLIED, **WRONG_FLAG)
    assert (job.state, mean_ndvi(job)) == ("done", 2500 / 3500)
    assert "B04, B08 used with offset 0" in job.notes[0]
    assert "100.0% of the clear land pixels of B04" in job.notes[0]


def test_a_flag_that_no_pixel_of_bright_ground_can_prove_wrong_refuses_the_product(job_of):
    job = job_of(bands={"B04": field(1200), "B08": field(3000)} | SCL, **WRONG_FLAG)
    assert job.state == "failed"
    assert "the offset of B04, B08 is in doubt" in job.reason
    assert "sentinel-2-c1-l2a" in job.reason


def test_an_offset_that_is_subtracted_twice_refuses_the_product(job_of):
    job = job_of(bands=APPLIED, **NEW)
    assert job.state == "failed"
    assert "B04 has a reflectance below -0.02 in 100.0% of the clear land pixels" in job.reason


def test_an_offset_that_disagrees_with_the_file_is_refused(job_of):
    job = job_of(bands=APPLIED, tags=dict.fromkeys(("B04", "B08"), (0.0001, -0.05)), **NEW)
    assert job.state == "failed"
    assert "the item states an offset of -0.1 for B04 and its file one of -0.05" in job.reason


def test_dn_beyond_every_surface_is_noted_or_refused(job_of):
    red = field(1500)
    red[20:21, 20:21] = 64_000
    job = job_of(bands={"B04": red, "B08": field(4000)} | SCL, **NEW)
    assert job.state == "done"
    assert "B04 has a reflectance above 6 in 0.1% of the clear land pixels" in job.notes[0]


def test_a_refresh_says_which_bands_of_a_listed_product_are_not_used(tmp_path):
    write_item(tmp_path / "archive", "S2A_35MNM_20250601_0_L2A", RED_AND_NIR, {"B04": STATED}, **NEW)
    spec = f"folder:{tmp_path / 'archive'}"
    result = refresh_source(local_backend(tmp_path / "data", (spec,)), spec)
    assert (result.new, result.rejection_count) == (1, 0)
    assert result.remarks == (
        (
            "S2A_35MNM_20250601_0_L2A",
            "without B08, as the item states no radiometric offset of B08, which baseline 0511 may have",
        ),
    )


def test_a_refresh_says_which_nodata_is_no_number(tmp_path):
    said = {band: STATED | {"nodata": "nan"} for band in ("B04", "B08")}
    write_item(tmp_path / "archive", "S2A_35MNM_20250601_0_L2A", RED_AND_NIR, said, **NEW)
    spec = f"folder:{tmp_path / 'archive'}"
    ((_, remark),) = refresh_source(local_backend(tmp_path / "data", (spec,)), spec).remarks
    assert remark == "although nodata of B08 is 'nan', which is not a number that DN can have"
