"""Reflectance of the ground by day of the season: crops that grow and are harvested, soil, water, roofs.

Reflectances are rounded values of typical spectra of such surfaces. Days count from
`acquisitions.SEASON_START`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
Spectrum = NDArray[np.float32]


def _spectrum(*values: float) -> Spectrum:
    return np.array(values, np.float32)


LEAVES = _spectrum(0.020, 0.025, 0.055, 0.030, 0.090, 0.300, 0.380, 0.420, 0.440, 0.430, 0.200, 0.090)
STRAW = _spectrum(0.070, 0.090, 0.130, 0.170, 0.210, 0.240, 0.260, 0.285, 0.305, 0.310, 0.340, 0.260)
SOIL = _spectrum(0.065, 0.085, 0.115, 0.145, 0.170, 0.190, 0.205, 0.225, 0.245, 0.255, 0.320, 0.290)
WOOD = _spectrum(0.016, 0.019, 0.042, 0.023, 0.068, 0.215, 0.275, 0.300, 0.315, 0.310, 0.140, 0.062)
BRANCHES = _spectrum(0.035, 0.045, 0.060, 0.070, 0.090, 0.130, 0.150, 0.170, 0.185, 0.190, 0.190, 0.130)
RIVER = _spectrum(0.055, 0.070, 0.090, 0.070, 0.055, 0.035, 0.030, 0.025, 0.020, 0.018, 0.010, 0.007)
LAKE = _spectrum(0.045, 0.050, 0.050, 0.030, 0.025, 0.018, 0.016, 0.014, 0.012, 0.011, 0.006, 0.004)
ROOF = _spectrum(0.090, 0.110, 0.150, 0.210, 0.230, 0.240, 0.250, 0.260, 0.270, 0.275, 0.310, 0.290)
ASPHALT = _spectrum(0.075, 0.085, 0.095, 0.105, 0.110, 0.115, 0.120, 0.125, 0.130, 0.135, 0.150, 0.140)
PALE = _spectrum(0.220, 0.250, 0.270, 0.290, 0.295, 0.300, 0.305, 0.310, 0.315, 0.310, 0.300, 0.270)
BLOOM = _spectrum(0.000, 0.000, 0.090, 0.085, 0.060, 0.030, 0.020, 0.020, 0.020, 0.020, 0.010, 0.010)
"""Oilseed rape in flower, above its leaves."""


@dataclass(frozen=True, slots=True)
class Crop:
    """How a crop covers the ground through the season."""

    share: float
    """Share of the parcels."""
    growth_day: float
    """Day on which half of its growth is done."""
    decline_day: float
    """Day on which it is half ripe, or cut."""
    durations: tuple[float, float]
    """Approximate number of days in which it grows and ripens."""
    max_cover: float
    """Largest share of the ground under leaves."""
    winter_cover: float = 0.0
    """The same share before growth begins."""
    bloom_day: float = 0.0
    """Day of flowering; 0 means no visible flowers."""
    drought_loss: float = 0.0
    """Share of its leaves lost to drought in August."""
    cut_interval_days: float = 0.0
    """Days between two cuts; 0 means it is never cut."""


CROPS = {
    "wheat": Crop(0.30, 130, 222, (17, 6), 0.93, winter_cover=0.22),
    "barley": Crop(0.08, 122, 207, (15, 6), 0.88, winter_cover=0.25),
    "rape": Crop(0.09, 112, 212, (14, 7), 0.92, winter_cover=0.45, bloom_day=163),
    "sunflower": Crop(0.18, 226, 292, (8, 9), 0.88),
    "maize": Crop(0.14, 232, 322, (8, 9), 0.95),
    "soya": Crop(0.06, 240, 316, (8, 7), 0.92),
    "grass": Crop(0.08, 118, 420, (20, 20), 0.85, winter_cover=0.50, drought_loss=0.45),
    "lucerne": Crop(0.04, 120, 400, (18, 20), 0.90, winter_cover=0.35, cut_interval_days=43),
    "vines": Crop(0.03, 195, 355, (14, 14), 0.50, winter_cover=0.12),
}


def leaf_cover(crop: Crop, day: float, shift: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the ground under green leaves, 0 to 1.

    Args:
        crop: The crop.
        day: Day of the season.
        shift: Days by which each parcel is late, shape (parcels,).
    """
    grown = 1 / (1 + np.exp(-(day - crop.growth_day - shift) / crop.durations[0] * 1.8))
    ripe = 1 / (1 + np.exp(-(day - crop.decline_day - shift) / crop.durations[1] * 1.8))
    winter = crop.winter_cover * (0.4 + 0.6 / (1 + np.exp(-(day - 60) / 15)))
    cover = (winter + (crop.max_cover - winter) * grown) * (1 - ripe)
    cover *= 1 - crop.drought_loss * np.exp(-(((day - 285) / 35) ** 2))
    if crop.cut_interval_days and day > crop.growth_day:
        since = (day + 3 * shift) % crop.cut_interval_days / crop.cut_interval_days
        cover *= 0.35 + 0.65 * np.minimum(1, since * 1.8)
    return np.asarray(np.clip(cover, 0, 1), np.float32)


def crop_spectra(
    crop: Crop, day: float, shift: NDArray[np.float32], tone: NDArray[np.float32]
) -> tuple[Spectrum, NDArray[np.float32]]:
    """Reflectance and leaf cover of parcels, shapes (parcels, bands) and (parcels,).

    Args:
        crop: The crop of all these parcels.
        day: Day of the season.
        shift: Days by which each parcel is late, shape (parcels,).
        tone: Brightness of each parcel's soil, about 1.
    """
    green = leaf_cover(crop, day, shift)
    since_ripe = day - crop.decline_day - shift
    straw = np.where(since_ripe > 0, np.exp(-np.maximum(since_ripe, 0) / 45), 0.0) * (crop.decline_day < 350)
    moist = 0.80 + 0.20 / (1 + np.exp(-(day - 170) / 20))
    soil = SOIL[None, :] * (tone * moist)[:, None]
    ground = soil + (STRAW[None, :] - soil) * straw[:, None]
    spectra = ground + (LEAVES[None, :] - ground) * green[:, None]
    if crop.bloom_day:
        spectra = spectra + BLOOM[None, :] * np.exp(-(((day - crop.bloom_day - shift / 2) / 9) ** 2))[:, None]
    return spectra.astype(np.float32), green


def forest_spectrum(day: float) -> Spectrum:
    """Reflectance of oaks: bare until April, brown from November."""
    leaves = 1 / (1 + np.exp(-(day - 165) / 7)) / (1 + np.exp((day - 375) / 10)) + 0.55 / (
        1 + np.exp((day - 25) / 8)
    )
    return np.asarray(BRANCHES + (WOOD - BRANCHES) * min(1.0, 0.25 + 0.75 * leaves), np.float32)
