"""Writes PNG previews, transparent where there is no value."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.atomic_write import write_bytes
from revisit.errors import InvalidInputError
from revisit.pixels.raster.gdal import load_rasterio

MAX_SIDE = 512
"""Pixels of a preview's longer side, at most."""

COLORMAP = (
    (0.00, (68, 45, 96)),
    (0.20, (122, 84, 92)),
    (0.40, (198, 152, 98)),
    (0.55, (240, 225, 160)),
    (0.70, (158, 196, 96)),
    (0.85, (58, 140, 66)),
    (1.00, (8, 72, 46)),
)
"""Position from lowest to highest value -> red, green, blue: violet, sand, green, darker towards both
ends."""


def write_preview(
    path: str | os.PathLike[str],
    array: npt.NDArray[Any],
    mask: npt.NDArray[np.bool_],
    minimum: float,
    maximum: float,
) -> None:
    """Write one layer in the colours of `COLORMAP`.

    Args:
        path: In an existing folder; a file of that name is replaced.
        array: Shape (height, width), any dtype.
        mask: bool, same shape; False is transparent, as are NaN and infinity.
        minimum: Value of the first colour; lower values have it too.
        maximum: Value of the last colour; higher values have it too.

    Raises:
        InvalidInputError: The shapes differ, or minimum is not below maximum.
        TransientError: The disk is full.
        PermanentError: The folder does not exist or is read-only.
    """
    if array.ndim != 2 or array.shape != mask.shape:
        raise InvalidInputError(f"a preview of shape {array.shape} does not fit a mask of shape {mask.shape}")
    if not minimum < maximum:
        raise InvalidInputError(f"a preview's minimum {minimum} must be below its maximum {maximum}")
    small = _downsample(array)
    visible = _downsample(mask) & np.isfinite(small)
    position = np.clip(
        (np.where(visible, small, minimum).astype(np.float32) - minimum) / (maximum - minimum), 0, 1
    )
    level = np.rint(position * 255).astype(np.uint8)
    _write_png(path, _color_table()[:, level], visible)


def write_rgb_preview(
    path: str | os.PathLike[str],
    red: npt.NDArray[Any],
    green: npt.NDArray[Any],
    blue: npt.NDArray[Any],
    mask: npt.NDArray[np.bool_],
    maximum: float = 0.3,
) -> None:
    """Write three bands as a colour image.

    Args:
        red: Reflectance, shape (height, width), float; NaN is transparent.
        green: Same shape.
        blue: Same shape.
        mask: bool, same shape; False is transparent.
        maximum: Reflectance of full brightness.

    Raises:
        InvalidInputError: The shapes differ.
        TransientError: The disk is full.
        PermanentError: The folder does not exist or is read-only.
    """
    if any(band.shape != mask.shape for band in (red, green, blue)):
        raise InvalidInputError(f"bands of shape {red.shape} do not fit a mask of shape {mask.shape}")
    bands = np.stack([_downsample(band) for band in (red, green, blue)]).astype(np.float32)
    visible = _downsample(mask) & np.isfinite(bands).all(axis=0)
    brightness = np.clip(np.where(visible, bands, 0) / maximum, 0, 1) ** np.float32(0.8)
    _write_png(path, np.rint(brightness * 255).astype(np.uint8), visible)


def _downsample(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Every n-th pixel, so that the longer side has at most MAX_SIDE."""
    step = -(-max(array.shape) // MAX_SIDE)
    return array[step // 2 :: step, step // 2 :: step]


def _color_table() -> npt.NDArray[np.uint8]:
    """`COLORMAP` in 256 levels: shape (3, 256)."""
    levels = np.linspace(0, 1, 256)
    positions = [position for position, _ in COLORMAP]
    return (
        np.stack([np.interp(levels, positions, [color[band] for _, color in COLORMAP]) for band in range(3)])
        .round()
        .astype(np.uint8)
    )


def _write_png(
    path: str | os.PathLike[str], colors: npt.NDArray[np.uint8], visible: npt.NDArray[np.bool_]
) -> None:
    library = load_rasterio()
    height, width = visible.shape
    with library.io.MemoryFile(ext=".png") as memory:
        # PNG stores no transform; rasterio warns if none is given.
        shape = {
            "width": width,
            "height": height,
            "count": 4,
            "transform": library.Affine(1, 0, 0, 0, -1, height),
        }
        with memory.open(driver="PNG", dtype="uint8", zlevel=6, **shape) as file:
            file.write(np.concatenate([np.where(visible, colors, 0), visible[np.newaxis] * np.uint8(255)]))
        content = bytes(memory.getbuffer())
    write_bytes(path, content)
