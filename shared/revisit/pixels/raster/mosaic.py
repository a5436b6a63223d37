"""Reads several products over an AOI as one: each fills the pixels that all previous products leave open."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from revisit.domain.bands import BandFile, BandFiles
from revisit.domain.product import Product
from revisit.errors import PermanentError
from revisit.pixels.contribution import Contribution
from revisit.pixels.product_extent import intersects, product_extent, union_bounds
from revisit.pixels.raster.aligned_band import AlignedBand, MergedBand
from revisit.pixels.raster.band_reader import BandReader
from revisit.pixels.raster.grid import Bounds, Grid, aoi_mask
from revisit.pixels.raster.limits import MAX_DECODED_BYTES
from revisit.pixels.raster.product_classes import ProductClasses, SharedBand
from revisit.pixels.raster.read_plan import ReadPlan, is_classification, open_bands

_REACH_M = 60.0
"""Metres around a pixel that its interpolation needs: one pixel of the coarsest bands."""

type FindFiles = Callable[[Product], BandFiles]
"""The band files of a product by band name; errors as for `Source.bands`."""


@dataclass(slots=True)
class _Layer:
    """An opened product of a mosaic."""

    bands: dict[str, AlignedBand]
    taken: npt.NDArray[np.bool_]
    """Pixels of the grid that it gives."""


@dataclass(slots=True)
class Mosaic:
    """Products and the grid they are read on; a context manager that closes their files."""

    plan: ReadPlan
    """Reads the first product."""
    inside: npt.NDArray[np.bool_]
    """True where the pixel's centre is inside the AOI, shape (height, width) of the grid."""
    contributions: list[Contribution]
    """One for each product, in their order."""
    _find_files: FindFiles = field(repr=False)
    _extents: dict[str, Bounds] = field(repr=False)
    _opened: dict[str, _Layer] = field(default_factory=dict, repr=False)
    """Further products by id."""
    _classes: npt.NDArray[Any] | None = field(default=None, repr=False)

    @classmethod
    def open(
        cls,
        products: Sequence[Product],
        files: Mapping[str, BandFile],
        find_files: FindFiles,
        aoi_geometry: dict[str, Any],
        bands: Sequence[str],
        resolution_m: float | None = None,
        resampling: str = "bilinear",
    ) -> Self:
        """Open the first product and choose the grid; no pixel is read, and no other product is opened.

        The grid is that of `ReadPlan.open` for the first product; with several products it extends over
        the AOI as far as their tiles do.

        Args:
            products: The first decides the grid, the scale of the DN and which bands there are.
            files: Band files of the first product.
            find_files: Finds those of a further product, once it is needed.
            aoi_geometry: GeoJSON Polygon or MultiPolygon, lon/lat degrees.
            bands: Names of the bands; SCL among them if the first product has one.
            resolution_m: As for `ReadPlan.open`.
            resampling: As for `ReadPlan.open`.

        Raises:
            PermanentError: As for `ReadPlan.open`.
            TransientError: A server does not answer, fails, or breaks off.
        """
        several = len(products) > 1
        extents = dict[str, Bounds]()

        def extend(crs: str) -> Bounds:
            extents.update({product.id: product_extent(product, crs) for product in products})
            return union_bounds(extents.values())

        plan = ReadPlan.open(
            files, aoi_geometry, bands, resolution_m, resampling, extent=extend if several else None
        )
        inside = None
        try:
            if several:
                plan = plan.with_bands(
                    {name: _align(band, band, plan.grid) for name, band in plan.bands.items()}
                )
            inside = aoi_mask(plan.grid, aoi_geometry)
        finally:
            if inside is None:
                plan.close()
        contributions = [Contribution(product) for product in products]
        contributions[0].files = {band: files[band] for band in bands}
        return cls(plan, inside, contributions, find_files, extents)

    @property
    def grid(self) -> Grid:
        """The grid of all arrays."""
        return self.plan.grid

    @property
    def files(self) -> dict[str, BandFile]:
        """Files of the first product by band, with the scale, offset and nodata of the DN that are read."""
        return {name: band.file for name, band in self.plan.bands.items()}

    def read_classes(self) -> npt.NDArray[Any] | None:
        """The scene classification, shape (height, width) of the grid; None if the first product has none.

        Raises:
            PermanentError: A file of the first product is corrupt.
            TransientError: A server does not answer, fails, or breaks off.
        """
        if "SCL" in self.plan.bands:
            self._classes = self._read(["SCL"])["SCL"]
        return self._classes

    def read_bands(self) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[Any] | None]:
        """The DN of the other bands by name, and the scene classification; errors as for `read_classes`.

        Shapes (height, width) of the grid. Pixels without data hold the `nodata` of the first product's file.
        """
        bands = [name for name in self.plan.bands if name != "SCL"]
        if len(self.contributions) == 1:
            return self._read(bands), self._classes
        dn = self._read(list(self.plan.bands))
        return dn, dn.pop("SCL", None)

    def _read(self, names: list[str]) -> dict[str, npt.NDArray[Any]]:
        dn = self.plan.read(names).dn
        complete = self._has_data(dn)
        self.contributions[0].pixels = self._count(complete)
        layers = []
        for contribution in self.contributions[1:]:
            contribution.pixels = 0
            open_pixels = self.inside & ~complete
            window = _window_around(open_pixels, math.ceil(_REACH_M / self.grid.resolution_m))
            if window is None or contribution.reason or not self._reaches(contribution.product, window):
                continue
            try:
                layer = self._opened.get(contribution.product.id) or self._open(contribution)
                values = self._read_layer(layer, names, window)
            except PermanentError as error:
                contribution.reason = str(error)
                continue
            layer.taken = np.zeros(self.grid.shape, bool)
            layer.taken[window] = self._has_data(values) & ~complete[window]
            contribution.pixels = self._count(layer.taken)
            if contribution.pixels:
                layers.append(layer)
                complete |= layer.taken
        return self._merge(names, layers, complete) if layers else dn

    def _count(self, taken: npt.NDArray[np.bool_]) -> int:
        """Pixels of the AOI among those that a product gives."""
        return int(np.count_nonzero(taken & self.inside))

    def _has_data(self, dn: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
        """Where every band has data."""
        valid = np.ones(next(iter(dn.values())).shape, bool)
        for name, pixels in dn.items():
            valid &= pixels != self.plan.bands[name].file.nodata
            if name == "SCL":
                valid &= pixels != 0
        return valid

    def _reaches(self, product: Product, window: tuple[slice, slice]) -> bool:
        """Whether a product may have pixels in a window of the grid."""
        return intersects(self._extents[product.id], self.grid.window(*window).bounds)

    def _open(self, contribution: Contribution) -> _Layer:
        """Open the bands of a further product.

        Raises:
            PermanentError: It cannot be read, or lacks a band.
        """
        files, names = self._find_files(contribution.product), list(self.plan.bands)
        if missing := [name for name in names if name not in files]:
            raise PermanentError("; ".join(f"{name} {files.lack(name)}" for name in missing))
        contribution.files = {name: files[name] for name in names}
        for name in names:
            self._require_same_doubt(files[name])
        opened = open_bands(files, names)
        classes = SharedBand(opened["SCL"]) if "SCL" in opened else None
        if classes is not None:
            opened["SCL"] = classes
        bands = {name: _align(self.plan.bands[name], band, self.grid) for name, band in opened.items()}
        if classes is not None:
            scene = ProductClasses(classes, bands["SCL"].grid)
            for band in bands.values():
                band.scene = scene
        crs = next(iter(opened.values())).grid.crs
        contribution.reprojected_from = "" if crs == self.grid.crs else crs
        layer = _Layer(bands, np.zeros(self.grid.shape, bool))
        self._opened[contribution.product.id] = layer
        return layer

    def _require_same_doubt(self, file: BandFile) -> None:
        """Check that a band has the scale of the first product's, or is in the same doubt about its offset.

        Raises:
            PermanentError: The offset of one of them is in doubt, so DN of one cannot become DN of the other.
        """
        first = self.plan.bands[file.band].file
        offsets = {(each.offset, each.other_offset) for each in (first, file)}
        if len(offsets) > 1 and (first.doubt or file.doubt):
            raise PermanentError(f"the offset of {file.band} is in doubt: {first.doubt or file.doubt}")

    def settle_offsets(self, files: Mapping[str, BandFile]) -> None:
        """Give the files of every product the offsets that the pixels have shown; see `plausibility`.

        Args:
            files: Those of the first product, without a doubt.
        """
        for contribution in self.contributions:
            contribution.files = {
                name: replace(file, offset=files[name].offset, other_offset=None) if file.doubt else file
                for name, file in contribution.files.items()
            }

    def _read_layer(
        self, layer: _Layer, names: list[str], window: tuple[slice, slice]
    ) -> dict[str, npt.NDArray[Any]]:
        target = self.grid.window(*window)
        total = sum(np.dtype(band.dtype).itemsize for band in (self.plan.bands[name] for name in names)) * (
            3 * self.grid.width * self.grid.height + 2 * target.width * target.height
        )
        if total > MAX_DECODED_BYTES:
            raise PermanentError(
                f"{len(names)} bands of several products on {self.grid.width} x {self.grid.height} pixels "
                f"need {total / 1e9:.1f} GB, more than {MAX_DECODED_BYTES / 1e9:.0f} GB"
            )
        return ReadPlan(target, self.plan.resampling, dict(layer.bands)).read(names).dn

    def _merge(
        self, names: list[str], layers: list[_Layer], complete: npt.NDArray[np.bool_]
    ) -> dict[str, npt.NDArray[Any]]:
        merged = dict[str, BandReader]()
        for name in names:
            first = self.plan.bands[name]
            if not isinstance(first, AlignedBand):
                raise TypeError(f"band {name} was not opened for a mosaic")
            merged[name] = MergedBand(
                first, [(layer.bands[name], layer.taken) for layer in layers], complete, self.grid
            )
        return self.plan.with_bands(merged).read(names).dn

    @property
    def bytes_read(self) -> int | None:
        """Compressed bytes read from all files so far; None if one of the readers cannot tell."""
        total = self.plan.bytes_read
        for layer in self._opened.values():
            for band in layer.bands.values():
                total = None if total is None or band.bytes_read is None else total + band.bytes_read
        return total

    def close(self) -> None:
        """Close the files of all products."""
        self.plan.close()
        for layer in self._opened.values():
            for band in layer.bands.values():
                band.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _align(first: BandReader, band: BandReader, grid: Grid) -> AlignedBand:
    """A band on the grid of the first product's band, which is extended over the grid of the mosaic."""
    return AlignedBand(
        band,
        first.file,
        first.grid.covering(_with_margin(grid)),
        first.dtype,
        is_classification(first.file.band),
    )


def _with_margin(grid: Grid) -> Bounds:
    """Bounds of a grid and of the pixels around it that its interpolation needs."""
    west, south, east, north = grid.bounds
    margin = 2 * _REACH_M + grid.resolution_m
    return west - margin, south - margin, east + margin, north + margin


def _window_around(mask: npt.NDArray[np.bool_], margin: int) -> tuple[slice, slice] | None:
    """The rows and columns of all True pixels and of a margin around them; None if there are none."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not rows.size:
        return None
    top, bottom = max(int(rows[0]) - margin, 0), min(int(rows[-1]) + 1 + margin, mask.shape[0])
    left, right = max(int(columns[0]) - margin, 0), min(int(columns[-1]) + 1 + margin, mask.shape[1])
    return slice(top, bottom), slice(left, right)
