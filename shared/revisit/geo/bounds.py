"""Bounds in lon/lat degrees, also where they cross the antimeridian."""

from typing import Any

type Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east across the antimeridian."""


def split_box(bounds: Bounds) -> list[Bounds]:
    """The one or two boxes, each with west <= east, that bounds stand for."""
    west, south, east, north = bounds
    if west <= east:
        return [bounds]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


def box_polygon(bounds: Bounds) -> Any:
    """Bounds as a shapely polygon, or a multipolygon across the antimeridian."""
    import shapely

    return shapely.union_all([shapely.box(*box) for box in split_box(bounds)])


def bounds_of(shape: Any) -> Bounds:
    """The narrowest bounds of a shape that is split at the antimeridian.

    The widest gap between its parts, going around the globe, is left out.
    """
    import shapely

    _, south, _, north = shape.bounds
    spans = sorted((west, east) for west, _, east, _ in shapely.bounds(shapely.get_parts(shape)).tolist())
    west, east = spans[0][0], max(span[1] for span in spans)
    widest, reached = west + 360 - east, spans[0][1]
    for start, end in spans[1:]:
        if start - reached > widest:
            west, east, widest = start, reached, start - reached
        reached = max(reached, end)
    return west, south, east, north
