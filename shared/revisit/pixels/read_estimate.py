"""Estimates of an order: its pixels, bytes, seconds and cost.

Pixels are exact where a product covers its whole tile. Bytes and seconds are measured averages; cost follows
published prices. `Estimate.assumptions` states this to the user.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from revisit.domain.bands import BANDS
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.geo.mgrs_tile import Tile
from revisit.geo.tile_square import TILE_SIDE_M
from revisit.geo.utm_grid import Grid, projected_bounds, projection
from revisit.pixels.indices import index
from revisit.pixels.raster.limits import MAX_DECODED_BYTES, MAX_PIXELS

PRICES = {
    "vCPU-second": 0.000024,
    "GiB-second": 0.0000025,
    "million requests": 0.40,
    "GiB-month": 0.02,
    "100,000 Firestore reads": 0.06,
    "100,000 Firestore writes": 0.18,
    "1,000 objects written": 0.005,
}
"""US dollars, region Tier 1, without the free tier; docs/deploy.md names the price pages."""

RETENTION_MONTHS = 3
"""Months that results are kept: 90 days."""
MEMORY_GIB = 2
"""Memory of `extract` and of `index`, which have one vCPU each."""

COG_BYTES, JP2_BYTES, CLASS_BYTES = 1.6, 0.75, 0.1
"""Compressed bytes of a pixel, measured: reflectance in a DEFLATE COG 1.3 to 2.0, in JPEG 2000 0.74; scene
classification 0.03 to 0.3."""
WRITTEN_JOB_BYTES, WRITTEN_BYTES, WRITTEN_INDEX_BYTES = 10_000, 1.7, 2.0
"""Bytes written: for each job (Item, preview, headers), for each pixel and band (DEFLATE, uint16), and for
each pixel and index (float32); overviews included."""
BLOCK_SIDE = {"jp2": {10: 1024, 20: 640, 60: 192}, "tif": {10: 1024, 20: 1024, 60: 1024}}
"""Side of a block in pixels, by file format and pixel size: ESA's JPEG 2000 and Earth Search's COGs."""

MAX_INDEX_PIXELS = 2_500_000_000
"""Pixels times indices of one job: 20 indices of a whole tile at 10 m take half of the time that
a function has."""
JOB_S, MEGAPIXEL_S, MEGABYTE_S = 0.3, 0.09, 0.03
"""Seconds on one idle core: for each job, for each million pixels of a band or index, and for each million
bytes read from disk."""
REMOTE_JOB_S, REMOTE_MEGABYTE_S = 4.0, 0.1
"""The same for a source that is read over the network, waiting included."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an order is expected to take."""

    products: int
    """Known products of these passes; levels, reprocessings, parts and tiles of a pass count separately."""
    jobs: int
    """Passes that will be processed; acquisitions, where tiles are kept apart."""
    pixels: int
    """Pixels of the jobs' grids, which are the rectangles around the AOI; bands do not multiply them."""
    bytes_read: int
    """Compressed bytes read from the source, in whole blocks."""
    bytes_written: int
    seconds: float
    """Processing time summed over all jobs; several run in parallel."""
    cost_usd: float | None
    """None if the suite does not run on Google Cloud."""
    assumptions: tuple[str, ...]
    refused: str | None = None
    """Why the order would be refused; None if it would be accepted."""
    notes: tuple[str, ...] = ()
    """What is left out, and why."""

    @property
    def record_fields(self) -> dict[str, Any]:
        """The fields that are stored in the order's record."""
        apart = ("assumptions", "refused", "notes")
        return {name: value for name, value in asdict(self).items() if name not in apart}


def estimate_jobs(
    jobs: Iterable[Sequence[Product]], matching: int, aoi: dict[str, Any], recipe: Recipe, deployed: bool
) -> Estimate:
    """Estimate the jobs of an order.

    Args:
        jobs: The products of each job; the first of them decides the grid.
        matching: Number of known products of these passes, of which theirs are the best.
        aoi: GeoJSON geometry, lon/lat degrees.
        deployed: Whether the jobs run on Google Cloud, at its prices.
    """
    chosen, shape = list(jobs), _to_shapely(aoi)
    windows = _Windows(shape, recipe)
    sizes = [_job_size(products, windows) for products in chosen]
    pixels = sum(count for count, _, _ in sizes)
    read, written = sum(taken for _, taken, _ in sizes), sum(made for _, _, made in sizes)
    remote = deployed or any(not one.source.startswith("folder:") for products in chosen for one in products)
    layers = sum(len(bands_of(recipe, products[0])) + len(recipe.indices) for products in chosen[:1])
    job_s, megabyte_s = (REMOTE_JOB_S, REMOTE_MEGABYTE_S) if remote else (JOB_S, MEGABYTE_S)
    seconds = len(chosen) * job_s + pixels * layers / 1e6 * MEGAPIXEL_S + read / 1e6 * megabyte_s
    cost = _cost(len(chosen), seconds, written, len(recipe.indices)) if deployed else None
    return Estimate(
        matching,
        len(chosen),
        pixels,
        round(read),
        round(written),
        round(seconds, 1),
        cost,
        _assumptions(deployed),
    )


def oversize_reason(jobs: Iterable[Sequence[Product]], aoi: dict[str, Any], recipe: Recipe) -> str:
    """Why a job of an order is too large to process; empty if none is.

    Args:
        jobs: The products of each job; the first of them decides the grid.
        aoi: GeoJSON geometry, lon/lat degrees.
    """
    windows = _Windows(_to_shapely(aoi), recipe)
    for products in jobs:
        product, grid = products[0], windows.job_grid(products)
        if grid is None:
            continue
        count, bands = grid.width * grid.height, len(bands_of(recipe, product))
        if count * len(recipe.indices) > MAX_INDEX_PIXELS:
            return (
                f"the AOI takes {grid.width} x {grid.height} pixels of {grid.resolution_m:g} m in tile "
                f"{product.tile}, too many for {len(recipe.indices)} indices in one job; "
                "ask for a smaller AOI, fewer indices or a coarser resolution_m"
            )
        if count > MAX_PIXELS or 2 * 2 * bands * count > MAX_DECODED_BYTES:
            return (
                f"the AOI takes {grid.width} x {grid.height} pixels of {grid.resolution_m:g} m in tile "
                f"{product.tile}, in {bands} bands more than one job can hold; "
                "ask for a smaller AOI, fewer bands or a coarser resolution_m"
            )
    return ""


def bands_of(recipe: Recipe, product: Product) -> tuple[str, ...]:
    """The bands that a job reads from a product, without the scene classification."""
    wanted = dict.fromkeys([*(band for name in recipe.indices for band in index(name).bands), *recipe.bands])
    return tuple(band for band in wanted if product.level == "L1C" or band != "B10")


def finest_resolution_m(recipe: Recipe, product: Product) -> int:
    """Pixel size, in metres, of the job's grid."""
    return min((BANDS[band].resolution_m for band in bands_of(recipe, product)), default=10)


@cache
def _parse_tile(id: str) -> Tile:
    return Tile.parse(id)


def _to_shapely(aoi: dict[str, Any]) -> Any:
    """The AOI as a shapely geometry."""
    from shapely.geometry import shape

    return shape(aoi)


def aoi_grid(
    tile: str, aoi: Any, native_m: int, resolution_m: float | None = None, tiles_around: int = 0
) -> Grid | None:
    """The grid that `ReadPlan` uses for an AOI and a product of the whole tile; None if they are disjoint.

    Args:
        tile: MGRS id, such as "31TCJ".
        aoi: As for `project_aoi`.
        native_m: Pixel size of the finest band, metres.
        resolution_m: Pixel size of the grid, metres; `native_m` if None.
        tiles_around: Widths of a tile by which the grid may extend beyond the tile.
    """
    whole = _tile_grid(tile, native_m, tiles_around)
    wanted = whole if resolution_m is None else whole.with_resolution(resolution_m)
    bounds = projected_bounds(whole, aoi, wanted)
    return None if bounds is None else wanted.crop(bounds)


class _Windows:
    """The grids of an AOI by tile and pixel size, cached: most products of a tile share one."""

    def __init__(self, aoi: Any, recipe: Recipe) -> None:
        self.aoi, self.recipe = aoi, recipe
        self._grids: dict[tuple[str, int, int], Grid | None] = {}

    def grid(self, product: Product, tiles_around: int = 0) -> Grid | None:
        """The grid within a product's tile, and as many tiles around it; None where the AOI is elsewhere."""
        key = product.tile, finest_resolution_m(self.recipe, product), tiles_around
        if key not in self._grids:
            self._grids[key] = aoi_grid(
                product.tile, self.aoi, key[1], self.recipe.resolution_m, tiles_around
            )
        return self._grids[key]

    def job_grid(self, products: Sequence[Product]) -> Grid | None:
        """The grid of a job, which extends beyond the first product's tile where it has others."""
        is_mosaic = any(one.tile != products[0].tile for one in products)
        return self.grid(products[0], tiles_around=2 if is_mosaic else 0)


def _tile_grid(tile: str, resolution_m: int, tiles_around: int = 0) -> Grid:
    west, _, _, north = _parse_tile(tile).bounds_utm
    margin = tiles_around * TILE_SIDE_M
    side = (TILE_SIDE_M + 2 * margin) // resolution_m
    return Grid(
        f"EPSG:{_parse_tile(tile).epsg}",
        (resolution_m, 0.0, west - margin, 0.0, -resolution_m, north + margin),
        side,
        side,
    )


def _job_size(products: Sequence[Product], windows: _Windows) -> tuple[int, float, float]:
    """Pixels, bytes read and bytes written of one job."""
    grid, recipe = windows.job_grid(products), windows.recipe
    if grid is None:
        return 0, 0.0, 0.0
    count, bands = grid.width * grid.height, bands_of(recipe, products[0])
    classes = CLASS_BYTES * count if products[0].level == "L2A" else 0.0
    return (
        count,
        sum(_bytes_read(product, windows.grid(product), recipe) for product in products),
        WRITTEN_JOB_BYTES
        + count * (WRITTEN_BYTES * len(bands) + WRITTEN_INDEX_BYTES * len(recipe.indices))
        + classes,
    )


def _bytes_read(product: Product, grid: Grid | None, recipe: Recipe) -> float:
    """Compressed bytes that are read of one product."""
    if grid is None:
        return 0.0
    bands, packed = bands_of(recipe, product), "jp2" if product.source.startswith("google-index:") else "tif"
    per_pixel = JP2_BYTES if packed == "jp2" else COG_BYTES
    extent = _extent(product, grid.crs)
    read = sum(
        per_pixel * _decoded_pixels(product.tile, grid, extent, BANDS[band].resolution_m, packed)
        for band in bands
    )
    if product.level == "L2A":
        read += CLASS_BYTES * _decoded_pixels(product.tile, grid, extent, 20, packed)
    return read


def _decoded_pixels(
    tile: str, grid: Grid, extent: tuple[float, ...], resolution_m: int, file_format: str
) -> int:
    """Pixels of a band that are decoded for a grid: whole blocks, within the product's data."""
    west, _, _, north = _parse_tile(tile).bounds_utm
    side = BLOCK_SIDE[file_format][resolution_m] * resolution_m
    left, bottom, right, top = grid.bounds
    columns = (west + (left - west) // side * side, west + math.ceil((right - west) / side) * side)
    rows = (north - (north - top) // side * side, north - math.ceil((north - bottom) / side) * side)
    width_m = min(columns[1], extent[2], west + TILE_SIDE_M) - max(columns[0], extent[0])
    height_m = min(rows[0], extent[3]) - max(rows[1], extent[1], north - TILE_SIDE_M)
    return max(round(width_m / resolution_m), 0) * max(round(height_m / resolution_m), 0)


def _extent(product: Product, crs: str) -> tuple[float, ...]:
    """West, south, east, north of a product in metres.

    They contain its corners in degrees, and so are slightly too wide; the caller crops them to the tile.
    """
    west, south, east, north = product.west, product.south, product.east, product.north
    if west > east or east - west > 180:
        return (-math.inf, -math.inf, math.inf, math.inf)
    x, y = projection(crs).transform([west, west, east, east], [south, north, south, north])
    return min(x), min(y), max(x), max(y)


def _cost(jobs: int, seconds: float, written: float, indices: int) -> float:
    """US dollars for a deployment."""
    files = jobs * (4 + indices)
    return round(
        seconds * (PRICES["vCPU-second"] + MEMORY_GIB * PRICES["GiB-second"])
        + 3 * jobs / 1e6 * PRICES["million requests"]
        + written / 2**30 * RETENTION_MONTHS * PRICES["GiB-month"]
        + jobs * (12 * PRICES["100,000 Firestore reads"] + 12 * PRICES["100,000 Firestore writes"]) / 1e5
        + files / 1e3 * PRICES["1,000 objects written"],
        6,
    )


def _assumptions(deployed: bool) -> tuple[str, ...]:
    measured = (
        (
            f"blocks of {BLOCK_SIDE['tif'][10]} pixels are read whole, at {COG_BYTES} bytes a pixel of "
            f"reflectance in a GeoTIFF and {JP2_BYTES} in JPEG 2000"
        ),
        (
            f"results take {WRITTEN_BYTES} bytes a pixel and band and {WRITTEN_INDEX_BYTES} a pixel and "
            "index; every acquisition is assumed to be clear"
        ),
        "seconds are the sum over all jobs; several run in parallel",
    )
    priced = (
        f"prices of region Tier 1 without the free tier: 1 vCPU and {MEMORY_GIB} GiB a job, results kept "
        f"{30 * RETENTION_MONTHS} days; compare docs/deploy.md with the provider's pages"
    )
    return (*measured, priced) if deployed else measured
