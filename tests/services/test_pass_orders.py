"""Orders of passes: cloud limits after the choice, tiles together or apart, and earlier records."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from shapely.geometry import box, mapping

from order_samples import order_acquisitions
from products import FIELD, NOW, add_to_catalog, product
from revisit.adapters.local.backend import local_backend
from revisit.domain.aoi import AOI
from revisit.domain.job import Job, job_id
from revisit.domain.recipe import Recipe
from revisit.domain.selection import PassSelection
from revisit.services.orders.create import get_order
from revisit.services.orders.deferred_selection import complete_order
from revisit.services.orders.selection import selection_digest
from revisit.services.subscriptions.results import list_jobs

NDVI = Recipe(indices=("NDVI",))


@pytest.fixture
def backend(tmp_path):
    return local_backend(tmp_path / "data", (), lambda: NOW)


@pytest.fixture
def field():
    return AOI.from_normalized(FIELD)


def test_a_cloud_limit_is_put_to_the_best_product_and_never_brings_in_another(backend, field):
    old = product(1, id="old", baseline="0208", cloud=5.0)
    add_to_catalog(backend, product(1, cloud=30.0), product(1, "L1C", cloud=1.0), old, product(2, cloud=20.0))
    for level in (None, "any"):
        placed = order_acquisitions(backend, field, NDVI, level=level, max_cloud=20)
        assert [job.product.id for job in list_jobs(backend, placed.id)] == [product(2).id]


def test_a_field_in_two_tiles_is_one_job_a_pass_and_two_on_request(backend):
    aoi = AOI.parse(mapping(box(9.03, 45.3, 9.05, 45.32)))
    known = [product(day, tile=tile) for day in (1, 2) for tile in ("32TNR", "32TMR")]
    add_to_catalog(backend, *(replace(one, west=8.0) for one in known))
    placed = order_acquisitions(backend, aoi, NDVI)
    jobs = list_jobs(backend, placed.id)
    assert [(job.pass_id, job.product.tile, job.parts) for job in jobs] == [
        (product(day).pass_id, "32TMR", ()) for day in (1, 2)
    ]
    assert [job.id for job in jobs] == [job_id(placed.id, job.pass_id, NDVI) for job in jobs]
    apart = order_acquisitions(backend, aoi, NDVI, per_tile=True)
    assert apart.id != placed.id
    assert sorted((job.acquisition, job.pass_id) for job in list_jobs(backend, apart.id)) == sorted(
        (one.acquisition, "") for one in known
    )


def test_an_order_that_an_earlier_version_left_half_written_gets_no_second_job_of_a_pass(backend, field):
    add_to_catalog(backend, product(1), product(2))
    planned = order_acquisitions(backend, field, NDVI, start=datetime(2024, 6, 3, tzinfo=UTC))
    old = tuple(job_id(planned.id, product(day).acquisition, NDVI) for day in (1, 2))
    first = Job(old[0], product(1), planned.aoi, NDVI, NOW, orders=(planned.id,))
    passes = [PassSelection(product(day).pass_id, product(day)) for day in (1, 2)]
    left = planned.with_changes(
        jobs=old, open=2, start=None, selecting=True, selection=selection_digest(passes), finished=None
    )
    backend.commit(lambda commit: (commit.put(left), commit.put(first)), completes_event=False)
    complete_order(backend, planned.id)
    second = job_id(planned.id, product(2).pass_id, NDVI)
    assert sorted(job.id for job in backend.records.find(Job)) == sorted((old[0], second))
    assert sorted(get_order(backend, planned.id).jobs) == sorted((old[0], second))
