"""The whole chain over real pixels gives the values of an independent script (archive/expected.json)."""

import json

import pytest

from chain_runner import drain
from data import shared_data
from figures import figure
from order_samples import order_acquisitions
from revisit.adapters.local.backend import local_backend
from revisit.domain.aoi import AOI
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe

TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def expected():
    return json.loads(shared_data("archive", "expected.json").read_text())["sites"]


@pytest.mark.parametrize(
    ("site", "indices", "bands"),
    [
        ("gfmap_31UES", ("NDVI", "NDWI", "EVI"), ()),
        ("gfmap_31UFS", ("NDVI",), ()),
        ("majortom_33NZA", ("NDVI", "NDWI", "EVI"), ()),
        ("earthsearch_29RKH", ("NDVI", "NDWI", "EVI"), ()),
        ("eodag_31TDH", (), ("B01",)),
    ],
)
def test_an_order_over_a_site_gives_the_expected_counts_and_statistics(
    site, indices, bands, expected, tmp_path
):
    archive = shared_data("archive")
    backend = local_backend(tmp_path / "data")
    aoi = AOI.parse((archive / expected[site]["aoi"]).read_bytes(), max_area_km2=20_000)
    placed = order_acquisitions(backend, aoi, Recipe(bands, indices), source=f"folder:{archive}")
    drain(backend)
    jobs = {job.product.id: job for job in (backend.get_record(Job, id) for id in placed.jobs)}
    assert set(jobs) == {date["item"] for date in expected[site]["dates"]}
    for date in expected[site]["dates"]:
        job = jobs[date["item"]]
        assert (job.state, job.reason) == (
            ("done", "") if date["clear_pixels"] else ("skipped", "no pixel of the AOI is clear")
        )
        cover = job.cover
        assert (cover.aoi, cover.valid, cover.clear, cover.mask) == (
            date["aoi_pixels"],
            date["valid_pixels"],
            date["clear_pixels"],
            date["mask"],
        )
        assert cover.clear_fraction == pytest.approx(date["clear_fraction"], abs=TOLERANCE)
        for name in (*indices, *bands) if date["clear_pixels"] else ():
            found, wanted = (job.indices | job.bands)[name], date.get(name) or date[f"reflectance_{name}"]
            assert found.count == wanted["count"]
            for moment in ("mean", "std", "min", "max", "median"):
                assert getattr(found, moment) == (
                    pytest.approx(wanted[moment], abs=TOLERANCE) if found.count else None
                ), (job.product.id, name, moment)
    values = sum(6 for job in jobs.values() for found in (job.indices | job.bands).values() if found.count)
    figure(
        f"right on real pixels, {site}",
        f"{len(jobs)} dates, counts equal, {values} statistics within {TOLERANCE:g}",
    )
