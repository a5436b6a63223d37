"""Clouds with their shadows, and the scene classification of them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revisit.demo.acquisitions import SIZE, Acquisition
from revisit.demo.growth import BANDS, Spectrum
from revisit.demo.noise import Field, downsample, random_field, smooth

PAD = 110
"""Margin around the landscape in pixels of 20 m: clouds there cast shadows into it."""
CLOUD_BASE_M = 1100.0
"""Height of cloud bases above the ground."""
CLOUD_SPECTRUM = np.array(
    (0.62, 0.60, 0.59, 0.60, 0.61, 0.62, 0.63, 0.64, 0.64, 0.52, 0.42, 0.33), np.float32
)
SHADOW_TRANSMISSION: Spectrum = np.array(
    (0.62, 0.60, 0.54, 0.50, 0.47, 0.44, 0.42, 0.40, 0.38, 0.38, 0.34, 0.33), np.float32
)
"""Share of the light left in a full shadow, by band: the blue sky still shines."""


@dataclass(frozen=True, slots=True)
class Sky:
    """The weather of one acquisition on the 20 m grid, (height, width)."""

    cloud: Field
    """Thickness, 0 to 1."""
    shadow: Field
    """Depth, 0 to 1."""

    def apply_to(self, ground: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reflectance as the satellite sees it, shape (bands, height, width) at 10 m."""
        cloud, shadow = (
            smooth(smooth(layer.repeat(2, 0).repeat(2, 1))) for layer in (self.cloud, self.shadow)
        )
        opaque = 1 - (1 - cloud) ** 2.2
        glow = 0.60 + 0.55 * cloud
        seen = np.empty_like(ground)
        for number in range(len(BANDS)):
            lit = ground[number] * (1 - shadow * (1 - SHADOW_TRANSMISSION[number]))
            seen[number] = lit + (CLOUD_SPECTRUM[number] * glow - lit) * opaque
        return seen

    def classify(self, ground: NDArray[np.float32], water: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """The scene classification at 20 m: true clouds and shadows, elsewhere the class of the ground.

        Args:
            ground: Reflectance without weather at 10 m.
            water: Water mask at 10 m.
        """
        red, nir = (downsample(ground[BANDS.index(band)], 2) for band in ("B04", "B08"))
        found = np.where((nir - red) / (nir + red) > 0.42, 4, 5)
        found[downsample(water.astype(np.float32), 2) >= 0.5] = 6
        found[self.shadow > 0.35] = 3
        for least, number in ((0.05, 10), (0.16, 8), (0.45, 9)):
            found[self.cloud > least] = number
        return found.astype(np.uint8)


def make_sky(acquisition: Acquisition, random: np.random.Generator, center: tuple[float, float]) -> Sky:
    """Generate the weather of an acquisition.

    Args:
        acquisition: Sets the amount of clouds and the position of the sun.
        random: Source of randomness for their shapes.
        center: Row and column at 20 m of the AOI, over which the acquisition has more or fewer clouds.
    """
    half = SIZE // 2
    size = half + 2 * PAD
    shape = random_field(random, size, 60, 2.4)
    rows, columns = np.ogrid[0:size, 0:size]
    shape += acquisition.aoi_cloud_bias * np.exp(
        -((rows - PAD - center[0]) ** 2 + (columns - PAD - center[1]) ** 2) / 75**2
    ).astype(np.float32)
    limit = (
        float(np.quantile(shape, 1 - acquisition.cloud_share))
        if acquisition.cloud_share
        else float(shape.max())
    )
    cloud = np.clip((shape - limit) / 0.8, 0, 1).astype(np.float32)
    zenith, azimuth = (math.radians(angle) for angle in acquisition.sun_angles)
    reach = min(CLOUD_BASE_M * math.tan(zenith) / 20, PAD - 5)
    up, left = round(-math.cos(azimuth) * reach), round(math.sin(azimuth) * reach)
    shadow = np.roll(cloud, (-up, -left), (0, 1))
    inside = (slice(PAD, PAD + half), slice(PAD, PAD + half))
    veil = np.clip(0.5 + 0.5 * random_field(random, size, 150, 3.5), 0, 1)[inside] * acquisition.haze
    clear_shadow = np.clip(shadow[inside] * 1.6, 0, 1) * (1 - np.clip(cloud[inside] * 3, 0, 1))
    return Sky(np.maximum(cloud[inside], veil).astype(np.float32), clear_shadow.astype(np.float32))
