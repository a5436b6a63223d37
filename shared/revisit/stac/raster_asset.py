"""Rasters of a job as files and as STAC assets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.write_cog import MEDIA_TYPE, write_cog
from revisit.stac.result_item import pixel_fields


@dataclass(frozen=True, slots=True)
class RasterAsset:
    """Bands on one grid that become one COG."""

    bands: Mapping[str, npt.NDArray[Any]]
    """Band name -> numbers as stored, all of one dtype and of the grid's shape (height, width)."""
    grid: Grid
    scaling: Mapping[str, tuple[float, float]]
    """Band name -> (scale, offset) of value = number * scale + offset."""
    nodata: float
    """The number of pixels without data, NaN for floats."""
    overview_resampling: str = "average"
    """"average", or "nearest" for classes."""
    media_type: str = MEDIA_TYPE

    def write(self, path: Path) -> None:
        """Write the COG; errors as for `write_cog`."""
        scales, offsets = zip(*(self.scaling[band] for band in self.bands), strict=True)
        arrays = list(self.bands.values())
        write_cog(
            path,
            arrays[0] if len(arrays) == 1 else np.stack(arrays),
            self.grid,
            self.nodata,
            list(self.bands),
            scales,
            offsets,
            overview_resampling=self.overview_resampling,
        )

    @property
    def stac_fields(self) -> dict[str, Any]:
        """The STAC fields that describe the pixels."""
        return pixel_fields(
            self.grid.crs,
            self.grid.shape,
            self.grid.transform,
            next(iter(self.bands.values())).dtype.name,
            {band: self.scaling[band] for band in self.bands},
            "nan" if np.isnan(self.nodata) else self.nodata,
        )
