"""Which pixels of a grid are in an AOI; the grid itself is `revisit.grid`."""

from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.geo.utm_grid import Bounds, Grid, count_aoi_pixels, preload_projection, project_aoi
from revisit.pixels.raster.gdal import load_rasterio

__all__ = ["Bounds", "Grid", "aoi_mask", "count_aoi_pixels", "preload_projection", "project_aoi"]


def aoi_mask(grid: Grid, aoi_geometry: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """Which pixels have their centre inside an AOI: shape (height, width), True inside.

    Args:
        aoi_geometry: GeoJSON Polygon or MultiPolygon, lon/lat degrees; holes are outside.
    """
    import shapely

    aoi = project_aoi(grid, aoi_geometry)
    if aoi.is_empty:
        return np.zeros(grid.shape, bool)
    library = load_rasterio()
    # Part by part: GDAL fills a whole multipolygon by the even-odd rule, which would empty what two parts
    # share.
    burnt = library.features.rasterize(
        list(shapely.get_parts(aoi)),
        out_shape=grid.shape,
        transform=library.Affine(*grid.transform),
        all_touched=False,
        dtype="uint8",
    )
    return np.asarray(burnt, np.uint8).view(np.bool_)
