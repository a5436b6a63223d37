"""Points on edges, compared with GEOS."""

import numpy as np
import pytest
import shapely

import hostile_inputs
from revisit.domain.aoi import AOI
from revisit.errors import InvalidGeometryError
from revisit.geo.densify import segmentize

FRAME = shapely.Polygon(
    shapely.box(11, 45, 12, 46).exterior.coords,
    [
        shapely.box(11.2, 45.2, 11.3, 45.9).exterior.coords[::-1],
        shapely.box(11.5, 45.2, 11.7, 45.3).exterior.coords,
    ],
)
FAR = shapely.box(-71.3, -33.3, -70, -33)
SHAPES = {
    "a box": shapely.box(11, 45, 12, 46),
    "a box with holes": FRAME,
    "two parts, one with holes": shapely.multipolygons([FRAME, FAR]),
    "nothing": shapely.MultiPolygon(),
}


def _sound_hostile_shapes():
    for name, drawn in hostile_inputs.hostile_shapes():
        try:
            SHAPES[name] = AOI.parse(drawn, 1e9).shape
        except InvalidGeometryError:
            continue


_sound_hostile_shapes()


@pytest.mark.parametrize("step", [0.005, 0.1, 0.7, 400.0])
@pytest.mark.parametrize("name", SHAPES)
def test_the_points_on_edges_are_those_of_geos(name, step):
    shape = SHAPES[name]
    step = max(step, shape.length / 20_000)
    made = segmentize(shape, step)
    assert shapely.equals_exact(made, shapely.segmentize(shape, step), tolerance=0)
    assert all(
        (np.hypot(*np.diff(shapely.get_coordinates(ring), axis=0).T) <= step * (1 + 1e-9)).all()
        for part in shapely.get_parts(made)
        for ring in shapely.get_rings(part)
    )
