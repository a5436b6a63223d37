"""Areas by Lambert's cylindrical equal-area projection; edges are straight in lon/lat.

On the ellipsoid the projection is that of Snyder (Map Projections, USGS Professional Paper 1395, 1987,
equations 3-12 and 10-15).
"""

from typing import Any

_SEMI_MAJOR_M = 6_378_137.0
_ECCENTRICITY = 0.081_819_190_842_621_5
"""Of the WGS84 ellipsoid."""
_NODES = (0.0, 0.538_469_310_105_683, 0.906_179_845_938_664)
_WEIGHTS = (0.568_888_888_888_889, 0.478_628_670_499_366, 0.236_926_885_056_189)
"""Of Gauss-Legendre quadrature with five points; the outer two stand for both signs."""
_LONGEST_DEG = 5.0
"""Length of an edge that one quadrature integrates to 1e-13 of the Earth."""


def area_m2(shape: Any) -> float:
    """Area in m2, to 1e-9 of it, of a polygon or multipolygon in lon/lat degrees on the WGS84 ellipsoid."""
    import numpy as np
    import shapely

    from revisit.geo.densify import segmentize

    whole = segmentize(shapely.orient_polygons(shape), _LONGEST_DEG)
    rings = shapely.get_rings(shapely.get_parts(whole))
    vertices, ring = shapely.get_coordinates(rings, return_index=True)
    edges = np.flatnonzero(np.diff(ring) == 0)
    lon, lat = np.radians(vertices).T
    middle, half = (lat[edges] + lat[edges + 1]) / 2, (lat[edges + 1] - lat[edges]) / 2
    height = _WEIGHTS[0] * _authalic(middle)
    for node, weight in zip(_NODES[1:], _WEIGHTS[1:], strict=True):
        height += weight * (_authalic(middle - node * half) + _authalic(middle + node * half))
    # Between each edge and the equator; outer rings are counter-clockwise, so edges to the west count.
    return -float(((lon[edges + 1] - lon[edges]) * height).sum()) / 2 * _SEMI_MAJOR_M**2 / 2


def _authalic(lat: Any) -> Any:
    """Snyder's q of a latitude in radians: from the equator to it, a radian of longitude holds q a^2 / 2."""
    import numpy as np

    e, sine = _ECCENTRICITY, np.sin(lat)
    return (1 - e * e) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)


def share_of_earth(shape: Any) -> float:
    """Area of a shape in lon/lat degrees as a share of the Earth's surface, 0 to 1."""
    import numpy as np
    import shapely

    projected = shapely.transform(
        shape, lambda at: np.stack([at[:, 0] / 360, np.sin(np.radians(at[:, 1])) / 2], axis=1)
    )
    return float(projected.area)


def covered_share(shape: Any, cover: Any) -> float:
    """Share of a shape's area that another shape covers, 0 to 1; 0 for a shape without area."""
    import shapely

    whole = share_of_earth(shape)
    return share_of_earth(shapely.intersection(shape, cover)) / whole if whole else 0.0
