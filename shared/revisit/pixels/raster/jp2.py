"""Writes JPEG 2000 as ESA does, lossless and tiled, for the demo's .SAFE products."""

import os
from typing import Any

import numpy.typing as npt

from revisit.errors import InvalidInputError, PermanentError
from revisit.pixels.raster.gdal import gdal_errors, load_rasterio
from revisit.pixels.raster.grid import Grid


def write_jp2(path: str | os.PathLike[str], array: npt.NDArray[Any], grid: Grid, block: int = 1024) -> None:
    """Write one band without loss.

    Args:
        path: In an existing folder; a file of that name is replaced.
        array: uint8 or uint16, shape (height, width).
        grid: Grid of the pixels, same shape.
        block: Side of a tile in pixels; ESA's are 1024, 640 and 192 at 10, 20 and 60 m.

    Raises:
        InvalidInputError: The shapes of array and grid differ.
        PermanentError: The file cannot be written.
    """
    if array.shape != grid.shape:
        raise InvalidInputError(
            f"an array of shape {array.shape} does not fit a grid of {grid.shape} (height, width)"
        )
    library = load_rasterio()
    profile = {
        "driver": "JP2OpenJPEG",
        "width": grid.width,
        "height": grid.height,
        "count": 1,
        "dtype": array.dtype.name,
        "crs": grid.crs,
        "transform": library.Affine(*grid.transform),
        "quality": "100",
        "reversible": "YES",
        "blockxsize": block,
        "blockysize": block,
        "resolutions": 6 if min(grid.shape) >= 192 else 3,
    }
    try:
        with library.open(path, "w", **profile) as file:
            file.write(array, 1)
    except gdal_errors() as error:
        raise PermanentError(
            f"{os.fspath(path)} cannot be written as JPEG 2000: {error.__cause__ or error}"
        ) from None
