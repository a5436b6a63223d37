"""Bounds that cross the antimeridian: split, drawn, and found again."""

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from revisit.geo.bounds import bounds_of, box_polygon, split_box
from revisit.geo.equal_area import covered_share, share_of_earth

DEGREES = st.integers(-179, 179).map(float)


@pytest.mark.parametrize(
    ("bounds", "boxes"),
    [
        ((9, 47, 10, 48), [(9, 47, 10, 48)]),
        ((10, 47, 10, 48), [(10, 47, 10, 48)]),
        ((175, -20, -175, -10), [(175, -20, 180.0, -10), (-180.0, -20, -175, -10)]),
        ((-180, -90, 180, 90), [(-180, -90, 180, 90)]),
    ],
)
def test_bounds_across_the_antimeridian_are_two_boxes(bounds, boxes):
    assert split_box(bounds) == boxes


@given(DEGREES, DEGREES)
def test_the_bounds_of_a_box_are_those_it_was_drawn_from(west, east):
    if west == east:
        east += 0.5
    assert bounds_of(box_polygon((west, -10.0, east, 10.0))) == (west, -10.0, east, 10.0)


@pytest.mark.parametrize(
    ("spans", "west", "east"),
    [
        ([(-170, -160), (160, 170)], 160, -160),
        ([(-10, 10), (20, 30)], -10, 30),
        ([(-180, -90), (-100, 20), (150, 180)], 150, 20),
        ([(-180, 180)], -180, 180),
        ([(-100, -80), (80, 100)], -100, 100),
    ],
)
def test_the_widest_gap_between_parts_is_left_out(spans, west, east):
    parts = shapely.geometrycollections([shapely.box(start, 0, end, 1) for start, end in spans])
    assert bounds_of(parts) == (west, 0, east, 1)


def test_the_bounds_of_points_and_lines_are_found_as_well():
    assert bounds_of(shapely.points(12, 45)) == (12, 45, 12, 45)
    assert bounds_of(shapely.multipoints([(179, 1), (-179, 2)])) == (179, 1, -179, 2)


def test_areas_are_shares_of_the_sphere():
    assert share_of_earth(shapely.box(-180, -90, 180, 90)) == pytest.approx(1)
    # Between the equator and 30 degrees lies a quarter of the globe: sin 30 = 1/2.
    assert share_of_earth(shapely.box(-180, 0, 180, 30)) == pytest.approx(1 / 4)
    assert covered_share(shapely.box(0, 0, 10, 30), shapely.box(0, 0, 5, 90)) == pytest.approx(1 / 2)
    assert covered_share(shapely.points(0, 0), shapely.box(-1, -1, 1, 1)) == 0.0
