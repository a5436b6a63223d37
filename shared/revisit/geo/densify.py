"""Edges of polygons in lon/lat degrees, with points put on them before they are projected or measured."""

from typing import Any


def segmentize(shape: Any, max_segment_deg: float) -> Any:
    """A polygon or multipolygon whose edges are no longer than `step` degrees: the very points of
    `shapely.segmentize`.

    GEOS judges every polygon that it has put points on, which of a star of 2,000 vertices takes longer than
    all else that is asked of
    it; here they are only put there.
    """
    import numpy as np
    import shapely

    if shape.is_empty:
        return shape
    kind, vertices, offsets = shapely.to_ragged_array([shape])
    vertices = np.asarray(vertices, float)
    along = np.diff(vertices, axis=0, append=vertices[-1:])
    length = np.sqrt(along[:, 0] * along[:, 0] + along[:, 1] * along[:, 1])
    # From the last vertex of a ring no edge goes on to the next ring.
    length[offsets[0][1:] - 1] = 0.0
    pieces = np.maximum(np.ceil(length / max_segment_deg), 1.0)
    whole = np.where(length > 0, length, 1.0)
    counts = pieces.astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    edge = np.repeat(np.arange(len(vertices)), counts)
    share = (np.arange(starts[-1]) - starts[edge]) * (length / pieces)[edge] / whole[edge]
    points = vertices[edge] + share[:, None] * along[edge]
    (made,) = shapely.from_ragged_array(kind, points, (starts[offsets[0]], *offsets[1:]))
    return made


def geodesic_areas_m2(shape: Any) -> list[float]:
    """Square metres of each polygon of a shape on the WGS84 ellipsoid, holes taken off; its edges are taken
    for geodesics."""
    import shapely
    from pyproj import Geod

    sphere = Geod(ellps="WGS84")
    polygons = [part for part in shapely.get_parts(shapely.get_parts(shape)) if part.geom_type == "Polygon"]
    return [
        abs(
            sum(
                sphere.polygon_area_perimeter(*shapely.get_coordinates(ring).T)[0]
                for ring in shapely.get_rings(shapely.orient_polygons(polygon))
            )
        )
        for polygon in polygons
    ]
