"""Several products read as one: against whole tiles, rasterio.merge, rasterio.warp and analytic fields."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.merge import merge
from rasterio.warp import reproject

from data import shared_data
from revisit.domain.bands import BandFile, BandFiles
from revisit.domain.product import Product
from revisit.errors import PermanentError
from revisit.pixels import masks
from revisit.pixels.indices import index
from revisit.pixels.raster.aligned_band import convert_dn
from revisit.pixels.raster.mosaic import Mosaic
from revisit.pixels.raster.read_plan import ReadPlan
from revisit.pixels.statistics import compute_statistics

SENSED = datetime(2024, 6, 1, 10, 50, tzinfo=UTC)


def product(id, tile="31TCJ"):
    return Product(id, "folder:/a", "L2A", "S2A", tile, SENSED, "20240601T105031", 200.0, 0, 0, 0)


def write(folder, name, values, resolution, west, north, crs, **fields):
    """A band as a file; `values` of any integer dtype, shape (height, width)."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.tif"
    profile = {
        "count": 1,
        "dtype": values.dtype,
        "crs": crs,
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
    }
    transform = rasterio.Affine(resolution, 0, west, 0, -resolution, north)
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", transform=transform, height=height, width=width, **profile
    ) as file:
        file.write(values, 1)
    return BandFile(name, str(path), "GTiff", **fields)


def box(west, south, east, north, crs):
    """A box in metres, 1 cm smaller, as GeoJSON."""
    to_degrees = Transformer.from_crs(crs, 4326, always_xy=True)
    west, south, east, north = west + 0.01, south + 0.01, east - 0.01, north - 0.01
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return {"type": "Polygon", "coordinates": [[to_degrees.transform(*point) for point in ring]]}


def read(products, files, aoi, bands, **options):
    """Bands, classes and contributions of a mosaic."""
    with Mosaic.open(
        products, files[products[0].id], lambda product: BandFiles(files[product.id]), aoi, bands, **options
    ) as mosaic:
        mosaic.read_classes()
        dn, scl = mosaic.read_bands()
        return dn, scl, mosaic


@pytest.mark.parametrize("resolution_m", [None, 25, 60])
@pytest.mark.parametrize("spans", [((0, 300), (300, 510)), ((0, 330), (270, 510)), ((270, 510), (0, 330))])
def test_a_real_tile_cut_in_two_equals_the_whole_bit_for_bit(tmp_path, spans, resolution_m):
    (folder,) = shared_data("archive").glob("sentinel-2-l2a/*T33NZA*")
    files = {"whole": {}, "first": {}, "second": {}}
    for name, resolution in {"B04": 10, "B08": 10, "B11": 20, "B01": 60, "SCL": 20}.items():
        with rasterio.open(folder / f"{'B11' if name == 'SCL' else name}.tif") as file:
            values, corner, crs = file.read(1), (file.transform.c, file.transform.f), file.crs
        if name == "SCL":  # The product has none: clear and cloud, by the brightness of a band.
            values = np.where(values > np.median(values), 8, 4).astype("uint8")
        for part, (top, bottom) in zip(files, [(0, 510), *spans], strict=True):
            kept = np.zeros_like(values)
            rows = slice(top * 10 // resolution, bottom * 10 // resolution)
            kept[rows] = values[rows]
            files[part][name] = write(tmp_path / part, name, kept, resolution, *corner, crs)
    west, north = corner
    aoi = box(west + 500, north - 4600, west + 4500, north - 400, crs)
    products = [product("first", "33NZA"), product("second", "33NZA")]
    dn, scl, mosaic = read(products, files, aoi, list(files["whole"]), resolution_m=resolution_m)
    with ReadPlan.open(files["whole"], aoi, resolution_m=resolution_m) as plan:
        assert plan.grid == mosaic.grid
        for name, right in plan.read().dn.items():
            assert ((scl if name == "SCL" else dn[name]) == right)[mosaic.inside].all(), name
    assert all(each.pixels for each in mosaic.contributions)


def test_two_tiles_of_a_zone_are_joined_as_rasterio_merges_them(tmp_path):
    random, files = np.random.default_rng(3), {}
    # 31TCJ ends at 409800; 31TDJ begins at 399960.
    for tile, west in {"31TCJ": 403800, "31TDJ": 399960}.items():
        values = random.integers(1, 9000, (240, 600)).astype("uint16")
        files[tile] = {"B04": write(tmp_path / tile, "B04", values, 10, west, 4894020, "EPSG:32631")}
    files["31TDJ"] = {
        "B04": write(
            tmp_path / "31TDJ",
            "B04",
            random.integers(1, 9000, (240, 1500)).astype("uint16"),
            10,
            399960,
            4894020,
            "EPSG:32631",
        )
    }
    aoi = box(404500, 4891700, 412900, 4893900, 32631)
    products = [product("31TCJ"), product("31TDJ", "31TDJ")]
    dn, scl, mosaic = read(products, files, aoi, ["B04"])
    right, transform = merge([files[each.id]["B04"].href for each in products], bounds=mosaic.grid.bounds)
    assert scl is None
    assert tuple(transform)[:6] == mosaic.grid.transform
    assert (dn["B04"] == right[0])[mosaic.inside].all()
    within = np.cumsum(np.ones_like(dn["B04"]), axis=1) * 10 + mosaic.grid.bounds[0] <= 409800
    assert [each.pixels for each in mosaic.contributions] == [
        np.count_nonzero(mosaic.inside & within),
        np.count_nonzero(mosaic.inside & ~within),
    ]


WAVE_M, DEPTH = 2000.0, 1000.0
"""Length and amplitude of the analytic field."""


def field(lon, lat, zone):
    """DN of a smooth field on the ground, and a class for each kilometre of it."""
    x, y = Transformer.from_crs(4326, zone, always_xy=True).transform(lon, lat)
    x, y = np.asarray(x), np.asarray(y)
    dn = 3000 + DEPTH * np.sin(2 * np.pi * x / WAVE_M) * np.cos(2 * np.pi * y / WAVE_M)
    return dn, (4 + (x // 1000 + y // 1000) % 3).astype("uint8")


def centres(grid_transform, shape, crs):
    rows, columns = np.indices(shape)
    step, _, west, _, _, north = tuple(grid_transform)[:6]
    to_degrees = Transformer.from_crs(crs, 4326, always_xy=True)
    return to_degrees.transform(west + (columns + 0.5) * step, north - (rows + 0.5) * step)


@pytest.mark.parametrize(("home", "away"), [(32631, 32632), (32632, 32631)])
def test_a_tile_of_another_zone_is_reprojected_onto_the_first_grid(tmp_path, home, away):
    """At 6.7 E, tiles of zones 31 and 32 overlap: a known field is read within interpolation's bound."""
    files, corners = {}, {}
    for zone in (home, away):
        x, y = Transformer.from_crs(4326, zone, always_xy=True).transform(6.7, 45.0)
        corners[zone] = round(x / 60) * 60 - 3000, round(y / 60) * 60 + 3000
        for name, step, side in (("B04", 10, 600), ("SCL", 20, 300)):
            west, north = corners[zone]
            lon, lat = centres((step, 0, west, 0, -step, north), (side, side), zone)
            values = (
                field(lon, lat, home)[name == "SCL"].round().astype("uint8" if name == "SCL" else "uint16")
            )
            if zone == home:
                values[:, side // 2 :] = 0
            files.setdefault(str(zone), {})[name] = write(
                tmp_path / str(zone), name, values, step, west, north, f"EPSG:{zone}"
            )
    tiles = {32631: "31TGK", 32632: "32TLQ"}
    products = [product(str(zone), tiles[zone]) for zone in (home, away)]
    west, north = corners[home]
    aoi = box(west + 1000, north - 4000, west + 4500, north - 2000, home)
    dn, scl, mosaic = read(products, files, aoi, ["B04", "SCL"])
    lon, lat = centres(mosaic.grid.transform, mosaic.grid.shape, home)
    right, classes = field(lon, lat, home)
    assert [bool(each.pixels) for each in mosaic.contributions] == [True, True]
    assert mosaic.contributions[1].reprojected_from == f"EPSG:{away}"
    inside = mosaic.inside
    # Bilinear: h^2/8 of the second derivatives along both axes, and two roundings.
    bound = 2 * 10**2 / 8 * DEPTH * (2 * np.pi / WAVE_M) ** 2 + 1
    assert np.abs(dn["B04"].astype(float) - right)[inside].max() <= bound
    # A class is that of a place within one pixel of the classification.
    x, y = Transformer.from_crs(4326, home, always_xy=True).transform(lon, lat)
    edge = np.minimum(*(np.abs((axis + 500) % 1000 - 500) for axis in (np.asarray(x), np.asarray(y))))
    clear_of_edges = inside & (edge > 30)
    assert (scl == classes)[clear_of_edges].all()
    assert clear_of_edges.sum() > 0.85 * inside.sum()
    # The same pixels from GDAL's exact warp of the second product alone.
    warped = np.zeros(mosaic.grid.shape, "uint16")
    with rasterio.open(files[str(away)]["B04"].href) as file:
        reproject(
            rasterio.band(file, 1),
            warped,
            dst_transform=rasterio.Affine(*mosaic.grid.transform),
            dst_crs=f"EPSG:{home}",
            src_nodata=0,
            dst_nodata=0,
            resampling=Resampling.bilinear,
            tolerance=0,
            XSCALE=1,
            YSCALE=1,
        )
    second = inside & (np.indices(mosaic.grid.shape)[1] * 10 + mosaic.grid.bounds[0] >= west + 3000)
    assert np.abs(dn["B04"].astype(int) - warped)[second].max() == 0


@pytest.mark.parametrize("resolution_m", [None, 20, 60])
def test_clear_pixels_of_another_zone_hold_nothing_of_the_clouds_beside_them(tmp_path, resolution_m):
    """Clear land has DN 500, 3000 and 2000, clouds have 9000: every clear pixel is clear land."""
    clear_dn, random = {"B04": 500, "B08": 3000, "B11": 2000}, np.random.default_rng(11)
    files = {}
    for zone in (32631, 32632):
        x, y = Transformer.from_crs(4326, zone, always_xy=True).transform(6.7, 45.0)
        west, north = round(x / 60) * 60 - 1500, round(y / 60) * 60 + 1500
        scl = np.kron(random.choice([4, 5, 8, 9], (50, 50)), np.ones((3, 3))).astype("uint8")
        layers = {"SCL": scl if zone == 32632 else np.zeros_like(scl)}
        cloud = scl > 7
        for name, dn in clear_dn.items():
            side = 150 if name == "B11" else 300
            clouds = np.kron(cloud, np.ones((side // 150,) * 2)).astype(bool)
            layers[name] = np.where(clouds, 9000, dn).astype("uint16") * np.uint16(zone == 32632)
        files[str(zone)] = {
            name: write(tmp_path / str(zone), name, values, 3000 // len(values), west, north, f"EPSG:{zone}")
            for name, values in layers.items()
        }
        if zone == 32631:
            aoi = box(west + 700, north - 2300, west + 2300, north - 700, zone)
    products = [product("32631", "31TGK"), product("32632", "32TLQ")]
    dn, scl, mosaic = read(products, files, aoi, ["B04", "B08", "B11", "SCL"], resolution_m=resolution_m)
    clear = masks.clear_mask(scl, mosaic.inside)
    assert 0.2 < clear.sum() / mosaic.inside.sum() < 0.8
    for name, right in clear_dn.items():
        assert np.unique(dn[name][clear]).tolist() == [right], name
    counted = masks.counted_mask(dn, ["B04", "B08"], scl, mosaic.inside)
    reflectances = {name: dn[name][counted] * 1e-4 for name in ("B04", "B08")}
    statistics = compute_statistics(index("NDVI").compute(reflectances))
    assert statistics.count == clear.sum()
    assert statistics.min == pytest.approx(5 / 7) == statistics.max


@pytest.fixture
def halves(tmp_path):
    """Two products of 60 x 60 pixels, one of which has the upper half; they differ in every value."""
    files = {}
    for id, value, rows in (("A", 1400, slice(0, 30)), ("B", 2000, slice(0, 60))):
        files[id] = {}
        for name, step, side, dtype in (("B04", 10, 60, "uint16"), ("SCL", 20, 30, "uint8")):
            values = np.zeros((side, side), dtype)
            values[slice(rows.start * 10 // step, rows.stop * 10 // step)] = 5 if name == "SCL" else value
            files[id][name] = write(tmp_path / id, name, values, step, 360000, 4830000, "EPSG:32631")
    return files


WHOLE = box(360000, 4829400, 360600, 4830000, 32631)
UPPER = box(360000, 4829700, 360600, 4830000, 32631)


def rewrite(file, change):
    with rasterio.open(file.href, "r+") as dataset:
        values = dataset.read(1)
        change(values)
        dataset.write(values, 1)


def test_a_product_that_is_not_needed_is_never_opened(halves):
    def refuse(product):
        raise AssertionError(f"{product.id} is not needed")

    with Mosaic.open([product("A"), product("B")], halves["A"], refuse, UPPER, ["B04", "SCL"]) as mosaic:
        scl = mosaic.read_classes()
        dn, _ = mosaic.read_bands()
        assert (scl == 5)[mosaic.inside].all()
        assert (dn["B04"] == 1400)[mosaic.inside].all()
        assert not mosaic.contributions[1].files
        spent = mosaic.bytes_read
    with Mosaic.open([product("A")], halves["A"], refuse, UPPER, ["B04", "SCL"]) as mosaic:
        mosaic.read_classes()
        mosaic.read_bands()
        assert mosaic.bytes_read == spent


def test_the_first_product_with_data_in_every_band_gives_the_pixel(halves):
    """By hand: A lacks B04 in row 5 and the class of rows 10 and 11, where it has B04."""

    def cut(values):
        values[5] = 0

    def unclassify(values):
        values[5] = 0

    rewrite(halves["A"]["B04"], cut)
    rewrite(halves["A"]["SCL"], unclassify)
    dn, scl, mosaic = read([product("A"), product("B")], halves, WHOLE, ["B04", "SCL"])
    right = np.full((60, 60), 1400)
    right[[5, 10, 11]], right[30:] = 2000, 2000
    assert (dn["B04"] == right)[mosaic.inside].all()
    assert (scl == 5)[mosaic.inside].all()


def test_a_part_that_cannot_be_read_leaves_what_the_others_give(halves):
    def gone(product):
        if product.id == "B":
            raise PermanentError("its folder is gone")
        return BandFiles(halves["C"])

    halves["C"] = halves["B"]
    products = [product("A"), product("B"), product("C")]
    with Mosaic.open(products, halves["A"], gone, WHOLE, ["B04", "SCL"]) as mosaic:
        mosaic.read_classes()
        dn, _ = mosaic.read_bands()
    assert (dn["B04"] != 0)[mosaic.inside].all()
    assert [each.reason for each in mosaic.contributions] == ["", "its folder is gone", ""]
    lacking = halves | {"B": {"B04": halves["B"]["B04"]}}
    dn, _, mosaic = read(products[:2], lacking, WHOLE, ["B04", "SCL"])
    assert mosaic.contributions[1].reason == "SCL is not in the product"
    assert (dn["B04"] != 0)[mosaic.inside].sum() == mosaic.contributions[0].pixels


def test_dn_of_another_baseline_become_those_of_the_first(halves):
    """Reflectance 0.2 is DN 2000 without an offset, and 3000 with one of -0.1."""
    halves["B"]["B04"] = replace(halves["B"]["B04"], offset=-0.1)
    dn, _, mosaic = read([product("A"), product("B")], halves, WHOLE, ["B04", "SCL"])
    assert set(np.unique(dn["B04"][mosaic.inside])) == {1400, 1000}


def test_converted_dn_keep_nodata_and_saturation():
    old, new = (
        BandFile("B04", "/a.tif", "GTiff"),
        BandFile("B04", "/a.tif", "GTiff", offset=-0.1, nodata=65535),
    )
    pixels = np.array([0, 1, 1000, 1001, 5000, 65534, 65535], "uint16")
    assert convert_dn(pixels, old, replace(old, offset=-0.1), "uint16").tolist() == [
        0,
        1001,
        2000,
        2001,
        6000,
        65535,
        65535,
    ]
    assert convert_dn(pixels, new, old, "uint16").tolist() == [1, 1, 1, 1, 4000, 64534, 0]
    assert convert_dn(pixels, old, old, "uint16") is pixels


def test_a_part_whose_offset_is_in_doubt_fills_only_a_product_in_the_same_doubt(halves):
    doubtful = {"offset": -0.1, "other_offset": 0.0, "doubt": "the flag is wrong"}
    certain = halves["A"]["B04"]
    halves["B"]["B04"] = replace(halves["B"]["B04"], **doubtful)
    dn, _, mosaic = read([product("A"), product("B")], halves, WHOLE, ["B04", "SCL"])
    assert mosaic.contributions[1].reason == "the offset of B04 is in doubt: the flag is wrong"
    assert set(np.unique(dn["B04"][mosaic.inside])) == {0, 1400}
    halves["A"]["B04"] = replace(certain, **doubtful)
    dn, _, mosaic = read([product("A"), product("B")], halves, WHOLE, ["B04", "SCL"])
    assert set(np.unique(dn["B04"][mosaic.inside])) == {1400, 2000}
    mosaic.settle_offsets(halves["A"] | {"B04": certain})
    assert [each.files["B04"].offset for each in mosaic.contributions] == [0.0, 0.0]
