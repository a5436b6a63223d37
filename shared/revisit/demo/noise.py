"""Random fields with natural roughness for clouds, hills and patches of soil."""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def random_field(random: np.random.Generator, size: int, scale: float, roughness: float = 2.0) -> Field:
    """A random field of mean 0 and standard deviation 1 that is periodic at its edges.

    Args:
        random: Source of randomness.
        size: Width and height in pixels.
        scale: Size of the largest features in pixels.
        roughness: Exponent by which power falls with frequency: 1.5 is ragged, 4 is smooth.
    """
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    power = (frequency**2 + 1 / scale**2) ** (-(roughness + 1) / 4)
    spectrum = np.fft.rfft2(random.standard_normal((size, size))) * power
    made = np.fft.irfft2(spectrum, s=(size, size))
    return ((made - made.mean()) / made.std()).astype(np.float32)


def smooth(array: Field) -> Field:
    """Blur each pixel with its neighbours, as optics do; shape (..., height, width)."""
    padded = np.pad(array, [(0, 0)] * (array.ndim - 2) + [(1, 1), (1, 1)], mode="edge")
    height, width = array.shape[-2:]
    rows = 0.2 * padded[..., :height, :] + 0.6 * padded[..., 1 : height + 1, :] + 0.2 * padded[..., 2:, :]
    made: Field = 0.2 * rows[..., :width] + 0.6 * rows[..., 1 : width + 1] + 0.2 * rows[..., 2:]
    return made


def downsample(array: NDArray[np.floating], factor: int) -> NDArray[np.floating]:
    """Means of squares of `factor` x `factor` pixels; shape (..., height, width), both multiples of
    `factor`."""
    *front, height, width = array.shape
    return array.reshape(*front, height // factor, factor, width // factor, factor).mean((-3, -1))
