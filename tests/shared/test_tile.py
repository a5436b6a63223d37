"""Tiles against the published grid."""

import pyarrow.parquet as pq
import pytest
import shapely
from data import shared_data
from revisit.errors import BadInput
from revisit.tile import Tile, tile_ids, tiles_under


@pytest.fixture(scope="module")
def grid():
    return pq.read_table(shared_data("grid", "s2_mgrs_tiles.parquet")).to_pandas()


def test_the_grid_has_exactly_the_published_tiles(grid):
    assert tile_ids() == tuple(sorted(grid.tile))


def test_every_tile_has_the_published_zone_corner_and_land_flag(grid):
    tiles = [Tile.parse(id) for id in grid.tile]
    assert [tile.epsg for tile in tiles] == list(grid.epsg)
    assert [tile.bounds_utm[:2] for tile in tiles] == list(zip(grid.utm_xmin, grid.utm_ymin, strict=True))
    assert all(east - west == north - south == 109_800 for west, south, east, north in (tile.bounds_utm for tile in tiles))
    assert [tile.land for tile in tiles] == list(grid.land)


def test_a_tile_is_parsed_with_and_without_its_t():
    assert Tile.parse("T32TQM") == Tile.parse("32TQM")
    assert Tile.parse("32TQM").id == "32TQM"
    assert Tile.parse("32TQM").epsg == 32632
    assert Tile.parse("21HUB").epsg == 32721


@pytest.mark.parametrize("text", ["", "32", "32TQ", "99TQM", "00TQM", "32IQM", "32TQI", "32TAM", "32XNG", "32TQMM", "x" * 10_000, "32TQW"])
def test_an_unknown_tile_is_refused_with_a_sentence(text):
    with pytest.raises(BadInput, match="tile") as refused:
        Tile.parse(text)
    assert len(str(refused.value)) < 200


def test_tiles_under_a_point_are_those_of_the_overlap():
    assert tiles_under(shapely.Point(11.3, 45.2)) == ("32TPR",)
