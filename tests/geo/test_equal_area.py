"""Areas on the ellipsoid, compared with geodesics over short edges and with the Earth's surface."""

import math
from time import perf_counter

import numpy as np
import pytest
import shapely
from pyproj import Geod

from figures import figure
from revisit.geo.equal_area import area_m2

EARTH = Geod(ellps="WGS84")

FRAME = shapely.Polygon(
    shapely.box(11, 45, 12, 46).exterior.coords,
    [
        shapely.box(11.2, 45.2, 11.3, 45.9).exterior.coords[::-1],
        shapely.box(11.5, 45.2, 11.7, 45.3).exterior.coords,
    ],
)


def star(lon, lat, size, points=30):
    random = np.random.default_rng(points)
    angle, reach = np.linspace(0, 2 * np.pi, points, endpoint=False), size * random.uniform(0.4, 1, points)
    return shapely.Polygon(np.column_stack([lon + reach * np.cos(angle), lat + reach * np.sin(angle)]))


SHAPES = {
    "an island of 10 km, edges of 8 km, at 49.5 degrees": shapely.Polygon(
        [(-2.67, 49.43), (-2.55, 49.42), (-2.5, 49.5), (-2.53, 49.51), (-2.66, 49.5)]
    ),
    "a town of 2 km at 43.7 degrees": star(7.42, 43.73, 0.01),
    "a box": shapely.box(11, 45, 12, 46),
    "a box with holes of either orientation": FRAME,
    "two parts": shapely.multipolygons([FRAME, shapely.box(-71.3, -33.3, -70, -33)]),
    "a country across the equator": star(-60, 3, 10),
    "in the far north": star(25, 80, 2),
    "a sliver along a parallel": shapely.box(0, 60, 3, 60.001),
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_area_is_that_of_geodesics_over_edges_of_a_few_metres_each(name):
    shape = SHAPES[name]
    step = max(shape.length / 200_000, 0.00005)  # a geodesic leaves the edge by less than 1e-9 of the area
    dense = shapely.orient_polygons(shapely.segmentize(shape, step))
    expected = sum(EARTH.geometry_area_perimeter(part)[0] for part in shapely.get_parts(dense))
    assert area_m2(shape) == pytest.approx(expected, rel=1e-8)


def test_the_whole_earth_and_bands_of_it_have_their_area():
    a, e2 = EARTH.a, EARTH.es
    e = math.sqrt(e2)
    whole = 2 * math.pi * a * a * (1 + (1 - e2) / e * math.atanh(e))  # the surface of an oblate spheroid
    assert area_m2(shapely.box(-180, -90, 180, 90)) == pytest.approx(whole, rel=1e-12)
    assert area_m2(shapely.box(-180, -90, 180, 0)) == pytest.approx(whole / 2, rel=1e-12)
    assert area_m2(shapely.box(-180, -90, 90, 90)) == pytest.approx(whole * 3 / 4, rel=1e-12)
    assert area_m2(shapely.MultiPolygon()) == 0


def test_an_area_of_many_vertices_takes_milliseconds():
    shape = star(7, 49, 0.5, 2000)
    started = perf_counter()
    area_m2(shape)
    figure("area of a ring of 2,000 vertices", f"{1000 * (perf_counter() - started):.1f} ms")
