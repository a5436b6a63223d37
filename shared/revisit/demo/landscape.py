"""An invented landscape: farm blocks cut into parcels, a river with woods, lakes, a town and roads.

It is a map of units with uniform reflectance on each day: one unit per parcel, and a few for everything else.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revisit.demo import growth
from revisit.demo.acquisitions import SIZE
from revisit.demo.growth import ASPHALT, BANDS, CROPS, Spectrum, crop_spectra, forest_spectrum
from revisit.demo.noise import Field, random_field

PIXEL_M = 10.0
BLOCK_SPACING_M = 1350.0
"""Distance in metres between the centres of two farm blocks."""
AOI_POINT_M = (4600.0, 3700.0)
"""Point in the block that is the AOI, metres down and right of the corner."""
AOI_CROPS = {"wheat": 0.52, "barley": 0.10, "rape": 0.14, "maize": 0.08, "sunflower": 0.10, "grass": 0.06}
"""Crops of that block, mostly winter crops, so that its green rises and falls once."""
FIXED_UNITS = ("river", "lake", "forest", "road", "roof", "garden", "pale", "hedge")
"""Units other than parcels, by number."""
WATER_UNITS = (0, 1)


@dataclass(frozen=True, slots=True)
class Landscape:
    """The map of units and the properties of parcels; parcels are units from `len(FIXED)` on."""

    units: NDArray[np.int32]
    """Unit of each 10 m pixel, (height, width)."""
    block: NDArray[np.int32]
    """Farm block of each pixel."""
    crops: NDArray[np.int8]
    """Crop of each parcel, as an index into `CROPS`."""
    shift: NDArray[np.float32]
    """Days by which each parcel is late."""
    tone: NDArray[np.float32]
    """Brightness of each parcel's soil, about 1."""
    light: Field
    """Brightness by slope and texture, about 1."""
    vigour: Field
    """Variation of growth within a parcel, about 0."""

    @property
    def aoi_block(self) -> NDArray[np.bool_]:
        """The farm block that the demo subscription watches."""
        return np.asarray(self.block == self.block[_pixel_at(AOI_POINT_M)])

    def reflectance(self, day: float) -> NDArray[np.float32]:
        """Reflectance of every pixel, shape (bands, height, width)."""
        spectra, slack = self._unit_spectra(day)
        made: NDArray[np.float32] = np.empty((len(BANDS), *self.units.shape), np.float32)
        growing = self.vigour * slack[self.units]
        for number in range(len(BANDS)):
            made[number] = spectra[:, number][self.units] + growing * (
                growth.LEAVES[number] - growth.SOIL[number]
            )
            made[number] *= self.light
        return made

    def _unit_spectra(self, day: float) -> tuple[Spectrum, NDArray[np.float32]]:
        """Spectra of all units, and how far vigour moves each between soil and leaves."""
        crops = list(CROPS.values())
        fixed = {
            "river": growth.RIVER,
            "lake": growth.LAKE,
            "forest": forest_spectrum(day),
            "road": ASPHALT,
            "roof": growth.ROOF,
            "pale": growth.PALE,
        }
        grass, _ = crop_spectra(CROPS["grass"], day, np.zeros(1, np.float32), np.ones(1, np.float32))
        fixed |= {
            "garden": 0.6 * grass[0] + 0.4 * ASPHALT,
            "hedge": 0.5 * grass[0] + 0.5 * forest_spectrum(day),
        }
        parcels = np.zeros((len(self.crops), len(BANDS)), np.float32)
        cover = np.zeros(len(self.crops), np.float32)
        for number, crop in enumerate(crops):
            ours = self.crops == number
            parcels[ours], cover[ours] = crop_spectra(crop, day, self.shift[ours], self.tone[ours])
        spectra = np.concatenate([np.stack([fixed[name] for name in FIXED_UNITS]), parcels]).astype(
            np.float32
        )
        slack = np.concatenate(
            [np.zeros(len(FIXED_UNITS), np.float32), 0.05 + 0.45 * cover * (1 - cover)]
        ).astype(np.float32)
        return spectra, slack


def _pixel_at(point_m: tuple[float, float]) -> tuple[int, int]:
    return int(point_m[0] / PIXEL_M), int(point_m[1] / PIXEL_M)


def make_landscape(random: np.random.Generator) -> Landscape:
    """Generate a landscape of `SIZE` x `SIZE` pixels of 10 m."""
    down, right = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) * PIXEL_M + PIXEL_M / 2
    bent = [40 * random_field(random, SIZE, 90, 3.5) for _ in range(2)]
    block, edge = _make_blocks(random, down + bent[0], right + bent[1])
    parcel, count = _make_parcels(random, block, down + bent[0] / 3, right + bent[1] / 3)
    units = parcel + np.int32(len(FIXED_UNITS))
    borders = (parcel != np.roll(parcel, 1, 0)) & (random_field(random, SIZE, 25) > 0.3)
    units[borders] = FIXED_UNITS.index("hedge")
    units[edge < 9] = FIXED_UNITS.index("road")
    hills = random_field(random, SIZE, 180, 3.5)
    units[random_field(random, SIZE, 70, 2.6) + 0.3 * hills > 1.75] = FIXED_UNITS.index("forest")
    _draw_settlements(random, units, down, right)
    _draw_water(random, units, down, right)
    slope = np.gradient(hills)[1] * 12
    light = (
        1
        + 0.05 * np.clip(slope, -1.5, 1.5)
        + 0.006 * random.standard_normal((SIZE, SIZE))
        + 0.02 * random_field(random, SIZE, 12)
    )
    shares = np.array([crop.share for crop in CROPS.values()])
    crops = random.choice(len(CROPS), count, p=shares / shares.sum())
    watched = np.unique(parcel[block == block[_pixel_at(AOI_POINT_M)]])
    crops[watched] = random.choice(len(CROPS), len(watched), p=[AOI_CROPS.get(name, 0.0) for name in CROPS])
    return Landscape(
        units=units,
        block=block,
        crops=crops.astype(np.int8),
        shift=random.normal(0, 6, count).astype(np.float32),
        tone=random.normal(1, 0.12, count).clip(0.7, 1.35).astype(np.float32),
        light=light.astype(np.float32),
        vigour=random_field(random, SIZE, 15, 2.5).clip(-2, 2),
    )


def _make_blocks(random: np.random.Generator, down: Field, right: Field) -> tuple[NDArray[np.int32], Field]:
    """Farm block of every pixel, and metres to the road around it."""
    steps = np.arange(-0.5, SIZE * PIXEL_M / BLOCK_SPACING_M + 1.5)
    seeds = [
        (
            BLOCK_SPACING_M * (i + random.uniform(-0.32, 0.32)),
            BLOCK_SPACING_M * (j + random.uniform(-0.32, 0.32)),
        )
        for i in steps
        for j in steps
    ]
    nearest, second = (np.full(down.shape, np.inf, np.float32) for _ in range(2))
    block = np.zeros(down.shape, np.int32)
    for number, (y, x) in enumerate(seeds):
        distance = np.hypot(down - np.float32(y), right - np.float32(x))
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        block[closer] = number
        nearest = np.minimum(nearest, distance)
    return block, second - nearest


def _make_parcels(
    random: np.random.Generator, block: NDArray[np.int32], down: Field, right: Field
) -> tuple[NDArray[np.int32], int]:
    """Parcel of every pixel and the number of parcels: strips across each block, cut into pieces."""
    blocks = int(block.max()) + 1
    turn = random.uniform(0, np.pi, blocks).astype(np.float32)
    width, length = (
        random.uniform(110, 260, blocks).astype(np.float32),
        random.uniform(220, 480, blocks).astype(np.float32),
    )
    cos, sin = np.cos(turn)[block], np.sin(turn)[block]
    strip = np.floor((down * cos - right * sin) / width[block]).astype(np.int64)
    jog = ((strip * 7919 + block * 104_729) % 997 / 997).astype(np.float32)
    piece = np.floor((down * sin + right * cos) / length[block] * (0.7 + 0.6 * jog) + jog).astype(np.int64)
    key = (block.astype(np.int64) << 32) + ((strip + 2**12) << 16) + (piece + 2**12)
    found, number = np.unique(key, return_inverse=True)
    return number.reshape(block.shape).astype(np.int32), len(found)


def _draw_settlements(
    random: np.random.Generator, units: NDArray[np.int32], down: Field, right: Field
) -> None:
    """Draw a town, villages and farms, and a road through them."""
    ragged = random_field(random, SIZE, 30)
    density = np.zeros_like(down)
    for y, x, radius in (
        (2300, 6700, 950),
        (6900, 1500, 330),
        (7700, 6400, 380),
        (1300, 1900, 260),
        (5600, 7900, 200),
        (4000, 900, 180),
    ):
        density = np.maximum(
            density, np.exp(-(((down - y) ** 2 + (right - x) ** 2) / radius**2)) * (1 + 0.25 * ragged)
        )
    town = density > 0.34
    built = _lot_chances(random, down, right, 30, 20) < 0.15 + 0.4 * density
    units[town] = FIXED_UNITS.index("garden")
    units[town & built] = FIXED_UNITS.index("roof")
    units[town & (_lot_chances(random, down, right, 60, 50) > 0.97)] = FIXED_UNITS.index("pale")
    units[town & (_lot_chances(random, down, right, 170, 140) > 0.93)] = FIXED_UNITS.index("forest")
    street = ((down * 0.92 + right * 0.39) % 130 < 10) | ((right * 0.92 - down * 0.39) % 210 < 10)
    units[town & street] = FIXED_UNITS.index("road")
    works = (np.abs(down - 3250) < 230 + 40 * ragged) & (np.abs(right - 7550) < 330 + 40 * ragged)
    shed = _lot_chances(random, down, right, 90, 150)
    units[works] = np.choose(
        (shed[works] > 0.45).astype(int) + (shed[works] > 0.7),
        [FIXED_UNITS.index(name) for name in ("road", "pale", "garden")],
    )
    lane = 2300 + 0.55 * (right - 6700) + 160 * np.sin(right / 1300)
    units[np.abs(down - lane) < 11] = FIXED_UNITS.index("road")


def _lot_chances(
    random: np.random.Generator, down: Field, right: Field, deep: float, wide: float
) -> NDArray[np.float64]:
    """A random value from 0 to 1 per pixel, constant over a building lot of the given size in metres."""
    row, column = (
        ((down * 0.92 + right * 0.39) // deep).astype(int),
        ((right * 0.92 - down * 0.39) // wide).astype(int),
    )
    chances = random.random((row.max() - row.min() + 1, column.max() - column.min() + 1))
    return np.asarray(chances[row - row.min(), column - column.min()])


def _draw_water(random: np.random.Generator, units: NDArray[np.int32], down: Field, right: Field) -> None:
    """Draw a river that winds from south-west to north-east between trees, and three lakes."""
    along, across = (right + 0.55 * down) / 1.14, (down - 0.55 * right) / 1.14
    bend = (
        4050
        + 420 * np.sin(along / 950 + 1)
        + 170 * np.sin(along / 380)
        + 25 * random_field(random, SIZE, 60, 3)
    )
    distance = np.abs(across - bend) / np.sqrt(
        1 + (0.44 * np.cos(along / 950 + 1) + 0.45 * np.cos(along / 380)) ** 2
    )
    units[(distance < 75 + 55 * random_field(random, SIZE, 40)) & (distance >= 0)] = FIXED_UNITS.index(
        "forest"
    )
    units[distance < 38 + 8 * random_field(random, SIZE, 80)] = FIXED_UNITS.index("river")
    ragged = random_field(random, SIZE, 45, 3)
    for y, x, ry, rx in ((5750, 5450, 190, 270), (6150, 5050, 130, 160), (600, 5000, 330, 170)):
        units[np.hypot((down - y) / ry, (right - x) / rx) < 1 + 0.13 * ragged] = FIXED_UNITS.index("lake")
