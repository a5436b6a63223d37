"""Masks through the chain: nodata of any value, saturated pixels, and the pixels of an index."""

import json

import numpy as np
import pytest
import rasterio

from chain_runner import drain
from item_samples import STATED, field, inner_aoi, write_item
from order_samples import order_acquisitions
from revisit.adapters.local.backend import local_backend
from revisit.domain.job import Cover, Job
from revisit.domain.recipe import Recipe

ID = "S2A_35MNM_20250601_0_L2A"
INNER = (slice(10, 50), slice(10, 50))
"""The pixels of 10 m whose centre is inside `inner_aoi`: 1,600."""


@pytest.fixture
def run(tmp_path):
    """Writes an item, orders it, and returns its job and the arrays of its rasters by file and band."""
    count = iter(range(100))

    def made(recipe, bands, stated=None, tag=None):
        root = tmp_path / f"archive{next(count)}"
        path = write_item(root, ID, bands, stated)
        if tag is not None:
            for band in set(bands) - {"SCL"}:
                with rasterio.open(path.parent / f"{band}.tif", "r+") as file:
                    file.nodata = tag
        backend = local_backend(root / "data", (f"folder:{root}",))
        order = order_acquisitions(backend, inner_aoi(), recipe, f"folder:{root}")
        drain(backend)
        (job,) = backend.records.find(Job, orders=order.id)
        rasters = {}
        for asset in job.assets:
            if asset.path.endswith(".tif"):
                with rasterio.open(backend.assets.locate(asset.path)) as file:
                    rasters[asset.name] = dict(zip(file.descriptions, file.read(masked=True), strict=True))
                    rasters[f"{asset.name} numbers"] = file.nodata, file.scales, file.offsets
        return job, rasters

    return made


NODATA = [
    # dtype, value of the pixels without data, stated by the item, tag of the file, a value that is measured
    ("uint16", 0, 0, 0, 1),
    ("uint16", 0, None, None, 1),
    ("uint16", 0, "nan", None, 1),
    ("uint16", 0, -9999, None, 1),
    ("uint16", 65535, 65535, None, 0),
    ("uint16", 65535, None, 65535, 0),
    ("uint16", 65535, "65535", 65535, 65533),
    ("uint16", 7, 0, 7, 8),
    ("int16", -1, -1, None, 0),
    ("int16", -9999, None, -9999, -1),
    ("int16", -9999, -9999.0, None, 0),
    ("int16", -32768, None, -32768, -500),
    ("int16", 0, 0, None, -500),
    ("uint8", 255, 255, None, 0),
]


@pytest.mark.parametrize(("dtype", "none", "said", "tag", "odd"), NODATA)
def test_nodata_of_any_value_means_the_same_in_cover_statistics_map_and_stored_bands(
    dtype, none, said, tag, odd, run
):
    """The right values are those of numpy, by the mask with which the pixels were written."""
    wide = dtype != "uint8"
    red, nir = field(1500 if wide else 40, dtype=dtype), field(4000 if wide else 200, dtype=dtype)
    lost = np.zeros(red.shape, bool)
    lost[:, :30] = True
    red[lost] = nir[lost] = none
    red[30:32, 30:40] = odd  # a measured value that is no data elsewhere
    offset = -0.1 if wide else 0.0
    stated = {"scale": 0.0001, "offset": offset} | ({} if said is None else {"nodata": said})
    recipe = Recipe(("B04",), ("NDVI",))
    job, rasters = run(recipe, {"B04": red, "B08": nir}, {"B04": stated, "B08": stated}, tag)
    assert job.state == "done", job.reason
    r, n = ((band.astype(float) * 0.0001 + offset)[INNER] for band in (red, nir))
    keep = ~lost[INNER]
    ndvi = ((n - r) / (n + r))[keep]
    assert job.cover == Cover(1600, 800, 800, mask="none")
    found = job.indices["NDVI"]
    assert found.count == np.isfinite(ndvi).sum() == 800
    assert [found.mean, found.min, found.max] == pytest.approx(
        [ndvi.mean(), ndvi.min(), ndvi.max()], abs=1e-9
    )
    assert (job.bands["B04"].count, job.bands["B04"].min) == (800, pytest.approx(r[keep].min(), abs=1e-9))
    assert (np.isfinite(rasters["NDVI"]["NDVI"].filled(np.nan)) == keep).all()
    nodata, scales, offsets = rasters["bands numbers"]
    assert nodata == 0
    stored = rasters["bands"]["B04"]
    assert (stored.mask == ~keep).all()
    at = list(rasters["bands"]).index("B04")
    assert stored.data[keep] * scales[at] + offsets[at] == pytest.approx(r[keep], abs=1e-9)


def test_a_classification_has_its_own_nodata_and_any_integer_type(run):
    scl = field(4, 30, "int16")
    scl[:10], scl[10:14], scl[14:16], scl[16] = -99, 3, 260, 9  # 260 is 4 in one byte
    job, rasters = run(Recipe(indices=("NDVI",)), {"B04": field(1500), "B08": field(4000), "SCL": scl}, None)
    # Rows of the AOI at 10 m: 10..19 no data, 20..27 shadow, 28..31 no class, 32..33 cloud, 34..49 clear.
    assert job.cover == Cover(1600, 1040, 640, cloud=80, shadow=320)
    assert job.indices["NDVI"].count == 640 == np.isfinite(rasters["NDVI"]["NDVI"].filled(np.nan)).sum()


def test_saturated_pixels_are_seen_and_reported_and_have_no_value(run):
    red, scl = field(1500), field(4, 30, "uint8")
    red[20:24] = 65535
    scl[15:20] = 1
    job, rasters = run(Recipe(("B04",), ("NDVI",)), {"B04": red, "B08": field(4000), "SCL": scl})
    assert job.cover == Cover(1600, 1600, 1040, saturated=160 + 400)
    assert (job.indices["NDVI"].count, job.bands["B04"].count, job.bands["B04"].max) == (
        1040,
        1040,
        pytest.approx(0.05),
    )
    assert np.isfinite(rasters["NDVI"]["NDVI"].filled(np.nan)).sum() == 1040


def test_an_index_counts_the_same_pixels_whatever_else_is_ordered(run):
    ramp = np.tile(np.arange(60, dtype="uint16") * 40 + 2000, (60, 1))
    swir = field(3000, 30)
    swir[:, :10] = 0
    bands = {"B04": field(1500), "B08": ramp, "B11": swir}
    jobs = [run(Recipe(indices=names), bands) for names in (("NDVI",), ("NDVI", "NDMI"))]
    alone, both = (job for job, _ in jobs)
    assert alone.indices["NDVI"] == both.indices["NDVI"]
    assert alone.cover == both.cover == Cover(1600, 1600, 1600, mask="none")
    assert both.indices["NDMI"].count == 30 * 40
    for job, rasters in jobs:
        for name, found in job.indices.items():
            assert np.isfinite(rasters[name][name].filled(np.nan)).sum() == found.count


def test_the_receipt_states_what_the_file_has(run):
    stated = {"B04": STATED | {"nodata": 65535}, "B08": STATED | {"nodata": 65535}}
    job, _ = run(Recipe(indices=("NDVI",)), {"B04": field(1500), "B08": field(4000)}, stated)
    inputs = json.loads(json.dumps(job.receipt["inputs"]))
    assert (inputs["B04"]["offset"], inputs["B04"]["nodata"]) == (-0.1, 65535)


def cloudy_columns():
    """Every third column of the classification is cloud: at 20 m, and at 10 m."""
    scl = field(4, 30, "uint8")
    scl[:, ::3] = 9
    return scl, np.kron(scl == 9, np.ones((2, 2), bool))


@pytest.mark.parametrize("resolution", [None, 15.0, 20.0, 30.0, 40.0, 60.0, 100.0])
@pytest.mark.parametrize("name", ["NDVI", "NDMI"])
def test_clouds_are_not_mixed_into_clear_pixels_of_any_grid(name, resolution, run):
    scl, cloud = cloudy_columns()
    bands = {
        "B04": np.where(cloud, 7000, 1500).astype("uint16"),
        "B08": np.where(cloud, 7200, 4000).astype("uint16"),
        "B11": np.where(scl == 9, 6500, 3000).astype("uint16"),
        "SCL": scl,
    }
    job, rasters = run(Recipe(indices=(name,), resolution_m=resolution), bands)
    value = {"NDVI": 2500 / 3500, "NDMI": 1000 / 5000}[name]
    found = job.indices[name]
    assert found.count == job.cover.clear > 0
    assert [found.min, found.mean, found.max] == pytest.approx([value] * 3, abs=1e-9)
    assert np.isfinite(rasters[name][name].filled(np.nan)).sum() == found.count
