"""Statistics of real pixels against values of an independent script."""

import json

import numpy as np
import pytest

from data import shared_data
from revisit.domain.job import Statistics
from revisit.errors import InvalidInputError
from revisit.pixels.indices import compute_masked, index
from revisit.pixels.masks import clear_mask, count_cover, has_data
from revisit.pixels.statistics import compute_statistics

KEYS = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08"}
"""Bands by which the reference counts valid pixels; B01 alone where there is no red."""


def test_statistics_equal_values_by_hand():
    result = compute_statistics(np.array([[4, 1], [3, 10]], np.int16))
    assert result == Statistics(
        4, 4.5, pytest.approx(np.sqrt((0.25 + 12.25 + 2.25 + 30.25) / 4)), 1.0, 10.0, 3.5
    )


def test_only_finite_values_inside_the_mask_count():
    values = np.array([1.0, np.nan, np.inf, 3.0, 100.0])
    assert compute_statistics(values, np.array([True, True, True, True, False])) == Statistics(
        2, 2.0, 1.0, 1.0, 3.0, 2.0
    )


@pytest.mark.parametrize("values", [np.array([]), np.array([np.nan, -np.inf])])
def test_without_a_value_only_the_count_is_set(values):
    assert compute_statistics(values) == Statistics(0)


def test_float32_values_are_summed_in_float64():
    assert compute_statistics(np.full(4_000_000, 0.1, np.float32)).mean == pytest.approx(
        float(np.float32(0.1)), rel=1e-12
    )


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(InvalidInputError, match="not on one grid"):
        compute_statistics(np.ones((2, 2)), np.ones(4, np.bool_))


# real pixels


SITES = ["gfmap_31UES", "gfmap_31UFS", "majortom_33NZA", "earthsearch_29RKH", "eodag_31TDH"]


def scene(site: str, item: str):
    """DN, scaling and SCL of an archived item on the grid of its red band, and the AOI mask."""
    import rasterio
    from pyproj import Transformer
    from rasterio.features import geometry_mask
    from shapely import from_geojson, transform

    level = "sentinel-2-l1c" if "L1C" in item else "sentinel-2-l2a"
    folder = shared_data("archive", level, item)
    assets = json.loads((folder / f"{item}.json").read_text())["assets"]
    dn, scaling = {}, {}
    for key, band in (KEYS if "red" in assets else {"coastal": "B01"}).items():
        if key in assets:
            with rasterio.open(folder / assets[key]["href"]) as dataset:
                dn[band] = dataset.read(1)
                if key in ("red", "coastal"):
                    grid = dataset.transform, dataset.shape, dataset.crs
            described = assets[key]["raster:bands"][0]
            scaling[band] = (described["scale"], described["offset"])
    (affine, shape, crs), scl = grid, None
    if "scl" in assets:
        with rasterio.open(folder / assets["scl"]["href"]) as dataset:
            scl = dataset.read(1)
        times = shape[0] // scl.shape[0]
        scl = scl.repeat(times, 0).repeat(times, 1)
    text = shared_data("archive", "aoi", f"{site}.geojson").read_text()
    geometry = json.loads(text)
    geometry = geometry["features"][0] if "features" in geometry else geometry
    polygon = from_geojson(json.dumps(geometry.get("geometry", geometry)))
    project = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform
    polygon = transform(polygon, lambda lonlat: np.column_stack(project(*lonlat.T)))
    inside = geometry_mask([polygon], shape, affine, invert=True)
    return dn, scaling, scl, inside


def close(found: Statistics, expected: dict) -> bool:
    return all(
        getattr(found, name) == pytest.approx(value, abs=1.0001e-6) for name, value in expected.items()
    )


@pytest.mark.parametrize("site", SITES)
def test_counts_and_statistics_equal_those_of_the_reference(site):
    dates = json.loads(shared_data("archive", "expected.json").read_text())["sites"][site]["dates"]
    compared = 0
    for date in dates:
        dn, scaling, scl, inside = scene(site, date["item"])
        counted = count_cover(scl, inside, has_data(dn))
        assert (counted.aoi, counted.valid, counted.clear, counted.mask) == (
            date["aoi_pixels"],
            date["valid_pixels"],
            date["clear_pixels"],
            date["mask"],
        )
        assert counted.clear_fraction == pytest.approx(date["clear_fraction"], abs=1e-6)
        clear = clear_mask(scl, inside, has_data(dn))
        reflectance = {band: layer * scaling[band][0] + scaling[band][1] for band, layer in dn.items()}
        for name in ("NDVI", "NDWI", "EVI"):
            if name in date:
                compared += 1
                assert close(compute_statistics(index(name).compute(reflectance), clear), date[name]), (
                    date["item"],
                    name,
                )
                blockwise = compute_statistics(compute_masked(index(name), dn, scaling, inside, scl))
                assert blockwise.count == date[name]["count"]
                if blockwise.count:
                    assert blockwise.mean == pytest.approx(date[name]["mean"], rel=1e-6, abs=2e-6)
        if expected := date.get("reflectance_B01"):
            compared += 1
            assert close(compute_statistics(reflectance["B01"], clear), expected), date["item"]
    assert compared >= len(dates)


def test_an_evi_with_a_tiny_denominator_keeps_six_decimals():
    dates = json.loads(shared_data("archive", "expected.json").read_text())["sites"]["majortom_33NZA"][
        "dates"
    ]
    dn, scaling, scl, inside = scene("majortom_33NZA", dates[0]["item"])
    reflectance = {band: layer * scaling[band][0] + scaling[band][1] for band, layer in dn.items()}
    found = compute_statistics(index("EVI").compute(reflectance), clear_mask(scl, inside, has_data(dn)))
    assert round(found.max, 6) == 41.190476
