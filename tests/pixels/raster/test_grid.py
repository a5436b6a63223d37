"""Pixel grids and AOI masks, against pyproj and shapely and the counts of real sites."""

import json

import numpy as np
import pyproj
import pytest
import shapely

from data import shared_data
from revisit.errors import PermanentError
from revisit.pixels.raster.grid import Grid, aoi_mask, count_aoi_pixels, project_aoi

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


def star(lon, lat, size, seed, points=40):
    """A ring with spikes around a place, in degrees."""
    random = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    reach = size * random.uniform(0.2, 1, points)
    ring = np.column_stack(
        [lon + reach * np.cos(angle) / np.cos(np.radians(lat)), lat + reach * np.sin(angle)]
    )
    return [*ring.tolist(), ring[0].tolist()]


@pytest.mark.parametrize("size", [0.0001, 0.0004, 0.002, 0.01])
@pytest.mark.parametrize("corner", [(600000.0, 5000000.0), (603000.0, 4998000.0), (600000.0, 4999000.0)])
def test_the_pixels_of_an_aoi_across_the_edge_are_those_whose_centre_is_inside_on_the_endless_grid(
    size, corner
):
    (place,) = lonlat(ZONE_31, [corner])
    hole = star(*place, size / 6, 1)[::-1]
    for seed in range(4):
        geometry = {"type": "Polygon", "coordinates": [star(*place, size, seed), hole]}
        wide = Grid("EPSG:32631", (10.0, 0.0, 597000.0, 0.0, -10.0, 5003000.0), 900, 800)
        whole = by_centres(wide, geometry)
        assert not (whole[0].any() or whole[-1].any() or whole[:, 0].any() or whole[:, -1].any())
        inside = int(aoi_mask(ZONE_31, geometry).sum())
        assert count_aoi_pixels(ZONE_31, geometry, inside) == whole.sum()


def test_the_pixels_of_a_large_aoi_of_two_parts_are_counted_far_beyond_the_grid():
    parts = [[star(4.5, 44.9, 0.5, 3)], [star(3.2, 46.5, 0.4, 4)]]  # 100 km and 200 km across, in two zones
    geometry = {"type": "MultiPolygon", "coordinates": parts}
    wide = Grid("EPSG:32631", (50.0, 0.0, 450000.0, 0.0, -50.0, 5300000.0), 6500, 8000)
    grid = Grid("EPSG:32631", (50.0, 0.0, 600000.0, 0.0, -50.0, 5000000.0), 300, 200)
    inside = int(aoi_mask(grid, geometry).sum())
    assert inside
    assert count_aoi_pixels(grid, geometry, inside) == aoi_mask(wide, geometry).sum()


def test_a_part_on_the_other_side_of_the_globe_counts_by_its_area():
    near, far = box(ZONE_31, 600000, 4999900, 600100, 5000000), [(-120, 0), (-119, 0), (-119, 1), (-120, 1)]
    geometry = {"type": "MultiPolygon", "coordinates": [[near], [[*far, far[0]]]]}
    area = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(*zip(*far, strict=True))[0]
    assert count_aoi_pixels(ZONE_31, geometry, 100) == pytest.approx(100 + area / 100, rel=1e-4)


def test_an_aoi_across_the_antimeridian_is_counted_on_both_sides():
    grid = Grid("EPSG:32701", (60.0, 0.0, 99960.0, 0.0, -60.0, 8200000.0), 400, 1400)
    halves = [[(179.0, 180.0)], [(-180.0, -178.9)]]
    parts = [[[[w, -17.0], [e, -17.0], [e, -16.8], [w, -16.8], [w, -17.0]]] for ((w, e),) in halves]
    geometry = {"type": "MultiPolygon", "coordinates": parts}
    wide = Grid("EPSG:32701", (60.0, 0.0, 39960.0, 0.0, -60.0, 8200000.0), 4500, 1600)
    inside = int(aoi_mask(grid, geometry).sum())
    assert inside
    assert count_aoi_pixels(grid, geometry, inside) == aoi_mask(wide, geometry).sum()


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
