"""The extent of products in metres, known without opening their files."""

import math
from collections.abc import Iterable

import numpy as np

from revisit.domain.product import Product
from revisit.geo.mgrs_tile import Tile
from revisit.geo.utm_grid import Bounds, projection

_POINTS_PER_EDGE = 21
_MAX_WIDTH = 5.0
"""Degrees of longitude beyond which bounds are not those of one tile."""


def product_extent(product: Product, crs: str) -> Bounds:
    """Bounds in a CRS that hold the product's tile and its stated bounds.

    Args:
        product: The product.
        crs: A projected CRS such as "EPSG:32631", of the tile's zone or of a zone near it.

    Raises:
        InvalidInputError: There is no such tile.
    """
    tile = Tile.parse(product.tile)
    west, south, east, north = (float(edge) for edge in tile.bounds_utm)
    square = west, south, east, north
    found = [square if crs == f"EPSG:{tile.epsg}" else transform_bounds(square, f"EPSG:{tile.epsg}", crs)]
    if 0 <= product.east - product.west <= _MAX_WIDTH:
        stated = product.west, product.south, product.east, product.north
        found.append(_project_edges(stated, crs))
    return union_bounds(bounds for bounds in found if all(map(math.isfinite, bounds)))


def union_bounds(boxes: Iterable[Bounds]) -> Bounds:
    """The smallest bounds that hold all of at least one."""
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def intersects(one: Bounds, other: Bounds) -> bool:
    """Whether two bounds in one CRS share an area."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def transform_bounds(bounds: Bounds, crs: str, to_crs: str) -> Bounds:
    """Bounds in another projected CRS that hold these, edges included."""
    lon, lat = projection(crs).transform(*_edge_points(bounds), direction="INVERSE")
    return _bounds_of(*projection(to_crs).transform(lon, lat))


def _project_edges(degrees: Bounds, crs: str) -> Bounds:
    return _bounds_of(*projection(crs).transform(*_edge_points(degrees)))


def _edge_points(bounds: Bounds) -> tuple[list[float], list[float]]:
    west, south, east, north = bounds
    along = np.linspace(0.0, 1.0, _POINTS_PER_EDGE)
    x, y = west + (east - west) * along, south + (north - south) * along
    low, high = np.full_like(along, south), np.full_like(along, north)
    left, right = np.full_like(along, west), np.full_like(along, east)
    return np.concatenate([x, x, left, right]).tolist(), np.concatenate([low, high, y, y]).tolist()


def _bounds_of(x: Iterable[float], y: Iterable[float]) -> Bounds:
    across, down = list(x), list(y)
    return min(across), min(down), max(across), max(down)
