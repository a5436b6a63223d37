"""Bands of a product on one grid, against rasterio and GDAL's resampling."""

import json
from dataclasses import replace
from threading import Barrier

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import from_bounds

from band_pixels import read_bands
from data import shared_data
from revisit.domain.bands import BandFile
from revisit.errors import PermanentError, TransientError
from revisit.pixels.raster.product_classes import SharedBand
from revisit.pixels.raster.read_plan import ReadPlan

WEST, NORTH = 600000.0, 5000040.0
CLEAR = (4, 5, 6, 7, 11)


def band(folder, name, resolution, side, dtype="uint16", values=None, crs="EPSG:32631", west=WEST):
    """Write a tiled band file of side x side pixels at the tile's upper left corner."""
    if values is None:
        values = np.random.default_rng(len(name) + resolution).integers(
            1, 12 if dtype == "uint8" else 9000, (side, side)
        )
    path = folder / f"{name}.tif"
    profile = {
        "count": 1,
        "width": side,
        "height": side,
        "dtype": dtype,
        "crs": crs,
        "nodata": 0,
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
    }
    transform = rasterio.Affine(resolution, 0, west, 0, -resolution, NORTH)
    with rasterio.open(path, "w", driver="GTiff", transform=transform, **profile) as file:
        file.write(values.astype(dtype), 1)
    return BandFile(name, str(path), "GTiff")


def aoi(west, south, east, north, crs=32631):
    """A box in metres from the tile's corner, y down, as GeoJSON; 1 cm smaller, to touch no further
    pixels."""
    to_degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    west, east, south, north = (
        WEST + west + 0.01,
        WEST + east - 0.01,
        NORTH - south + 0.01,
        NORTH - north - 0.01,
    )
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return {"type": "Polygon", "coordinates": [[to_degrees.transform(*point) for point in ring]]}


@pytest.fixture
def tile(tmp_path):
    sizes = {"B02": (10, 240), "B04": (10, 240), "B11": (20, 120), "B01": (60, 40)}
    files = {name: band(tmp_path, name, *size) for name, size in sizes.items()}
    return files | {"SCL": band(tmp_path, "SCL", 20, 120, "uint8")}


def pixels(file):
    with rasterio.open(file.href, driver="GTiff") as dataset:
        return dataset.read(1)


class WatchedBand(SharedBand):
    """Calls a function before it is read."""

    before = None

    def read(self, rows, columns):
        self.before()
        return super().read(rows, columns)


def watch(plan, functions):
    """The plan, with functions to be called before bands are read, by name."""
    watched = dict(plan.bands)
    for name, function in functions.items():
        watched[name] = WatchedBand(plan.bands[name])
        watched[name].before = function
    return plan.with_bands(watched)


def test_the_classification_is_read_beside_the_bands_that_need_it(tile):
    """Each of the two reads begins only when the other one has begun, and there is no second one."""
    names, area, both = ["B04", "B11", "SCL"], aoi(300, 700, 650, 410), Barrier(2, timeout=30)
    with ReadPlan.open(tile, area, names) as plan:
        right = plan.read().dn
        found = watch(plan, {"SCL": both.wait, "B11": both.wait}).read(["B11", "B04"]).dn
    assert list(found) == ["B11", "B04"]
    assert all((found[name] == right[name]).all() for name in found)


def test_a_classification_that_could_not_be_read_is_read_again_with_the_next_bands(tile):
    failures = [TransientError("the server is busy")]

    def fail():
        if failures:
            raise failures.pop()

    with ReadPlan.open(tile, aoi(300, 700, 650, 410), ["B04", "B11", "SCL"]) as plan:
        right, failing = plan.read().dn, watch(plan, {"SCL": fail})
        with pytest.raises(TransientError, match="busy"):
            failing.read()
        assert all((failing.read().dn[name] == pixels).all() for name, pixels in right.items())


def test_bands_of_the_grids_resolution_are_read_bit_for_bit(tile):
    window = read_bands(tile, aoi(300, 700, 650, 410), bands=["B02", "B04"])
    # 300..650 m is columns 30..65; 410..700 m down is rows 41..70; the box is rotated in UTM by less than a
    # pixel.
    assert window.grid.transform == (10.0, 0.0, WEST + 300, 0.0, -10.0, NORTH - 410)
    assert window.grid.shape == (29, 35)
    for name in ("B02", "B04"):
        assert (window.dn[name] == pixels(tile[name])[41:70, 30:65]).all()
        assert window.dn[name].dtype == np.uint16


def test_the_finest_band_read_sets_the_grid(tile):
    assert read_bands(tile, aoi(300, 700, 650, 410), bands=["B11", "B01"]).grid.resolution_m == 20
    assert read_bands(tile, aoi(300, 700, 650, 410), bands=["B01"]).grid.resolution_m == 60
    assert read_bands(tile, aoi(300, 700, 650, 410), bands=["B01", "B02"]).grid.resolution_m == 10


def test_the_scene_classification_sets_the_grid_only_if_it_is_read_alone(tile):
    assert read_bands(tile, aoi(300, 700, 650, 410), bands=["SCL", "B01"]).grid.resolution_m == 60
    assert read_bands(tile, aoi(300, 700, 650, 410), bands=["SCL"]).grid.resolution_m == 20


def test_a_plan_reads_the_classification_and_then_the_bands_on_the_same_grid(tile):
    with ReadPlan.open(tile, aoi(300, 700, 650, 410), bands=["B02", "B11", "SCL"]) as plan:
        first = plan.read(["SCL"])
        rest = plan.read(["B02", "B11"])
    assert first.grid == rest.grid == plan.grid
    assert list(rest.dn) == ["B02", "B11"]
    repeated = np.kron(pixels(tile["SCL"]), np.ones((2, 2), np.uint8))
    assert (first.dn["SCL"] == repeated[41:70, 30:65]).all()


def test_coarse_bands_are_interpolated_as_gdal_does_away_from_the_edge(tile):
    window = read_bands(tile, aoi(300, 700, 650, 410), bands=["B02", "B11", "B01"])  # without a mask
    for name in ("B11", "B01"):
        with rasterio.open(tile[name].href, driver="GTiff") as file:
            shape = {
                "transform": rasterio.Affine(*window.grid.transform),
                "width": window.grid.width,
                "height": window.grid.height,
            }
            with WarpedVRT(file, crs=file.crs, resampling=Resampling.bilinear, **shape) as warped:
                peer = warped.read(1)
        assert np.abs(window.dn[name].astype(int) - peer).max() <= 1


def test_clear_pixels_are_interpolated_from_clear_neighbours_only(tile):
    """Against a loop over pixels: neighbours weigh 1/4 and 3/4, and masked ones are left out."""
    swir, scl = pixels(tile["B11"]), pixels(tile["SCL"])
    window = read_bands(tile, aoi(300, 700, 650, 410), bands=["B02", "B11", "SCL"])
    for row in range(window.grid.height):
        for column in range(window.grid.width):
            y, x = (41 + row) // 2, (30 + column) // 2
            up, left = y + (-1 if (41 + row) % 2 == 0 else 1), x + (-1 if column % 2 == 0 else 1)
            near = [((y, x), 9), ((up, x), 3), ((y, left), 3), ((up, left), 1)]
            if scl[y, x] in CLEAR:
                near = [(at, weight) for at, weight in near if scl[at] in CLEAR]
            expected = sum(int(swir[at]) * weight for at, weight in near) / sum(weight for _, weight in near)
            assert window.dn["B11"][row, column] == np.rint(expected)


def test_a_window_equals_the_same_part_of_the_whole(tile):
    whole = read_bands(tile, aoi(0, 2400, 2400, 0))
    part = read_bands(tile, aoi(310, 690, 650, 430))
    assert whole.grid.shape == (240, 240)
    for name, values in part.dn.items():
        assert (values == whole.dn[name][43:69, 31:65]).all(), name


def test_nearest_repeats_pixels(tile):
    window = read_bands(tile, aoi(0, 2400, 2400, 0), resampling="nearest", bands=["B02", "B11"])
    assert (window.dn["B11"] == np.kron(pixels(tile["B11"]), np.ones((2, 2), int))).all()


def test_a_coarser_grid_averages_reflectance_and_picks_classes(tile):
    window = read_bands(tile, aoi(300, 700, 640, 400), resolution_m=20)
    assert window.grid.transform == (20.0, 0.0, WEST + 300, 0.0, -20.0, NORTH - 400)
    fine = pixels(tile["B02"])[40:70, 30:64].reshape(15, 2, 17, 2).astype(float).mean(axis=(1, 3))
    assert (window.dn["B02"] == np.rint(fine)).all()
    assert (window.dn["B11"] == pixels(tile["B11"])[20:35, 15:32]).all()
    coarse = read_bands(tile, aoi(300, 700, 640, 400), resolution_m=60)
    # 60 m pixels are counted from the tile's corner: columns 5..10, rows 6..11.
    assert coarse.grid.transform == (60.0, 0.0, WEST + 300, 0.0, -60.0, NORTH - 360)
    scl = pixels(tile["SCL"])
    for row in range(coarse.grid.height):
        for column in range(coarse.grid.width):
            cell = slice(18 + 3 * row, 21 + 3 * row), slice(15 + 3 * column, 18 + 3 * column)
            classes = scl[cell].ravel().tolist()
            clear = sum(number in CLEAR for number in classes) > 4
            among = sorted(number for number in classes if (number in CLEAR) == clear)
            assert coarse.dn["SCL"][row, column] == max(among, key=among.count)
            fine = np.kron(scl[cell], np.ones((2, 2), int))
            red = pixels(tile["B02"])[36 + 6 * row : 42 + 6 * row, 30 + 6 * column : 36 + 6 * column]
            used = red[np.isin(fine, CLEAR)] if clear else red
            assert coarse.dn["B02"][row, column] == np.rint(used.mean())


def test_an_odd_origin_is_kept(tmp_path):
    odd = band(tmp_path, "B04", 10, 100, west=WEST + 7.364339148)
    window = read_bands({"B04": odd}, aoi(307, 700, 650, 410))
    assert window.grid.transform[2] == pytest.approx(WEST + 7.364339148 + 290, abs=1e-6)


def test_an_aoi_beyond_the_edge_is_cropped_to_the_product(tile):
    window = read_bands(tile, aoi(-500, 100, 100, -500), bands=["B02"])
    assert window.grid.bounds == (WEST, NORTH - 100, WEST + 100, NORTH)


def test_an_aoi_outside_the_product_is_refused_with_the_products_bounds(tile):
    for outside in (aoi(2500, 2600, 2600, 2500), aoi(900000, 2600, 900100, 2500)):
        with pytest.raises(PermanentError, match="AOI is outside the product"):
            read_bands(tile, outside)


def test_a_band_the_product_lacks_is_named(tile):
    with pytest.raises(PermanentError, match="no band B08; it has B02"):
        read_bands(tile, aoi(300, 700, 650, 410), bands=["B08"])


def test_bands_of_different_zones_are_refused(tile, tmp_path):
    tile["B08"] = band(tmp_path, "B08", 10, 240, crs="EPSG:32632")
    with pytest.raises(PermanentError, match="B08 is in EPSG:32632"):
        read_bands(tile, aoi(300, 700, 650, 410))


def test_a_band_in_degrees_is_refused(tmp_path):
    with pytest.raises(PermanentError, match="projected"):
        read_bands({"B02": band(tmp_path, "B02", 10, 10, crs="EPSG:4326")}, aoi(300, 700, 650, 410))


def test_more_pixels_than_fit_in_memory_are_refused_before_any_is_decoded(tmp_path):
    path = tmp_path / "B02.tif"
    profile = {
        "count": 1,
        "width": 10980,
        "height": 10980,
        "dtype": "uint16",
        "crs": "EPSG:32631",
        "tiled": True,
        "sparse_ok": True,
    }
    with rasterio.open(
        path, "w", driver="GTiff", transform=rasterio.Affine(10, 0, WEST, 0, -10, NORTH), **profile
    ):
        pass
    files = {f"B{number:02d}": BandFile(f"B{number:02d}", str(path), "GTiff") for number in range(2, 9)}
    with pytest.raises(
        PermanentError, match=r"7 bands of 10980 x 10980 pixels need 3\.4 GB.*coarser resolution_m"
    ):
        read_bands(files, aoi(0, 109800, 109800, 0))
    assert read_bands({"B02": files["B02"]}, aoi(50, 90, 90, 50)).dn["B02"].max() == 0


def test_a_grid_of_too_many_pixels_is_refused_before_it_is_allocated(tmp_path):
    coarse = {"B01": band(tmp_path, "B01", 600, 183)}
    with pytest.raises(PermanentError, match=r"109800 x 109800 pixels of 1 m.*coarser resolution_m"):
        ReadPlan.open(coarse, aoi(0, 109800, 109800, 0), resolution_m=1)


def test_a_file_deleted_after_the_plan_is_read_and_a_later_plan_is_refused(tile, tmp_path):
    with ReadPlan.open(tile, aoi(300, 700, 650, 410), bands=["B02"]) as plan:
        (tmp_path / "B02.tif").unlink()
        assert plan.read().dn["B02"].shape == (29, 35)
    with pytest.raises(PermanentError, match="does not exist"):
        read_bands(tile, aoi(300, 700, 650, 410), bands=["B02"])


def test_real_products_are_read_as_rasterio_reads_them():
    archive = shared_data("archive")
    for item in sorted(archive.glob("sentinel-2-l2a/*/*.json"))[::5] + sorted(
        archive.glob("sentinel-2-l2a/*33NZA*/*.json")
    ):
        files = {
            path.stem: BandFile(path.stem, str(path), "GTiff")
            for path in item.parent.glob("*.tif")
            if path.stem != "cloud_mask"
        }
        window = read_bands(files, json.loads(item.read_text())["geometry"])
        for name, file in files.items():
            with rasterio.open(file.href, driver="GTiff") as dataset:
                if dataset.res[0] == window.grid.resolution_m:
                    expected = from_bounds(*window.grid.bounds, transform=dataset.transform).round()
                    assert (window.dn[name] == dataset.read(1, window=expected)).all(), (item.name, name)


def test_a_real_jpeg_2000_is_read_as_rasterio_reads_it():
    folder = shared_data("safe", "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE")
    file = BandFile("B01", str(next(folder.rglob("*_B01.jp2"))), "JP2OpenJPEG")
    site = json.loads(shared_data("archive", "aoi", "eodag_31TDH.geojson").read_text())
    geometry = (
        site["features"][0]["geometry"] if site["type"] == "FeatureCollection" else site.get("geometry", site)
    )
    window = read_bands({"B01": file}, geometry)
    with rasterio.open(file.href, driver="JP2OpenJPEG") as dataset:
        assert (
            window.dn["B01"]
            == dataset.read(1, window=from_bounds(*window.grid.bounds, transform=dataset.transform))
        ).all()
    assert window.dn["B01"].any()
    with pytest.raises(PermanentError, match="B01"):
        read_bands({"B01": replace(file, driver="GTiff")}, geometry)
