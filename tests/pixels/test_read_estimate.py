"""Estimates against hand-computed values, and prices against docs/deploy.md."""

import pyproj
import pytest

import hostile_inputs
from emulators import ROOT
from products import FIELD, product
from revisit.domain.aoi import AOI
from revisit.domain.recipe import Recipe
from revisit.geo.mgrs_tile import Tile
from revisit.geo.utm_grid import Grid, project_aoi
from revisit.pixels.read_estimate import (
    COG_BYTES,
    JP2_BYTES,
    PRICES,
    aoi_grid,
    estimate_jobs,
    oversize_reason,
)

IN_DOCS = {
    "vCPU-second": ("Cloud Run, CPU", "vCPU-second"),
    "GiB-second": ("Cloud Run, memory", "GiB-second"),
    "million requests": ("Cloud Run, requests", "million"),
    "GiB-month": ("Cloud Storage, results and archives", "GiB"),
    "100,000 Firestore reads": ("Firestore, reads", "100,000"),
    "100,000 Firestore writes": ("Firestore, writes", "100,000"),
    "1,000 objects written": ("Cloud Storage, writing", "1,000"),
}
"""Each price, and its row and unit in docs/deploy.md."""


def test_prices_equal_those_of_the_deployment_guide():
    rows = {
        cells[0]: cells
        for line in (ROOT / "docs" / "deploy.md").read_text().splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 7
    }
    assert {name: float(rows[row][3]) for name, (row, _) in IN_DOCS.items()} == PRICES
    assert all(rows[row][2] == unit for row, unit in IN_DOCS.values())


def test_the_window_holds_the_pixels_of_the_tiles_grid_that_the_aoi_touches():
    """The corners of the field, 10 m pixels counted by hand from the north-west corner of tile 32TNR at
    (499980, 5100000)."""
    x, y = pyproj.Transformer.from_crs(4326, 32632, always_xy=True).transform(
        [9.3, 9.32, 9.32, 9.3], [45.3, 45.3, 45.32, 45.32]
    )
    left, right = int((min(x) - 499_980) // 10), int((max(x) - 499_980) // 10)
    top, bottom = int((5_100_000 - max(y)) // 10), int((5_100_000 - min(y)) // 10)
    grid = aoi_grid("32TNR", FIELD, 10)
    assert (grid.width, grid.height) == (right - left + 1, bottom - top + 1)
    assert grid.transform[2] == 499_980 + 10 * left and grid.transform[5] == 5_100_000 - 10 * top
    assert aoi_grid("31TDH", FIELD, 10) is None


def test_whole_blocks_of_each_band_are_read():
    """The field is columns 2353 to 2511 and rows 8145 to 8367 of 10 m.

    That is two blocks of 1024, since one begins at row 8192, and at row 4096 of 20 m. Of the blocks of 640
    pixels of 20 m it is one, rows 3840 to 4479.
    """

    def read(source: str, *bands: str) -> int:
        return estimate_jobs(
            [[product(1, level="L1C", source=source)]], 1, FIELD, Recipe(bands=bands), False
        ).bytes_read

    assert read("stac:https://example.com/v1#s2", "B04") == round(COG_BYTES * 2 * 1024**2)
    assert read("stac:https://example.com/v1#s2", "B05") == round(COG_BYTES * 2 * 1024**2)
    assert read("google-index:x", "B11") == round(JP2_BYTES * 640**2)


@pytest.mark.parametrize(
    ("recipe", "fits"),
    [
        (Recipe(indices=("NDVI",)), True),
        (Recipe(bands=("B02", "B03", "B04", "B08")), True),
        (Recipe(bands=("B02", "B03", "B04", "B08", "B05")), False),
        (Recipe(bands=("B02", "B03", "B04", "B08", "B05"), resolution_m=20), True),
        (Recipe(bands=("B02",), resolution_m=5), False),
    ],
)
def test_a_whole_tile_fits_one_job_if_its_bands_fit_in_memory(recipe, fits):
    from shapely.geometry import mapping

    from revisit.geo.mgrs_tile import Tile

    whole = dict(mapping(Tile.parse("32TNR").footprint))
    assert (oversize_reason([[product(1)]], whole, recipe) == "") is fits


COMB = {
    "type": "Polygon",
    "coordinates": [
        [
            *([9 + at / 400, 44.9 + 0.3 * (at % 2)] for at in range(1000)),
            [11.4975, 44.5],
            [9, 44.5],
            [9, 44.9],
        ]
    ],
}
"""Touches some tiles and covers none of them."""


@pytest.mark.parametrize("resolution_m", [None, 35.0])
@pytest.mark.parametrize("name", ["a star", "a comb", "a hair around the world", "a hair across the world"])
def test_the_window_of_an_aoi_is_that_of_all_points_on_its_edges(name, resolution_m):
    aoi = AOI.parse({**dict(hostile_inputs.hostile_shapes()), "a comb": COMB}[name], 1e6)
    for tile in map(Tile.parse, aoi.tiles[:12]):
        west, _, _, north = tile.bounds_utm
        whole = Grid(f"EPSG:{tile.epsg}", (10, 0.0, west, 0.0, -10, north), 10_980, 10_980)
        wanted = whole if resolution_m is None else whole.with_resolution(resolution_m)
        assert aoi_grid(tile.id, aoi.geometry, 10, resolution_m) == wanted.crop(
            project_aoi(whole, aoi.geometry).bounds
        )
