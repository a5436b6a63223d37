"""The pixels of one acquisition: DN of every band in its own resolution, and the scene classification."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revisit.demo import growth
from revisit.demo.acquisitions import EPSG, NORTH_M, SIZE, WEST_M, Acquisition
from revisit.demo.landscape import WATER_UNITS, Landscape
from revisit.demo.noise import downsample, smooth
from revisit.demo.weather import make_sky
from revisit.domain.bands import BANDS
from revisit.pixels.masks import CLOUD_CLASSES
from revisit.pixels.raster.grid import Grid

SWATH_EDGE = (372_540.0, 4_790_220.0, 0.25459)
"""A point on the western edge of orbit 8's swath, metres in the tile's CRS, and the edge's slope (east per
north)."""
NO_DATA = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """The content of one product."""

    acquisition: Acquisition
    layers: dict[str, NDArray[np.uint16] | NDArray[np.uint8]]
    """Band name -> DN, or classes for SCL, (height, width) in the band's own resolution."""
    ground_ndvi: NDArray[np.float32]
    """NDVI of the ground without weather, at 10 m."""

    @property
    def class_percent(self) -> dict[int, float]:
        """SCL class -> percent of the pixels with data; for class 0, percent of all pixels."""
        counts = np.bincount(self.layers["SCL"].ravel(), minlength=12)
        valid = counts[1:].sum()
        return {0: float(100 * counts[0] / counts.sum())} | {
            number: float(100 * counts[number] / valid) for number in range(1, 12)
        }

    @property
    def cloud_cover(self) -> float:
        """Scene cloud cover in percent, as ESA defines it: medium and high probability and thin cirrus."""
        return sum(self.class_percent[number] for number in CLOUD_CLASSES)


def make_scene(landscape: Landscape, acquisition: Acquisition, seed: list[int]) -> Scene:
    """Render an acquisition of a landscape; the same seed gives the same clouds."""
    random = np.random.default_rng(seed)
    rows, columns = np.nonzero(landscape.aoi_block)
    ground = smooth(landscape.reflectance(acquisition.day))
    sky = make_sky(acquisition, random, (rows.mean() / 2, columns.mean() / 2))
    reflectance = sky.apply_to(ground)
    reflectance += random.normal(0, 0.0007, reflectance.shape[1:]).astype(np.float32)
    layers: dict[str, NDArray[np.uint16] | NDArray[np.uint8]] = {}
    for number, band in enumerate(growth.BANDS):
        factor = BANDS[band].resolution_m // 10
        values = downsample(reflectance[number], factor) if factor > 1 else reflectance[number]
        layers[band] = np.clip(np.rint(values * 10_000) - acquisition.offset, 1, 65_535).astype(np.uint16)
    layers["SCL"] = sky.classify(ground, np.isin(landscape.units, WATER_UNITS))
    if acquisition.cut_by_swath:
        for layer in layers.values():
            layer[~inside_swath(layer.shape[0])] = NO_DATA
    red, nir = (ground[growth.BANDS.index(band)] for band in ("B04", "B08"))
    return Scene(acquisition, layers, (nir - red) / (nir + red))


def inside_swath(size: int) -> NDArray[np.bool_]:
    """Mask of the pixels that orbit 8 sees in a crop of `size` x `size` pixels, in whole squares of 60 m."""
    down, right = np.mgrid[0 : SIZE // 6, 0 : SIZE // 6] * 60 + 30
    x, y, slope = SWATH_EDGE
    found = WEST_M + right > x + (NORTH_M - down - y) * slope
    times = size // (SIZE // 6)
    return np.asarray(found.repeat(times, 0).repeat(times, 1))


def band_grid(band: str) -> Grid:
    """Grid of a band's pixels."""
    side = float(BANDS[band].resolution_m)
    pixels = SIZE * 10 // BANDS[band].resolution_m
    return Grid(f"EPSG:{EPSG}", (side, 0.0, WEST_M, 0.0, -side, NORTH_M), pixels, pixels)


def footprint(acquisition: Acquisition) -> list[list[float]]:
    """Ring around the part of the crop with data, counter-clockwise, lon/lat degrees."""
    from pyproj import Transformer

    west, south, east, north = WEST_M, NORTH_M - SIZE * 10, WEST_M + SIZE * 10, NORTH_M
    x, y, slope = SWATH_EDGE
    left = [x + (at - y) * slope if acquisition.cut_by_swath else west for at in (south, north)]
    ring = [(max(west, left[0]), south), (east, south), (east, north), (max(west, left[1]), north)]
    to_degrees = Transformer.from_crs(EPSG, 4326, always_xy=True)
    return [[round(degrees, 7) for degrees in to_degrees.transform(*point)] for point in (*ring, ring[0])]
