"""AOIs that a product's footprint intersects, compared with brute force over real footprints and AOIs."""

import gzip
import json
import random
import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from shapely.geometry import mapping, shape

from data import shared_data
from figures import figure
from revisit.domain.aoi import AOI
from revisit.domain.aoi_match import match_aois
from revisit.domain.footprint import product_footprint
from revisit.domain.product import Product
from revisit.errors import InvalidInputError


def product(tile, seen=None, bounds=(0, 0, 0, 0), id="P"):
    return Product(
        id,
        "test",
        "L2A",
        "S2A",
        tile,
        datetime(2024, 6, 1, tzinfo=UTC),
        "20240601T000000",
        *bounds,
        footprint=seen,
    )


def aoi(*bounds):
    return AOI.parse(mapping(shapely.box(*bounds)), 1e9)


@pytest.fixture(scope="module")
def real_products():
    """Products of real catalogs, with their tile and footprint as published."""
    found = []
    cdse = pq.read_table(
        shared_data("catalog", "cdse_products.parquet"), columns=["title", "geometry"]
    ).to_pylist()
    found += [
        product(re.search(r"_T(\w{5})_", row["title"])[1], mapping(shapely.from_wkb(row["geometry"])))
        for row in cdse
    ]
    pc = pq.read_table(
        shared_data("stac", "pc_1000_items.parquet"), columns=["s2:mgrs_tile", "geometry"]
    ).to_pylist()
    found += [product(row["s2:mgrs_tile"], mapping(shapely.from_wkb(row["geometry"]))) for row in pc]
    with gzip.open(shared_data("stac", "earthsearch_v0_100_items.json.gz")) as file:
        items = json.load(file)["features"]
    found += [
        product(re.search(r"_0?(\d?\d[A-Z]{3})_", item["id"])[1].rjust(5, "0"), item["geometry"])
        for item in items
    ]
    strip = json.loads(shared_data("stac", "odc_site1_strip_africa_9_items.json").read_text())["features"]
    found += [product(item["properties"]["s2:mgrs_tile"], item["geometry"]) for item in strip]
    return found


@pytest.fixture(scope="module")
def real_aois():
    """Every shape of the shared data that is a valid AOI, by file and number, with countries and
    antimeridian cases."""
    aois = {}
    paths = [
        shared_data("aoi", "ne_110m_countries.geojson"),
        *shared_data("aoi", "antimeridian").glob("input/*.json"),
        *shared_data("aoi", "turf").glob("*.geojson"),
        *shared_data("archive", "aoi").glob("*.geojson"),
    ]
    for path in paths:
        document = json.loads(path.read_text())
        for number, each in enumerate(document.get("features", [document])):
            try:
                aois[f"{path.name}#{number}"] = AOI.parse(each, 1e9)
            except InvalidInputError:
                continue
    return aois


def around(products, count=400):
    """Small AOIs on and beside the edges of products, some with holes or several parts."""
    chance = random.Random(7)
    aois = {}
    while len(aois) < count:
        of = shape(chance.choice(products).footprint)
        at = of.boundary.interpolate(chance.random(), normalized=True)
        size = chance.choice((0.0005, 0.01, 0.1))
        drawn = (
            at.buffer(size, quad_segs=3).difference(at.buffer(size / 2, quad_segs=3))
            if chance.random() < 0.3
            else at.buffer(size, quad_segs=2)
        )
        drawn = shapely.affinity.translate(drawn, chance.uniform(-2, 2) * size, chance.uniform(-2, 2) * size)
        if chance.random() < 0.2:
            drawn = drawn.union(shapely.affinity.translate(drawn, 5 * size, 5 * size))
        try:
            aois[f"edge {len(aois)}"] = AOI.parse(mapping(drawn), 1e9)
        except InvalidInputError:
            continue
    return aois


def test_matches_over_real_footprints_equal_brute_force(real_products, real_aois):
    products = random.Random(3).sample(real_products, 400)
    aois = {**real_aois, **around(products)}
    shapes = np.array([each.shape for each in aois.values()], dtype=object)
    ids = np.array(list(aois))
    pairs = 0
    for each in products:
        found = match_aois(each, aois)
        footprint = shape(each.footprint)
        if not footprint.is_valid or np.ptp(shapely.get_coordinates(footprint)[:, 0]) > 180:
            footprint = product_footprint(each)  # across the antimeridian: checked below
        assert found == sorted(ids[shapely.intersects(footprint, shapes)]), (each.tile, footprint.wkt)
        pairs += len(found)
    assert pairs > 1500
    figure(
        "matches equal brute force",
        f"{len(products)} real footprints x {len(aois)} AOIs, {pairs} pairs, 0 differ",
    )


def test_footprints_across_the_antimeridian_match_on_both_sides():
    grid = pq.read_table(
        shared_data("grid", "s2_mgrs_tiles.parquet"), columns=["tile", "geometry"]
    ).to_pandas()
    drawn = dict(zip(grid.tile, shapely.from_wkb(grid.geometry), strict=True))
    crossing = {
        tile: seen
        for tile, seen in drawn.items()
        if tile[:2] in ("01", "60") and len(shapely.get_parts(seen)) > 1
    }
    chance = random.Random(2)
    chosen = dict(chance.sample(sorted(crossing.items()), 80))
    aois = {}
    for number, tile in enumerate(chosen):
        lat = chosen[tile].centroid.y + chance.uniform(-0.3, 0.3)
        west, east = 180 - chance.uniform(0.1, 1), -180 + chance.uniform(0.1, 1)
        corners = [(west, lat), (east, lat), (east, lat + 0.1), (west, lat + 0.1), (west, lat)]
        aois[f"over {number}"] = AOI.parse({"type": "Polygon", "coordinates": [corners]}, 1e9)
        aois[f"west {number}"] = aoi(west, lat, west + 0.05, lat + 0.05)
        aois[f"east {number}"] = aoi(east - 0.05, lat, east, lat + 0.05)
    products = [product(tile, mapping(seen)) for tile, seen in chosen.items()]
    for each in products:
        found, footprint = match_aois(each, aois), shape(each.footprint)
        assert found == sorted(id for id, aoi in aois.items() if footprint.intersects(aoi.shape))
        assert found


def test_a_footprint_that_jumps_across_the_antimeridian_is_split():
    whole = product(
        "01CCV",
        {
            "type": "Polygon",
            "coordinates": [
                [
                    [176.8646, -72.9915],
                    [-179.7751, -73.0646],
                    [-179.6274, -72.0814],
                    [177.1893, -72.0125],
                    [176.8646, -72.9915],
                ]
            ],
        },
    )
    west, east, outside = (
        aoi(178, -72.6, 178.1, -72.5),
        aoi(-179.9, -72.6, -179.8, -72.5),
        aoi(0, -72.6, 0.1, -72.5),
    )
    assert match_aois(whole, {"w": west, "e": east, "o": outside}) == ["e", "w"]


def test_an_aoi_in_a_hole_of_the_footprint_does_not_match():
    square = shapely.box(12.0, 41.6, 12.6, 42.2).difference(shapely.box(12.2, 41.8, 12.4, 42.0))
    holed = product("32TQM", mapping(square))
    aois = {
        "hole": aoi(12.25, 41.85, 12.35, 41.95),
        "edge": aoi(12.35, 41.9, 12.45, 41.95),
        "far": aoi(13, 41.8, 13.1, 41.9),
    }
    assert match_aois(holed, aois) == ["edge"]


def test_a_footprint_in_a_hole_of_the_aoi_does_not_match():
    ring = AOI.parse(mapping(shapely.box(11, 41, 14, 43).difference(shapely.box(11.2, 41.2, 13, 42.8))), 1e9)
    inside = product("32TQM", mapping(shapely.box(12.0, 41.6, 12.5, 42.0)))
    assert match_aois(inside, {"ring": ring}) == []


def test_without_a_footprint_the_bounds_within_the_tile_decide():
    # Tile 32TQM spans lon 11.39..12.76, lat 41.40..42.43 (corners in the published grid).
    aois = {
        "west": aoi(11.6, 41.6, 11.7, 41.7),
        "east": aoi(12.5, 41.6, 12.6, 41.7),
        "beyond": aoi(13.2, 41.6, 13.3, 41.7),
    }
    assert match_aois(product("32TQM", bounds=(12.2, 41.0, 14.0, 43.0)), aois) == ["east"]
    assert match_aois(product("32TQM", bounds=(-180, -90, 180, 90)), aois) == ["east", "west"]
    # Bounds outside the tile are wrong, and ignored.
    assert match_aois(product("32TQM", bounds=(50, 10, 51, 11)), aois) == ["east", "west"]


def test_bounds_beyond_180_degrees_are_used():
    aois = {"w": aoi(178, -72.6, 178.1, -72.5), "e": aoi(-179.9, -72.6, -179.8, -72.5)}
    assert match_aois(product("01CCV", bounds=(177.5, -73, -179.6, -72)), aois) == ["e", "w"]
    assert match_aois(product("01CCV", bounds=(179, -73, -179.6, -72)), aois) == ["e"]


def test_a_footprint_of_many_tiles_is_cut_to_the_products_own():
    strip = product("32TQM", mapping(shapely.box(8, 38, 16, 46)))
    aois = {"in": aoi(12, 42, 12.1, 42.1), "out": aoi(9, 39, 9.1, 39.1)}
    assert match_aois(strip, aois) == ["in"]


def test_a_footprint_that_crosses_itself_is_still_matched():
    bow = product(
        "32TQM",
        {
            "type": "Polygon",
            "coordinates": [[[11.6, 41.6], [12.4, 42.2], [12.4, 41.6], [11.6, 42.2], [11.6, 41.6]]],
        },
    )
    aois = {"left": aoi(11.65, 41.85, 11.7, 41.95), "top": aoi(11.95, 42.1, 12.05, 42.15)}
    assert match_aois(bow, aois) == ["left"]


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": []},
        {"type": "Circle", "coordinates": [1, 2]},
        {"type": "Polygon", "coordinates": [[[float("nan"), 1], [2, 1], [2, 2], [float("nan"), 1]]]},
        {"type": "Polygon", "coordinates": [["a", "b"]]},
        {"type": "MultiPolygon", "coordinates": None},
    ],
)
def test_the_bounds_replace_a_footprint_that_is_not_a_shape(nonsense):
    aois = {"west": aoi(11.6, 41.6, 11.7, 41.7), "east": aoi(12.5, 41.6, 12.6, 41.7)}
    assert match_aois(product("32TQM", nonsense, bounds=(12.2, 41.0, 14.0, 43.0)), aois) == ["east"]


def test_a_footprint_with_too_many_vertices_becomes_its_convex_hull():
    # Its repair would take minutes: every edge crosses every other.
    chance = random.Random(6)
    tangle = [(chance.uniform(11.8, 12.4), chance.uniform(41.6, 42.2)) for _ in range(5000)]
    aois = {"in": aoi(12, 42, 12.1, 42.1), "out": aoi(12.5, 42, 12.6, 42.1)}
    assert match_aois(product("32TQM", {"type": "Polygon", "coordinates": [[*tangle, tangle[0]]]}), aois) == [
        "in"
    ]


def test_no_aois_match_nothing():
    assert match_aois(product("32TQM", bounds=(11, 41, 13, 43)), {}) == []


def test_a_product_of_an_unknown_tile_is_refused_by_name():
    with pytest.raises(InvalidInputError, match="99TQM"):
        match_aois(replace(product("32TQM"), tile="99TQM"), {})
