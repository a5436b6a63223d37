"""Jobs of several products through the chain: pixels, cover, receipt and STAC item, by hand."""

import shutil

import pytest

from chain_runner import drain
from item_samples import STATED, field, inner_aoi, write_item
from revisit.adapters.local.backend import local_backend
from revisit.chain.job_lifecycle import start_jobs
from revisit.chain.refresh import refresh_source
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe
from revisit.stac.result_item import build_result_item

FIRST, SECOND, THIRD = (f"S2A_35MNM_20250601_{number}_L2A" for number in range(3))
NEW = {"s2__processing_baseline": "05.11"}


def half(value, rows, size=60, dtype="uint16"):
    """A field of one value in some of its rows, of 60; 0 elsewhere."""
    pixels = field(0, size, dtype)
    pixels[rows.start * size // 60 : rows.stop * size // 60] = value
    return pixels


@pytest.fixture
def mosaic(tmp_path):
    """Runs a job of three products: rows 0 to 30, the whole with other values, and one that is not needed.

    Reflectances of B04 and B08: 0.05 and 0.30, then 0.10 and 0.20. The second has no offset.
    """
    root = tmp_path / "archive"
    upper, whole = slice(0, 30), slice(0, 60)
    for id, red, nir, rows, offset in (
        (FIRST, 1500, 4000, upper, -0.1),
        (SECOND, 1000, 2000, whole, 0.0),
        (THIRD, 9000, 9000, whole, -0.1),
    ):
        bands = {"B04": half(red, rows), "B08": half(nir, rows), "SCL": half(4, rows, 30, "uint8")}
        stated = {"B04": STATED | {"offset": offset}, "B08": STATED | {"offset": offset}}
        write_item(root, id, bands, stated, **NEW)
    backend = local_backend(tmp_path / "data", (f"folder:{root}",))
    refresh_source(backend, f"folder:{root}")
    products = {each.id: each for each in backend.catalog().read_additions(0)[0]}

    def run(ids=(FIRST, SECOND, THIRD), gone=()):
        for id in gone:
            shutil.rmtree(root / id)
        first, *parts = (products[id] for id in ids)
        job = Job(
            "job_1",
            first,
            inner_aoi().geometry,
            Recipe(indices=("NDVI",)),
            backend.now(),
            parts=tuple(parts),
            pass_id=first.pass_id,
        )
        start_jobs(backend, [job], completes_event=False)
        drain(backend)
        return backend.get_record(Job, "job_1")

    return run


def test_a_job_is_completed_by_its_parts_and_says_so(mosaic):
    """The AOI is rows and columns 10 to 50: 20 rows of each product, NDVI 5/7 and 1/3."""
    job = mosaic()
    assert (job.state, job.notes) == ("done", ())
    assert (job.cover.aoi, job.cover.valid, job.cover.clear) == (1600, 1600, 1600)
    statistics = job.indices["NDVI"]
    assert statistics.count == 1600
    assert statistics.max == pytest.approx(5 / 7)
    assert statistics.min == pytest.approx(1 / 3)
    assert statistics.mean == pytest.approx((5 / 7 + 1 / 3) / 2)
    made = job.receipt["mosaic"]
    assert [(each["product"], each["pixels"], each["share"]) for each in made["products"]] == [
        (FIRST, 800, 0.5),
        (SECOND, 800, 0.5),
    ]
    assert [each["inputs"]["B04"]["offset"] for each in made["products"]] == [-0.1, 0.0]
    assert [each["baseline"] for each in made["products"]] == ["0511", "0511"]
    assert made["in_vain"] == []
    item = build_result_item(job, lambda asset: asset.path)
    sources = [link["title"] for link in item["links"] if link["rel"] == "derived_from"]
    assert sources == item["properties"]["revisit:products"] == [FIRST, SECOND]
    assert item["properties"]["revisit:tiles"] == ["35MNM"]


def test_a_part_that_is_gone_is_named_and_the_next_one_fills(mosaic):
    job = mosaic(gone=[SECOND])
    assert (job.state, job.cover.valid) == ("done", 1600)
    assert len(job.notes) == 1
    assert job.notes[0].startswith(f"{SECOND} is left out: ")
    assert [each["product"] for each in job.receipt["mosaic"]["products"]] == [FIRST, THIRD]
    assert [each["product"] for each in job.receipt["mosaic"]["in_vain"]] == [SECOND]


def test_a_complete_first_product_leaves_the_receipt_as_that_of_one_product(mosaic):
    job = mosaic(ids=(SECOND, FIRST), gone=[FIRST])
    assert (job.state, job.notes, job.cover.valid) == ("done", (), 1600)
    assert "mosaic" not in job.receipt
    assert job.contributors == (job.product,)
