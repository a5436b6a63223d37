"""A real product that arrives in two parts, or that several sources have: the numbers of the whole one."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from shapely.geometry import mapping

from chain_runner import drain
from data import shared_data
from order_samples import order_acquisitions
from revisit.adapters.local.backend import local_backend
from revisit.chain.refresh import refresh_source
from revisit.domain.alert import Alert
from revisit.domain.aoi import AOI
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe
from revisit.services.subscriptions.create import create_subscription

NDVI = Recipe(indices=("NDVI",))
NAME = "S2A_31UES_20231022_L2A_crop"
ROWS = {"B02": 52, "B03": 52, "B04": 52, "B08": 52, "SCL": 26}
"""Height of the bands; the cut goes through their middle."""


@pytest.fixture(scope="module")
def whole():
    return shared_data("archive") / "sentinel-2-l2a" / NAME


@pytest.fixture(scope="module")
def aoi():
    return AOI.parse((shared_data("archive") / "aoi" / "gfmap_31UES.geojson").read_bytes())


def write_part(whole, root, name, half):
    """A copy of the product that has data in its upper or lower half only, as its own item."""
    place = root / name
    place.mkdir(parents=True)
    item = json.loads((whole / f"{NAME}.json").read_text())
    item["id"] = name
    west, south, east, north = shapely.geometry.shape(item["geometry"]).bounds
    middle = (south + north) / 2
    low, high = (middle, north) if half == "upper" else (south, middle)
    item["geometry"] = mapping(shapely.box(west, low, east, high))
    item["bbox"] = [west, low, east, high]
    (place / f"{name}.json").write_text(json.dumps(item))
    for path in whole.glob("*.tif"):
        with rasterio.open(path) as file:
            pixels, profile = file.read(), file.profile
        rows = pixels.shape[1] // 2
        pixels[:, slice(rows, None) if half == "upper" else slice(None, rows)] = profile["nodata"] or 0
        with rasterio.open(place / path.name, "w", **profile) as file:
            file.write(pixels)


def ndvi(job):
    return job.indices["NDVI"]


@pytest.fixture(scope="module")
def right(tmp_path_factory, whole, aoi):
    """The job of the whole product."""
    root = tmp_path_factory.mktemp("right")
    shutil.copytree(whole, root / "archive" / NAME)
    backend = local_backend(root / "data")
    order_acquisitions(backend, aoi, NDVI, source=f"folder:{root / 'archive'}")
    drain(backend)
    [job] = backend.records.find(Job)
    return job


@pytest.mark.parametrize("first", ["upper", "lower"])
def test_the_second_part_updates_the_alert_to_the_numbers_of_the_whole_product(
    tmp_path, whole, aoi, right, first
):
    archive, spec = tmp_path / "archive", f"folder:{tmp_path / 'archive'}"
    archive.mkdir()
    backend = local_backend(tmp_path / "data", (spec,))
    create_subscription(backend, aoi, "Field", NDVI, min_coverage=0)
    for number, half in enumerate((first, "lower" if first == "upper" else "upper")):
        write_part(whole, archive, f"S2A_31UES_20231022_{number}_L2A_crop", half)
        refresh_source(backend, spec)
        drain(backend)
    [job] = backend.records.find(Job)
    new, updated = sorted(backend.records.find(Alert), key=lambda alert: alert.number)
    assert 0.2 < new.cover.coverage < 0.8
    assert (updated.kind, updated.updates, updated.cover) == ("updated", new.number, right.cover)
    assert updated.indices == job.indices == right.indices
    assert new.indices["NDVI"].count < ndvi(right).count
    assert len(job.receipt["mosaic"]["products"]) == 2


def test_the_next_source_is_read_where_one_lost_its_files(tmp_path, whole, aoi, right):
    specs = [f"folder:{tmp_path / name}" for name in "abc"]
    for name in "abc":
        shutil.copytree(whole, tmp_path / name / NAME)
    backend = local_backend(tmp_path / "data", tuple(specs))
    create_subscription(backend, aoi, "Field", NDVI)
    for spec in specs:
        refresh_source(backend, spec)
    (tmp_path / "a" / NAME / "B08.tif").unlink()
    image = tmp_path / "b" / NAME / "B08.tif"
    image.write_bytes(image.read_bytes()[:2000])
    drain(backend, functions=("notify",))
    [job] = backend.records.find(Job)
    assert {one.source for one in (*job.products, *job.alternates)} == set(specs)
    drain(backend)
    [job] = backend.records.find(Job)
    assert (job.state, ndvi(job), job.product.source) == ("done", ndvi(right), specs[2])
    assert job.receipt["source"] == specs[2]
    assert len(backend.records.find(Alert)) == 1


def test_a_job_that_no_source_can_serve_names_them_all_and_begins_again_with_the_next(
    tmp_path, whole, aoi, right
):
    specs = [f"folder:{tmp_path / name}" for name in "abc"]
    backend = local_backend(tmp_path / "data", tuple(specs))
    create_subscription(backend, aoi, "Field", NDVI)
    for name, spec in zip("ab", specs, strict=False):
        shutil.copytree(whole, tmp_path / name / NAME)
        refresh_source(backend, spec)
        shutil.rmtree(tmp_path / name / NAME)
    drain(backend)
    [job] = backend.records.find(Job)
    assert job.state == "failed" and all(spec in job.reason for spec in specs[:2])
    shutil.copytree(whole, tmp_path / "c" / NAME)
    refresh_source(backend, specs[2])
    drain(backend)
    [job] = backend.records.find(Job)
    assert (job.state, job.again, ndvi(job)) == ("done", 1, ndvi(right))


def test_a_source_that_is_no_longer_configured_gives_way_to_the_next(tmp_path, whole, aoi, right):
    spec = f"folder:{tmp_path / 'b'}"
    shutil.copytree(whole, tmp_path / "b" / NAME)
    backend = local_backend(tmp_path / "data", (spec,))
    create_subscription(backend, aoi, "Field", NDVI)
    refresh_source(backend, spec)
    drain(backend, functions=("notify",))
    [job] = backend.records.find(Job)
    gone = replace(job.product, source="gone:elsewhere")
    changed = job.with_changes(product=gone, alternates=(job.product,))
    backend.commit(lambda commit: commit.put(changed), completes_event=False)
    drain(backend)
    [job] = backend.records.find(Job)
    assert (job.state, job.indices, np.isfinite(ndvi(job).mean)) == ("done", right.indices, True)
