"""AOI masks on pixel grids; `revisit.geo.utm_grid` has the grids."""

from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.geo.utm_grid import Bounds, Grid, count_aoi_pixels, preload_projection, project_aoi
from revisit.pixels.raster.gdal import load_rasterio

__all__ = ["Bounds", "Grid", "aoi_mask", "count_aoi_pixels", "preload_projection", "project_aoi"]


def aoi_mask(grid: Grid, aoi_geometry: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """Pixels whose centre is inside an AOI.

    Args:
        aoi_geometry: GeoJSON Polygon or MultiPolygon, lon/lat degrees; its holes are outside.

    Returns:
        bool, shape (height, width) of the grid; True inside.
    """
    import shapely

    aoi = project_aoi(grid, aoi_geometry)
    if aoi.is_empty:
        return np.zeros(grid.shape, bool)
    library = load_rasterio()
    # One part at a time: GDAL fills a multipolygon by the even-odd rule, so an overlap of two parts would be
    # outside.
    burned = library.features.rasterize(
        list(shapely.get_parts(aoi)),
        out_shape=grid.shape,
        transform=library.Affine(*grid.transform),
        all_touched=False,
        dtype="uint8",
    )
    return np.asarray(burned, np.uint8).view(np.bool_)
