"""Reprojected pixels: against rasterio's warp with all that is left out as nodata, in any window."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.warp import reproject

from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.reproject import reproject_pixels
from revisit.pixels.raster.resample import ClearMasks

SATURATED = 65535


def grid(zone, resolution, side):
    """A square at 6.7 E, where zones 31 and 32 overlap, on whole pixels."""
    x, y = Transformer.from_crs(4326, zone, always_xy=True).transform(6.7, 45.0)
    west, north = (
        round((each + sign * side * resolution / 2) / 60) * 60.0 for each, sign in ((x, -1), (y, 1))
    )
    return Grid(f"EPSG:{zone}", (float(resolution), 0.0, west, 0.0, -float(resolution), north), side, side)


SOURCE, TARGET = grid(32632, 20, 90), grid(32631, 20, 70)


def warp(pixels, method, nodata=0):
    out = np.full(TARGET.shape, nodata, pixels.dtype)
    reproject(
        pixels,
        out,
        src_transform=rasterio.Affine(*SOURCE.transform),
        src_crs=SOURCE.crs,
        src_nodata=nodata,
        dst_transform=rasterio.Affine(*TARGET.transform),
        dst_crs=TARGET.crs,
        dst_nodata=nodata,
        resampling=Resampling[method],
        tolerance=0,
        XSCALE=1,
        YSCALE=1,
    )
    return out


@pytest.fixture
def scene():
    """DN with no data and saturated pixels, and classes of 3 x 3 pixels: clear, cloud."""
    random = np.random.default_rng(5)
    dn = random.integers(1, 9000, SOURCE.shape).astype("uint16")
    dn[random.random(dn.shape) < 0.05] = 0
    dn[random.random(dn.shape) < 0.05] = SATURATED
    return dn, np.kron(random.choice([4, 9], (30, 30)), np.ones((3, 3))).astype("uint8")


def test_classes_are_those_of_an_exact_warp_by_nearest_neighbour(scene):
    found = reproject_pixels(scene[1], SOURCE, TARGET, 0, "nearest")
    assert (found == warp(scene[1], "nearest")).all()


def test_clear_pixels_are_mixed_of_clear_ones_as_a_warp_with_nodata_mixes_them(scene):
    dn, scl = scene
    classes = warp(scl, "nearest")
    clear = ClearMasks(scl == 4, classes == 4)
    found = reproject_pixels(dn, SOURCE, TARGET, 0, "bilinear", clear)
    nearest = warp(dn, "nearest")
    for wanted, kept in ((classes == 4, scl == 4), (classes == 9, True)):
        right = warp(np.where(kept & (dn != SATURATED), dn, 0).astype("uint16"), "bilinear")
        # The nearest source pixel is of the same class as the target pixel: both take it from one place.
        here = wanted & (nearest != 0) & (nearest != SATURATED)
        assert here.sum() > 1500
        assert (found[here] == right[here]).all()
    assert (found[nearest == SATURATED] == SATURATED).all()
    assert (found[nearest == 0] == 0).all()


def test_a_clear_pixel_among_masked_neighbours_has_the_value_of_the_nearest_clear_one():
    """By hand, in one CRS: 10 m pixels half a pixel to the right and down of the source's."""
    pixels = np.arange(1, 26, dtype="uint16").reshape(5, 5)
    source = Grid("EPSG:32631", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), 5, 5)
    target = Grid("EPSG:32631", (10.0, 0.0, 21.0, 0.0, -10.0, -22.0), 1, 1)
    # The centre is at row 2.7 and column 2.6; the nearest clear centres are those of (4, 2) and (0, 0).
    clear = np.zeros((5, 5), bool)
    clear[4, 2] = clear[0, 0] = True
    masks = ClearMasks(clear, np.ones((1, 1), bool))
    assert reproject_pixels(pixels, source, target, 0, "bilinear", masks).tolist() == [[pixels[4, 2]]]
    mixed = 0.8 * (0.9 * 13 + 0.1 * 14) + 0.2 * (0.9 * 18 + 0.1 * 19)
    assert reproject_pixels(pixels, source, target, 0, "bilinear").tolist() == [[round(mixed)]]
    masks = ClearMasks(np.zeros((5, 5), bool), np.ones((1, 1), bool))
    assert reproject_pixels(pixels, source, target, 0, "bilinear", masks).tolist() == [[round(mixed)]]


def test_pixels_do_not_depend_on_the_window_they_are_read_in(scene):
    dn, scl = scene
    target_clear = warp(scl, "nearest") == 4
    whole = reproject_pixels(dn, SOURCE, TARGET, 0, "bilinear", ClearMasks(scl == 4, target_clear))

    @given(st.tuples(*[st.integers(0, TARGET.width - 1)] * 4))
    def check(corners):
        top, bottom, left, right = *sorted(corners[:2]), *sorted(corners[2:])
        rows, columns = slice(top, bottom + 1), slice(left, right + 1)
        masks = ClearMasks(scl == 4, target_clear[rows, columns])
        part = reproject_pixels(dn, SOURCE, TARGET.window(rows, columns), 0, "bilinear", masks)
        assert (part == whole[rows, columns]).all()

    check()
