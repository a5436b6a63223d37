"""Pixel grids in UTM, and the projection of an AOI to them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from revisit.errors import PermanentError
from revisit.geo.densify import segmentize
from revisit.geo.equal_area import area_m2

Bounds = tuple[float, float, float, float]
"""West, south, east, north."""

_EDGE_STEP = 0.005
"""Degrees between points added to an AOI's edges: a parallel then deviates from its chord by < 4 mm."""
_MAX_STEPS = 20_000
"""Length of all edges in degrees above which the step grows: at 600 degrees the deviation is 14 cm."""
_COUNTED_DEG = 30.0
"""Degrees of longitude from a grid within which the pixels of an AOI are counted; farther ones are estimated,
since the projection to UTM does not reach around the globe."""
_MOST_CROSSINGS = 2_000_000
"""Crossings of edges with rows of pixels that are computed at a time."""
_PIXEL_TOLERANCE = 1e-6
"""Share of a pixel within which a bound counts as on a pixel's edge: floating-point error of metres."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of north-up square pixels in a projected CRS."""

    crs: str
    """CRS, such as "EPSG:32631"."""
    transform: tuple[float, float, float, float, float, float]
    """a, b, c, d, e, f of x = a col + b row + c, y = d col + e row + f; b and d are 0, e is -a."""
    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""

    def __post_init__(self) -> None:
        a, b, _, d, e, _ = self.transform
        if not (a > 0 and e < 0 and b == d == 0 and math.isclose(a, -e, rel_tol=1e-6)):
            raise PermanentError(f"the transform {self.transform} is not that of north-up square pixels")
        if self.width < 1 or self.height < 1:
            raise PermanentError(f"a grid of {self.width} x {self.height} pixels is empty")

    @property
    def shape(self) -> tuple[int, int]:
        """Height, width."""
        return self.height, self.width

    @property
    def resolution_m(self) -> float:
        """Edge length of a pixel in metres."""
        return self.transform[0]

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north in the CRS."""
        a, _, west, _, e, north = self.transform
        return west, north + e * self.height, west + a * self.width, north

    def with_resolution(self, resolution_m: float) -> "Grid":
        """A grid with another pixel size from the same corner, covering at least the same area."""
        _, _, west, _, _, north = self.transform
        width = math.ceil(self.width * self.resolution_m / resolution_m - _PIXEL_TOLERANCE)
        height = math.ceil(self.height * self.resolution_m / resolution_m - _PIXEL_TOLERANCE)
        return Grid(self.crs, (resolution_m, 0.0, west, 0.0, -resolution_m, north), width, height)

    def crop(self, bounds: Bounds) -> "Grid | None":
        """The part of this grid that the bounds touch; None if they touch no pixel."""
        a, _, x, _, e, y = self.transform
        west, south, east, north = bounds
        left = max(math.floor((west - x) / a + _PIXEL_TOLERANCE), 0)
        right = min(math.ceil((east - x) / a - _PIXEL_TOLERANCE), self.width)
        top = max(math.floor((north - y) / e + _PIXEL_TOLERANCE), 0)
        bottom = min(math.ceil((south - y) / e - _PIXEL_TOLERANCE), self.height)
        if left >= right or top >= bottom:
            return None
        return replace(
            self,
            transform=(a, 0.0, x + left * a, 0.0, e, y + top * e),
            width=right - left,
            height=bottom - top,
        )

    def covering(self, bounds: Bounds) -> "Grid":
        """The smallest grid of the same pixels, counted beyond this one, that holds it and the bounds."""
        a, _, x, _, e, y = self.transform
        west, south, east, north = bounds
        left = min(math.floor((west - x) / a + _PIXEL_TOLERANCE), 0)
        right = max(math.ceil((east - x) / a - _PIXEL_TOLERANCE), self.width)
        top = min(math.floor((north - y) / e + _PIXEL_TOLERANCE), 0)
        bottom = max(math.ceil((south - y) / e - _PIXEL_TOLERANCE), self.height)
        return self.window(slice(top, bottom), slice(left, right))

    def window(self, rows: slice, columns: slice) -> "Grid":
        """The grid of a window of this one, whose rows and columns may lie beyond it."""
        a, _, x, _, e, y = self.transform
        return Grid(
            self.crs,
            (a, 0.0, x + a * columns.start, 0.0, e, y + e * rows.start),
            columns.stop - columns.start,
            rows.stop - rows.start,
        )

    def offset_of(self, other: "Grid") -> tuple[float, float]:
        """Row and column in this grid of the other grid's upper left corner."""
        a, _, x, _, e, y = self.transform
        return (other.transform[5] - y) / e, (other.transform[2] - x) / a


def preload_projection() -> None:
    """Import what `project_aoi` needs, which takes 0.1 s; call it while waiting for a server."""
    import pyproj  # noqa: F401
    import shapely  # noqa: F401


def project_aoi(grid: Grid, aoi: Any) -> Any:
    """The part of an AOI near a grid, in the grid's CRS: a shapely geometry of polygons, possibly empty.

    Edges are straight in lon/lat (RFC 7946), so points are added to them before the projection. Parts far
    from the grid are clipped first, because UTM coordinates a quarter of the globe away are not finite. Parts
    on both sides of the antimeridian are merged.

    Args:
        grid: The grid.
        aoi: GeoJSON Polygon or MultiPolygon in lon/lat degrees, or its shapely geometry for use with many
            grids.
    """
    import shapely

    near = _clip_near_grid(grid, aoi)
    return near if near.is_empty else shapely.transform(_segmentize_edges(near), _projector(grid))


def projected_bounds(grid: Grid, aoi: Any, full_grid: Grid) -> Bounds | None:
    """Bounds of `project_aoi`, or larger ones that contain the whole grid as well; None if nothing is near.

    The vertices alone usually show that a grid is contained; the edges between them are densified only
    otherwise.
    """
    import shapely

    near = _clip_near_grid(grid, aoi)
    if near.is_empty:
        return None
    at = _projector(grid)(shapely.get_coordinates(near))
    (west, south), (east, north) = at.min(axis=0).tolist(), at.max(axis=0).tolist()
    held = full_grid.bounds
    if west <= held[0] and south <= held[1] and east >= held[2] and north >= held[3]:
        return west, south, east, north
    bounds: Bounds = shapely.transform(_segmentize_edges(near), _projector(grid)).bounds
    return bounds


def _clip_near_grid(grid: Grid, aoi: Any) -> Any:
    """The part of an AOI near a grid, in lon/lat degrees: polygons on one side of the antimeridian."""
    import shapely

    return _clip_lonlat(shapely.geometry.shape(aoi) if isinstance(aoi, dict) else aoi, *_lonlat_bounds(grid))


def _clip_lonlat(whole: Any, west: float, south: float, east: float, north: float) -> Any:
    """The polygons of a shape within a box in degrees, whose longitudes may continue beyond 180."""
    import shapely

    least, _, most, _ = whole.bounds
    parts = []
    for turn in (-360.0, 0.0, 360.0):
        if least + turn > east or most + turn < west:
            continue
        moved = shapely.transform(whole, lambda xy, turn=turn: xy + np.array([turn, 0.0])) if turn else whole
        near = shapely.clip_by_rect(moved, west, south, east, north)
        parts += [
            part
            for part in shapely.get_parts(shapely.get_parts(near))
            if part.geom_type == "Polygon" and not part.is_empty
        ]
    return shapely.multipolygons(parts) if parts else shapely.MultiPolygon()


def _projector(grid: Grid) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
    """Projection from lon/lat degrees to the grid's CRS."""
    return lambda xy: np.column_stack(projection(grid.crs).transform(xy[:, 0], xy[:, 1]))


def count_aoi_pixels(grid: Grid, aoi_geometry: dict[str, Any], inside_count: int) -> int:
    """Number of pixels of the whole AOI: those whose centre is inside it on the grid continued without end.

    Exact, whatever the AOI's size, within 30 degrees of longitude of the grid; what is farther counts by its
    area.

    Args:
        grid: The grid.
        aoi_geometry: GeoJSON Polygon or MultiPolygon, lon/lat degrees.
        inside_count: Number of the grid's pixels whose centre is in the AOI.
    """
    import shapely

    whole = shapely.geometry.shape(aoi_geometry)
    west, _, east, _ = _lonlat_bounds(grid)
    near = _clip_lonlat(whole, west - _COUNTED_DEG, -90.0, east + _COUNTED_DEG, 90.0)
    far_m2 = max(area_m2(whole) - area_m2(near), 0.0) if near.area < whole.area * (1 - 1e-9) else 0.0
    far = round(far_m2 / grid.resolution_m**2)
    if near.is_empty:
        return inside_count + far
    projected = shapely.transform(_segmentize_edges(near), _projector(grid))
    west, south, east, north = projected.bounds
    left, bottom, right, top = grid.bounds
    if west >= left and south >= bottom and east <= right and north <= top:
        return inside_count + far
    return inside_count + _count_centres_beyond(grid, projected) + far


def _count_centres_beyond(grid: Grid, projected: Any) -> int:
    """Number of pixel centres inside a shape in the grid's CRS and beyond the grid, which has no end here.

    In every row of pixels, each edge of the shape counts the centres to its left, added where it runs one way
    and subtracted where it runs the other way: what remains are those between the edges.
    """
    import shapely

    a, _, x, _, e, y = grid.transform
    rings = shapely.get_rings(shapely.get_parts(shapely.orient_polygons(projected)))
    vertices, ring = shapely.get_coordinates(rings, return_index=True)
    columns, rows = (
        (vertices[:, 0] - x) / a - 0.5,
        (vertices[:, 1] - y) / e - 0.5,
    )  # a centre is a whole number
    edges = np.flatnonzero(np.diff(ring) == 0)
    first, last = np.ceil(rows[edges]), np.ceil(rows[edges + 1])
    total = 0
    for part in _runs(np.abs(last - first).astype(np.int64)):
        chosen = edges[part]
        start, end = first[part], last[part]
        counts = np.abs(end - start).astype(np.int64)
        edge = np.repeat(np.arange(len(counts)), counts)
        row = np.minimum(start, end)[edge] + np.arange(len(edge)) - (np.cumsum(counts) - counts)[edge]
        slope = (columns[chosen + 1] - columns[chosen]) / np.where(
            counts > 0, rows[chosen + 1] - rows[chosen], 1
        )
        left = np.floor(columns[chosen][edge] + (row - rows[chosen][edge]) * slope[edge]) + 1
        within = np.where((row >= 0) & (row < grid.height), left.clip(0, grid.width), 0)
        total += int(((left - within) * np.sign(end - start)[edge]).sum())
    return abs(total)


def _runs(counts: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Slices that cut counts into runs with sums of about `_MOST_CROSSINGS`, which bounds memory."""
    totals = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = totals[start - 1] if start else 0
        stop = max(int(np.searchsorted(totals, done + _MOST_CROSSINGS)), start + 1)
        yield slice(start, stop)
        start = stop


def _segmentize_edges(shape: Any) -> Any:
    """The shape in lon/lat degrees with its edges densified for a projection."""
    return segmentize(shape, max(_EDGE_STEP, shape.length / _MAX_STEPS))


def _lonlat_bounds(grid: Grid) -> Bounds:
    """A box in degrees around a grid, with a margin; longitudes continue beyond 180 at the antimeridian."""
    west, south, east, north = grid.bounds
    along = np.linspace(0.0, 1.0, 21)
    x = np.concatenate([west + (east - west) * along] * 2 + [np.full(21, west), np.full(21, east)])
    y = np.concatenate([np.full(21, south), np.full(21, north)] + [south + (north - south) * along] * 2)
    lon, lat = projection(grid.crs).transform(x, y, direction="INVERSE")
    lon = lon[0] + (lon - lon[0] + 180.0) % 360.0 - 180.0
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise PermanentError(f"the grid at {grid.bounds} lies outside what {grid.crs} can describe")
    air = 0.1
    return float(lon.min() - air), float(lat.min() - air), float(lon.max() + air), float(lat.max() + air)


@cache
def projection(crs: str) -> Any:
    """Projection from lon/lat degrees to a CRS, by pyproj, which loads faster than GDAL."""
    import pyproj

    try:
        return pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    except pyproj.exceptions.CRSError:
        raise PermanentError(f"there is no CRS {crs}") from None
