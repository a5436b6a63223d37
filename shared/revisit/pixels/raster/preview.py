"""Small PNGs to look at: colours, and nothing where there is nothing to see."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.atomic_write import write_bytes
from revisit.errors import InvalidInputError
from revisit.pixels.raster.gdal import load_rasterio

MAX_SIDE = 512
"""Pixels of the long side at most."""

COLORMAP = (
    (0.00, (68, 45, 96)),
    (0.20, (122, 84, 92)),
    (0.40, (198, 152, 98)),
    (0.55, (240, 225, 160)),
    (0.70, (158, 196, 96)),
    (0.85, (58, 140, 66)),
    (1.00, (8, 72, 46)),
)
"""Colours from the lowest to the highest value: violet over sand to green, ever darker away from the
middle."""


def write_preview(
    path: str | os.PathLike[str],
    array: npt.NDArray[Any],
    mask: npt.NDArray[np.bool_],
    minimum: float,
    maximum: float,
) -> None:
    """Write one value as colours.

    Args:
        array: Shape (height, width).
        mask: Same shape; True where the value is to be seen. NaN is never seen.
        minimum: Value of the ramp's first colour; lower ones look like it.
        maximum: Value of its last.

    Raises:
        InvalidInputError: The shapes differ, or minimum is not below maximum.
        TransientError: The disk is full.
        PermanentError: The folder does not take files.
    """
    if array.ndim != 2 or array.shape != mask.shape:
        raise InvalidInputError(f"a preview of shape {array.shape} does not fit a mask of shape {mask.shape}")
    if not minimum < maximum:
        raise InvalidInputError(f"a preview from {minimum} to {maximum} shows nothing")
    small, seen = _downsample(array), _downsample(mask)
    seen = seen & np.isfinite(small)
    place = np.clip((np.where(seen, small, minimum).astype(np.float32) - minimum) / (maximum - minimum), 0, 1)
    level = np.rint(place * 255).astype(np.uint8)
    _write_png(path, _color_table()[:, level], seen)


def write_rgb_preview(
    path: str | os.PathLike[str],
    red: npt.NDArray[Any],
    green: npt.NDArray[Any],
    blue: npt.NDArray[Any],
    mask: npt.NDArray[np.bool_],
    maximum: float = 0.3,
) -> None:
    """Write three reflectances as true colour; `maximum` is white. Shapes and errors as for
    `write_preview`."""
    if any(band.shape != mask.shape for band in (red, green, blue)):
        raise InvalidInputError(f"bands of shape {red.shape} do not fit a mask of shape {mask.shape}")
    bands = np.stack([_downsample(band) for band in (red, green, blue)]).astype(np.float32)
    seen = _downsample(mask) & np.isfinite(bands).all(axis=0)
    light = np.clip(np.where(seen, bands, 0) / maximum, 0, 1) ** np.float32(0.8)
    _write_png(path, np.rint(light * 255).astype(np.uint8), seen)


def _downsample(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Every n-th pixel, so that the long side fits."""
    step = -(-max(array.shape) // MAX_SIDE)
    return array[step // 2 :: step, step // 2 :: step]


def _color_table() -> npt.NDArray[np.uint8]:
    """The ramp in 256 levels: shape (3, 256)."""
    levels = np.linspace(0, 1, 256)
    places = [place for place, _ in COLORMAP]
    return (
        np.stack([np.interp(levels, places, [colour[band] for _, colour in COLORMAP]) for band in range(3)])
        .round()
        .astype(np.uint8)
    )


def _write_png(
    path: str | os.PathLike[str], colors: npt.NDArray[np.uint8], visible: npt.NDArray[np.bool_]
) -> None:
    library = load_rasterio()
    height, width = visible.shape
    with library.io.MemoryFile(ext=".png") as memory:
        # PNG keeps no place; one is given only because rasterio warns where there is none.
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
