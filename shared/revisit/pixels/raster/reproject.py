"""Reprojects pixels between the grids of two CRSs.

The transformation is computed for every pixel and not approximated, and the kernel is not stretched: GDAL
would take its width from the windows that are read, so that a pixel's value depended on them
(https://gdal.org/en/stable/api/gdalwarp_cpp.html, XSCALE).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.errors import PermanentError
from revisit.pixels.raster.gdal import gdal_errors, load_rasterio
from revisit.pixels.raster.grid import Grid


def reproject_pixels(
    pixels: npt.NDArray[Any], source: Grid, target: Grid, nodata: int, method: str
) -> npt.NDArray[Any]:
    """Reproject pixels from the grid `source` to the grid `target` by GDAL's warper.

    Args:
        pixels: Shape (height, width) of `source`, an integer dtype.
        source: Grid of the pixels.
        target: Grid in any projected CRS.
        nodata: The value of pixels without data; it is never mixed into other values.
        method: "nearest" or "bilinear".

    Returns:
        Shape (height, width) of `target`, dtype of `pixels`; `nodata` where there is no value.

    Raises:
        PermanentError: There is no transformation between the CRSs.
    """
    library = load_rasterio()
    from rasterio.warp import reproject

    out = np.full(target.shape, nodata, pixels.dtype)
    try:
        reproject(
            pixels,
            out,
            src_transform=library.Affine(*source.transform),
            src_crs=source.crs,
            src_nodata=nodata,
            dst_transform=library.Affine(*target.transform),
            dst_crs=target.crs,
            dst_nodata=nodata,
            resampling=library.enums.Resampling[method],
            tolerance=0,
            XSCALE=1,
            YSCALE=1,
        )
    except gdal_errors() as error:
        raise PermanentError(f"{source.crs} cannot be reprojected to {target.crs}: {error}") from None
    return out
