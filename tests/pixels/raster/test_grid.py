"""Pixel grids and AOI masks, against pyproj and shapely and the counts of real sites."""

import json

import numpy as np
import pyproj
import pytest
import shapely

from data import shared_data
from revisit.errors import PermanentError
from revisit.pixels.raster.grid import Grid, aoi_mask, project_aoi

ZONE_31 = Grid("EPSG:32631", (10.0, 0.0, 600000.0, 0.0, -10.0, 5000000.0), 300, 200)


def lonlat(grid, points):
    to_degrees = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    return [list(to_degrees.transform(*point)) for point in points]


def box(grid, west, south, east, north):
    return lonlat(grid, [(west, south), (east, south), (east, north), (west, north), (west, south)])


def by_centres(grid, geometry, crs=None):
    """The mask computed another way: pixel centres as points in the densified, projected polygon."""
    forward = pyproj.Transformer.from_crs("EPSG:4326", crs or grid.crs, always_xy=True)
    dense = shapely.segmentize(shapely.geometry.shape(geometry), 0.0005)
    polygon = shapely.transform(dense, lambda xy: np.column_stack(forward.transform(xy[:, 0], xy[:, 1])))
    a, _, x, _, e, y = grid.transform
    columns, rows = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
    return shapely.contains_xy(polygon, x + (columns + 0.5) * a, y + (rows + 0.5) * e)


def test_bounds_shape_and_resolution_follow_from_the_transform():
    assert ZONE_31.bounds == (600000.0, 4998000.0, 603000.0, 5000000.0)
    assert ZONE_31.shape == (200, 300)
    assert ZONE_31.resolution_m == 10.0


def test_a_rotated_or_empty_grid_is_refused():
    with pytest.raises(PermanentError, match="north-up"):
        Grid("EPSG:32631", (10.0, 1.0, 0.0, 0.0, -10.0, 0.0), 5, 5)
    with pytest.raises(PermanentError, match="0 x 5"):
        Grid("EPSG:32631", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), 0, 5)


def test_cropping_keeps_the_grid_lines_and_every_pixel_touched():
    odd = Grid("EPSG:32633", (10.0, 0.0, 825207.364339148, 0.0, -10.0, 4760.0), 510, 510)
    cut = odd.crop((825230.0, 4700.0, 825260.0, 4741.0))
    # x: 22.6 to 52.6 m from the corner is pixels 2 to 5; y: 19 to 60 m below it is rows 1 to 5.
    assert (cut.width, cut.height) == (4, 5)
    assert cut.transform == (10.0, 0.0, pytest.approx(825227.364339148, abs=1e-9), 0.0, -10.0, 4750.0)


def test_cropping_to_the_own_bounds_changes_nothing_and_outside_them_gives_none():
    assert ZONE_31.crop(ZONE_31.bounds) == ZONE_31
    assert ZONE_31.crop((603000.0, 4998000.0, 604000.0, 5000000.0)) is None


def test_another_resolution_keeps_the_corner_and_covers_the_same_area():
    assert ZONE_31.with_resolution(70).shape == (29, 43)
    assert ZONE_31.with_resolution(70).transform[2::3] == (600000.0, 5000000.0)
    assert ZONE_31.with_resolution(20).shape == (100, 150)


def test_a_pixel_is_inside_if_its_centre_is():
    ring = box(
        ZONE_31, 600104, 4999896, 600136, 4999904
    )  # 3.2 pixels by 0.8; centres at 105, 115, 125, 135 and at 4999895 or 905
    assert aoi_mask(ZONE_31, {"type": "Polygon", "coordinates": [ring]}).sum() == 0
    ring = box(ZONE_31, 600104, 4999894, 600136, 4999904)
    mask = aoi_mask(ZONE_31, {"type": "Polygon", "coordinates": [ring]})
    assert [tuple(pixel) for pixel in np.argwhere(mask)] == [(10, 10), (10, 11), (10, 12), (10, 13)]


def test_holes_are_outside_and_every_part_of_a_multipolygon_is_inside():
    outer, hole = (
        box(ZONE_31, 600000, 4999900, 600100, 5000000),
        box(ZONE_31, 600020, 4999920, 600060, 4999960),
    )
    other = box(ZONE_31, 600200, 4999900, 600300, 5000000)
    geometry = {"type": "MultiPolygon", "coordinates": [[outer, hole[::-1]], [other]]}
    assert aoi_mask(ZONE_31, geometry).sum() == 10 * 10 - 4 * 4 + 10 * 10


def test_overlapping_parts_are_inside():
    first, second = (
        box(ZONE_31, 600000, 4999900, 600100, 5000000),
        box(ZONE_31, 600050, 4999900, 600150, 5000000),
    )
    assert aoi_mask(ZONE_31, {"type": "MultiPolygon", "coordinates": [[first], [second]]}).sum() == 15 * 10


def test_a_long_edge_is_straight_in_degrees_rather_than_in_metres():
    grid = Grid("EPSG:32631", (100.0, 0.0, 600000.0, 0.0, -100.0, 5000040.0), 1098, 1098)
    geometry = {
        "type": "Polygon",
        "coordinates": [[[3.9, 44.7], [5.9, 44.7], [5.9, 44.2], [3.9, 44.2], [3.9, 44.7]]],
    }
    mask = aoi_mask(grid, geometry)
    assert (mask == by_centres(grid, geometry)).all()
    chord = project_aoi(grid, geometry).envelope
    assert 0 < mask.sum() < chord.area / 100**2


def test_an_aoi_across_the_antimeridian_is_masked_on_both_sides():
    tile = Grid("EPSG:32701", (60.0, 0.0, 99960.0, 0.0, -60.0, 8200000.0), 1830, 1830)
    west, east = (
        [[179.2, -17.0], [180.0, -17.0], [180.0, -16.8], [179.2, -16.8], [179.2, -17.0]],
        [
            [-180.0, -17.0],
            [-178.9, -17.0],
            [-178.9, -16.8],
            [-180.0, -16.8],
            [-180.0, -17.0],
        ],
    )
    mask = aoi_mask(tile, {"type": "MultiPolygon", "coordinates": [[west], [east]]})
    joined = {
        "type": "Polygon",
        "coordinates": [[[179.2, -17.0], [181.1, -17.0], [181.1, -16.8], [179.2, -16.8], [179.2, -17.0]]],
    }
    assert mask.any()
    assert (mask == by_centres(tile, joined)).all()


def test_parts_of_an_aoi_far_from_the_grid_do_not_count():
    near = box(ZONE_31, 600000, 4999900, 600100, 5000000)
    far = [[-120.0, -40.0], [-60.0, -40.0], [-60.0, 40.0], [-120.0, 40.0], [-120.0, -40.0]]
    assert aoi_mask(ZONE_31, {"type": "MultiPolygon", "coordinates": [[near], [far]]}).sum() == 100
    assert aoi_mask(ZONE_31, {"type": "Polygon", "coordinates": [far]}).sum() == 0
    globe = [[-180.0, -85.0], [180.0, -85.0], [180.0, 85.0], [-180.0, 85.0], [-180.0, -85.0]]
    assert aoi_mask(ZONE_31, {"type": "Polygon", "coordinates": [globe]}).all()


def test_masks_of_real_sites_have_the_reference_counts():
    archive = shared_data("archive")
    sites = json.loads((archive / "expected.json").read_text())["sites"]
    for name, site in sites.items():
        geometry = json.loads((archive / site["aoi"]).read_text())
        geometry = (
            geometry["features"][0]["geometry"]
            if geometry["type"] == "FeatureCollection"
            else geometry.get("geometry", geometry)
        )
        (x, y), resolution = site["grid"]["origin"], site["grid"]["resolution"]
        grid = Grid(site["grid"]["proj:code"], (resolution, 0.0, x, 0.0, -resolution, y), 1100, 1100)
        assert aoi_mask(grid, geometry).sum() == site["dates"][0]["aoi_pixels"], name
