"""Footprints: the area of a product's valid pixels, as shapely geometries in lon/lat degrees."""

import math
from functools import lru_cache
from typing import Any

from revisit.domain.product import Product
from revisit.errors import InvalidInputError
from revisit.geo.bounds import box_polygon
from revisit.geo.mgrs_tile import Tile, tile_outline
from revisit.geo.polygon import make_valid

RIM_MARGIN = 1.4
"""Width of the rim around a tile, as `tile_outline` measures it: a footprint drawn by its corners exceeds
the square by 1.
"""
_MAX_VERTICES = 1_000
"""Maximum number of vertices of a footprint that is repaired; those of real products have a dozen."""


def product_footprint(product: Product) -> Any:
    """The area of a product's valid pixels: a shapely geometry in lon/lat degrees, split at the antimeridian.

    This is the footprint that the source states, otherwise the product's bounds, within the tile's rim: old
    packages state the footprint of many tiles together. If the footprint misses its own tile, the tile is
    used.
    """
    import shapely

    stated = _parse_footprint(product.footprint) if product.footprint is not None else None
    if stated is not None:
        if shapely.contains_xy(_tile_hull(product.tile), shapely.get_coordinates(stated)).all():
            return stated
    else:
        stated = box_polygon((product.west, product.south, product.east, product.north))
    tile = Tile.parse(product.tile).footprint
    within = shapely.intersection(stated, tile)
    return tile if within.area == 0 else within


def _parse_footprint(geometry: dict[str, Any]) -> Any:
    """A footprint as a catalog states it, made valid; None if it is not a polygon.

    A footprint that is too complex to repair becomes its convex hull: a product too many is better than one
    missed.
    """
    import shapely
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    try:
        drawn = shape(geometry)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ShapelyError):
        return None
    vertices = shapely.get_num_coordinates(drawn)
    if not vertices or not all(map(math.isfinite, drawn.bounds)):
        return None
    west, _, east, _ = drawn.bounds
    leaps = east - west > 180 and _has_edge_over_half_globe(drawn)
    if drawn.geom_type not in ("Polygon", "MultiPolygon") or vertices > _MAX_VERTICES:
        return None if leaps else drawn.convex_hull
    if drawn.is_valid and not leaps:
        return drawn
    polygons = [
        [[(lon, lat) for lon, lat, *_ in ring.coords] for ring in (part.exterior, *part.interiors)]
        for part in shapely.get_parts(drawn)
    ]
    try:
        return shapely.union_all([make_valid(rings) for rings in polygons])
    except InvalidInputError:  # edges that cross around a pole
        return None


def _has_edge_over_half_globe(geometry: Any) -> bool:
    """Whether an edge spans more than 180 degrees."""
    import shapely

    return any(
        (abs(at[1:, 0] - at[:-1, 0]) > 180).any()
        for part in shapely.get_parts(geometry)
        for at in map(shapely.get_coordinates, shapely.get_rings(part))
    )


@lru_cache(maxsize=4096)
def _tile_hull(id: str) -> Any:
    """The outline around one tile; on both sides if it crosses the antimeridian."""
    import shapely

    hull = shapely.union_all(shapely.convex_hull(shapely.polygons(tile_outline(Tile.parse(id), RIM_MARGIN))))
    shapely.prepare(hull)
    return hull
