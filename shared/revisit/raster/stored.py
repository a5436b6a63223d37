"""Our own GeoTIFFs, read back."""

import os
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from revisit.errors import GiveUp
from revisit.raster.gdal import rasterio
from revisit.raster.grid import Grid


@dataclass(frozen=True, slots=True)
class Meta:
    """What the numbers of a stored file mean."""

    scale: dict[str, float]
    """By band name: value = number * scale + offset."""
    offset: dict[str, float]
    nodata: float | None
    """The number that means none, in every band."""
    tags: dict[str, str]


def read_cog(path: str | os.PathLike[str], bands: tuple[str, ...] | None = None) -> tuple[dict[str, npt.NDArray[Any]], Grid, Meta]:
    """Read a file that `write_cog` made.

    Args:
        path: Local path of the asset.
        bands: Names to read; all when None.

    Returns:
        Arrays by band name, shape (height, width), numbers as stored; their grid; their meaning.

    Raises:
        GiveUp: There is no such file, or it is broken, or lacks a band.
    """
    library = rasterio()
    try:
        with library.open(os.fspath(path), driver="GTiff", sharing=False) as file:
            names = [name or f"band {number}" for number, name in enumerate(file.descriptions, 1)]
            if missing := [band for band in bands or () if band not in names]:
                raise GiveUp(f"{path} has no band {', '.join(missing)}; it has {', '.join(names)}")
            wanted = tuple(names) if bands is None else bands
            pixels = file.read([names.index(name) + 1 for name in wanted]) if wanted else ()
            a, b, c, d, e, f = file.transform[:6]
            grid = Grid(f"EPSG:{file.crs.to_epsg()}", (a, b, c, d, e, f), file.width, file.height)
            scale, offset = dict(zip(names, file.scales, strict=True)), dict(zip(names, file.offsets, strict=True))
            meta = Meta(scale, offset, file.nodata, {key: value for key, value in file.tags().items() if key not in _OF_GDAL})
    except (library.errors.RasterioError, library._err.CPLE_BaseError) as error:
        raise GiveUp(f"the asset {path} cannot be read: {error.__cause__ or error}") from None
    return dict(zip(wanted, pixels, strict=True)), grid, meta


_OF_GDAL = ("AREA_OR_POINT", "OVR_RESAMPLING_ALG")
