"""Reads the COGs that `write_cog` writes, from disk or from Cloud Storage."""

import os
import re
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from revisit.errors import PermanentError, TransientError
from revisit.pixels.raster.gdal import gcs_options, gdal_errors, load_rasterio
from revisit.pixels.raster.grid import Grid

_GDAL_TAGS = ("AREA_OR_POINT", "OVR_RESAMPLING_ALG")
"""Tags that GDAL adds by itself."""


@dataclass(frozen=True, slots=True)
class CogMetadata:
    """How the numbers of a stored file are to be read."""

    scale: dict[str, float]
    """By band name; value = number * scale + offset."""
    offset: dict[str, float]
    nodata: float | None
    """The number of pixels without data, in every band; None if there is none."""
    tags: dict[str, str]


def read_cog(
    path: str | os.PathLike[str], bands: tuple[str, ...] | None = None
) -> tuple[dict[str, npt.NDArray[Any]], Grid, CogMetadata]:
    """Read a file that `write_cog` wrote.

    Args:
        path: A local path, or one below /vsigs/, of which only the byte ranges of the bands are read.
        bands: Names to read; all if None.

    Returns:
        Arrays by band name, shape (height, width), the dtype and numbers stored (floats may hold NaN); the
        grid of all of them; scale, offset, nodata and tags.

    Raises:
        PermanentError: The file does not exist, is corrupt, or lacks a band.
        TransientError: Cloud Storage does not answer, or fails.
    """
    library, name = load_rasterio(), os.fspath(path)
    try:
        with (
            library.Env(**gcs_options()) if _is_remote(name) else nullcontext(),
            library.open(name, driver="GTiff", sharing=False) as file,
        ):
            names = [text or f"band {number}" for number, text in enumerate(file.descriptions, 1)]
            if missing := [band for band in bands or () if band not in names]:
                raise PermanentError(f"{path} has no band {', '.join(missing)}; it has {', '.join(names)}")
            wanted = tuple(names) if bands is None else bands
            pixels = file.read([names.index(band) + 1 for band in wanted]) if wanted else ()
            a, b, c, d, e, f = file.transform[:6]
            grid = Grid(f"EPSG:{file.crs.to_epsg()}", (a, b, c, d, e, f), file.width, file.height)
            scale, offset = (
                dict(zip(names, file.scales, strict=True)),
                dict(zip(names, file.offsets, strict=True)),
            )
            meta = CogMetadata(
                scale,
                offset,
                file.nodata,
                {key: value for key, value in file.tags().items() if key not in _GDAL_TAGS},
            )
    except gdal_errors() as error:
        raise _to_error(name, str(error.__cause__ or error)) from None
    return dict(zip(wanted, pixels, strict=True)), grid, meta


def _is_remote(path: str) -> bool:
    return path.startswith("/vsigs/")


def _to_error(path: str, message: str) -> PermanentError | TransientError:
    """Classify a GDAL error. Objects are stored whole, so a tile of one that cannot be read was cut off in
    transfer: that is transient."""
    status = re.search(r"HTTP response code: (\d+)", message)
    refused = bool(status and status[1].startswith("4") and status[1] not in ("408", "429"))
    if _is_remote(path) and not refused and "not recognized" not in message:
        return TransientError(f"the asset {path} cannot be read now: {message}")
    return PermanentError(f"the asset {path} cannot be read: {message}")
