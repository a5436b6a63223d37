"""Tiles against the published grid."""

import math
import random

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from pyproj import Transformer

from data import shared_data
from revisit.errors import InvalidInputError
from revisit.geo.mgrs_tile import Tile, filter_tiles_under, tile_ids, tiles_under, tiles_under_up_to


@pytest.fixture(scope="module")
def grid():
    return pq.read_table(shared_data("grid", "s2_mgrs_tiles.parquet")).to_pandas()


def test_the_grid_has_exactly_the_published_tiles(grid):
    assert sorted(tile_ids()) == sorted(grid.tile)


def test_every_tile_has_the_published_zone_corner_and_land_flag(grid):
    tiles = [Tile.parse(id) for id in grid.tile]
    assert [tile.epsg for tile in tiles] == list(grid.epsg)
    assert [tile.bounds_utm[:2] for tile in tiles] == list(zip(grid.utm_xmin, grid.utm_ymin, strict=True))
    assert all(
        east - west == north - south == 109_800
        for west, south, east, north in (tile.bounds_utm for tile in tiles)
    )
    assert [tile.land for tile in tiles] == list(grid.land)


def test_a_tile_is_parsed_with_and_without_its_t():
    assert Tile.parse("T32TQM") == Tile.parse("32TQM")
    assert Tile.parse("32TQM").id == "32TQM"
    assert Tile.parse("32TQM").epsg == 32632
    assert Tile.parse("21HUB").epsg == 32721


@pytest.mark.parametrize(
    "text",
    ["", "32", "32TQ", "99TQM", "00TQM", "32IQM", "32TQI", "32TAM", "32XNG", "32TQMM", "x" * 10_000, "32TQW"],
)
def test_an_unknown_tile_is_refused_with_a_sentence(text):
    with pytest.raises(InvalidInputError, match="tile") as refused:
        Tile.parse(text)
    assert len(str(refused.value)) < 200


def test_tiles_under_a_point_are_those_of_the_overlap():
    assert tiles_under(shapely.Point(11.3, 45.2)) == ("32TPR",)


def test_corners_are_those_of_the_published_polygons(grid):
    # The published polygons join the corners by straight edges in lon/lat; they give 10 decimals.
    chosen = grid[::17]
    for id, published in zip(chosen.tile, shapely.from_wkb(chosen.geometry), strict=True):
        if len(shapely.get_parts(published)) > 1:
            continue
        vertices = shapely.get_coordinates(Tile.parse(id).footprint)[:-1]
        corners = vertices[:: len(vertices) // 4]
        for lon, lat in shapely.get_coordinates(published)[:4]:
            metres = (abs(corners - (lon, lat)) * (111_320 * math.cos(math.radians(lat)), 111_320)).max(
                axis=1
            )
            assert metres.min() < 0.3, id


def test_a_footprint_stays_within_a_metre_of_its_square_in_utm(grid):
    for id in random.Random(1).sample(list(grid.tile), 200):
        tile = Tile.parse(id)
        west, south, east, north = tile.bounds_utm
        square = shapely.box(west, south, east, north)
        to_utm = Transformer.from_crs(4326, tile.epsg, always_xy=True)
        for part in shapely.get_parts(tile.footprint):
            at = shapely.segmentize(part.exterior, 0.002)
            edge = shapely.points(np.stack(to_utm.transform(*shapely.get_coordinates(at).T), axis=1))
            inner = (
                abs(abs(shapely.get_coordinates(at)[:, 0]) - 180) > 1e-9
            )  # where it is cut at the antimeridian
            assert shapely.distance(edge[inner], square.exterior).max() < 1.0, id


def test_tiles_over_the_antimeridian_lie_on_both_sides_of_it_only():
    footprint = Tile.parse("01CCV").footprint
    assert [part.bounds[0] for part in footprint.geoms] == pytest.approx([-180, 176.86], abs=0.01)
    assert [part.bounds[2] for part in footprint.geoms] == pytest.approx([-179.63, 180], abs=0.01)
    assert "01CCV" in tiles_under(shapely.Point(-179.9, -72.5))
    assert "01CCV" in tiles_under(shapely.Point(179.9, -72.5))
    assert "01CCV" not in tiles_under(shapely.Point(0, -72.5))


def test_tiles_under_a_shape_are_those_whose_published_polygons_intersect_it(grid):
    published = shapely.from_wkb(grid.geometry)
    tree, ids = shapely.STRtree(published), grid.tile.to_numpy()
    chance = random.Random(4)
    compared = 0
    for _ in range(300):
        at = shapely.Point(chance.uniform(-180, 180), chance.uniform(-80, 84))
        drawn = at.buffer(10 ** chance.uniform(-3, 0.7)).intersection(shapely.box(-180, -90, 180, 90))
        drawn = (
            drawn.difference(at.buffer(drawn.bounds[2] - at.x - 0.001)) if chance.random() < 0.3 else drawn
        )
        # Published edges leave the squares by up to 237 m times the tangent of the latitude: what is within
        # is not asked.
        slack = 0.0022 * (1 + math.tan(math.radians(min(89, max(map(abs, drawn.bounds[1::2]))))))
        near = tree.query(drawn, predicate="intersects")
        sure = set(ids[near][[drawn.intersects(polygon.buffer(-slack * 3)) for polygon in published[near]]])
        found = set(tiles_under(drawn))
        assert sure <= found
        assert found <= set(
            ids[
                tree.query(
                    drawn.buffer(slack * 3 / math.cos(math.radians(min(85, abs(at.y))))),
                    predicate="intersects",
                )
            ]
        ) | {id for id in found if abs(at.y) > 75 or abs(at.x) > 170}
        compared += len(found)
    assert compared > 1000


def test_tiles_under_a_pole_are_none_and_around_it_those_of_every_zone_that_reaches_there(grid):
    assert tiles_under(shapely.box(-180, 85, 180, 90)) == ()
    band = shapely.box(-180, 82.9, 180, 83)
    published = grid[shapely.intersects(shapely.from_wkb(grid.geometry), band)].tile
    assert {id[:2] for id in tiles_under(band)} == {id[:2] for id in published}


def test_a_hole_keeps_the_tile_within_it_out():
    tile = Tile.parse("32TQM")
    inner = tile.footprint.centroid.buffer(0.1)
    ring = tile.footprint.buffer(2).difference(tile.footprint.buffer(0.01))
    assert "32TQM" in tiles_under(inner)
    assert "32TQM" not in tiles_under(ring)


def test_named_tiles_are_filtered_by_whether_the_shape_touches_them():
    tile = Tile.parse("32TQM")
    named = {"32TQM", "32TPM", "01CCV", "32TQQ0", "99TQM", ""}
    assert filter_tiles_under(named, tile.footprint.centroid.buffer(0.1)) == ("32TQM",)
    assert (
        set(filter_tiles_under(named, tile.footprint))
        == named & set(tiles_under(tile.footprint))
        == {"32TQM", "32TPM"}
    )


def test_tiles_near_a_shape_are_drawn_only_where_they_are_few():
    small, world = Tile.parse("32TQM").footprint, shapely.box(-180, -90, 180, 90)
    assert tiles_under_up_to(small, 50) == tiles_under(small)
    assert tiles_under_up_to(world, 500) is None


def test_tiles_under_a_shape_that_thousands_lie_near_are_those_whose_own_footprint_it_touches():
    along = shapely.multipolygons(
        [shapely.box(west, -60, west + 1e-6, 70) for west in range(-180, 181, 9) if west < 180]
    )
    shapely.prepare(along)
    found = tiles_under(along)
    assert len(found) > 3_000
    looked_at = [id for id in tile_ids() if id[:2] in ("01", "02", "31", "60")]
    assert {id for id in found if id[:2] in ("01", "02", "31", "60")} == {
        id for id in looked_at if along.intersects(Tile.parse(id).footprint)
    }
