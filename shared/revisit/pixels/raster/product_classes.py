"""Which pixels of a product are clear, on its own grids and on those of another product."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.domain.bands import BandFile
from revisit.pixels.masks import is_clear
from revisit.pixels.product_extent import transform_bounds
from revisit.pixels.raster.band_reader import BandReader
from revisit.pixels.raster.band_wrapper import BandWrapper
from revisit.pixels.raster.classes import resample_classes
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.reproject import REACH, reproject_pixels
from revisit.pixels.raster.resample import ClearMasks


@dataclass(slots=True)
class SharedBand(BandWrapper):
    """A band that several threads may read; implements `BandReader`."""

    band: BandReader
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def file(self) -> BandFile:
        """As `BandReader.file`."""
        return self.band.file

    @property
    def grid(self) -> Grid:
        """As `BandReader.grid`."""
        return self.band.grid

    @property
    def dtype(self) -> str:
        """As `BandReader.dtype`."""
        return self.band.dtype

    def read(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        """As `BandReader.read`."""
        with self._lock:
            return self.band.read(rows, columns)


@dataclass(slots=True)
class ProductClasses:
    """The scene classification of a product whose bands are reprojected; threads may share it."""

    band: SharedBand
    """The classification as the product has it."""
    home: Grid
    """The grid of classifications in the other CRS, onto which the classes are brought first."""
    _lock: Lock = field(default_factory=Lock, repr=False)
    _known: dict[tuple[Grid, Grid], ClearMasks] = field(default_factory=dict, repr=False)

    def clear_masks(self, source: Grid, target: Grid) -> ClearMasks:
        """Where pixels are clear on a grid of a band of the product, and on one of the other product's.

        The masks are those by which bands of the other product are interpolated (`ReadPlan`): on pixels that
        are coarser than the classes, the class that prevails by area, else the one at the centre.

        Raises:
            PermanentError: The file is corrupt.
            TransientError: The server does not answer, fails, or breaks off.
        """
        with self._lock:
            if (source, target) not in self._known:
                near = self.home.crop(target.bounds)
                brought = None if near is None else (self._bring(near), near)
                self._known[source, target] = ClearMasks(
                    _clear_on(source, read_around(self.band, source, 0)), _clear_on(target, brought)
                )
            return self._known[source, target]

    def _bring(self, grid: Grid) -> npt.NDArray[Any]:
        """The classes on a window of `home`."""
        found = read_around(self.band, grid, REACH)
        return (
            np.zeros(grid.shape, np.uint8) if found is None else reproject_pixels(*found, grid, 0, "nearest")
        )


def read_around(band: BandReader, window: Grid, margin: int) -> tuple[npt.NDArray[Any], Grid] | None:
    """The pixels of a band in a window in any CRS and around it, and their grid; None if there are none.

    Args:
        band: The band.
        window: Grid of the window.
        margin: Pixels to be read around it, of the coarser of the two grids.

    Raises:
        PermanentError: The file is corrupt.
        TransientError: The server does not answer, fails, or breaks off.
    """
    west, south, east, north = window.bounds
    if band.grid.crs != window.crs:
        west, south, east, north = transform_bounds(window.bounds, window.crs, band.grid.crs)
    air = margin * max(band.grid.resolution_m, window.resolution_m)
    needed = band.grid.crop((west - air, south - air, east + air, north + air))
    if needed is None:
        return None
    top, left = (round(offset) for offset in band.grid.offset_of(needed))
    return band.read(slice(top, top + needed.height), slice(left, left + needed.width)), needed


def _clear_on(grid: Grid, classes: tuple[npt.NDArray[Any], Grid] | None) -> npt.NDArray[np.bool_]:
    """Where a grid is clear, by classes on a grid of the same CRS."""
    if classes is None:
        return np.zeros(grid.shape, np.bool_)
    pixels, source = classes
    return is_clear(
        resample_classes(pixels, source, grid, grid.resolution_m > source.resolution_m * (1 + 1e-6))
    )
