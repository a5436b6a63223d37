"""Areas and filters that would take too long are refused early."""

import msgspec
import pytest
import shapely

from revisit.errors import InvalidGeometryError, InvalidInputError
from revisit.stac.cql2 import parse_cql2_json, parse_cql2_text
from revisit.stac.search_area import parse_geometry


def zigzag(count, east=0.0, north=0.0):
    return {
        "type": "LineString",
        "coordinates": [[9 + 0.9 * (at % 2) + east, 45 + at / 50 + north] for at in range(count)],
    }


def collection(*geometries):
    return {"type": "GeometryCollection", "geometries": list(geometries)}


def test_the_positions_of_a_collection_are_bounded_all_together():
    taken = parse_geometry(collection(*(zigzag(40, 2 * at) for at in range(50))))
    assert shapely.get_num_geometries(taken) == 50
    with pytest.raises(InvalidGeometryError, match="more than 2,000 positions"):
        parse_geometry(collection(*(zigzag(41, 2 * at) for at in range(50))))


@pytest.mark.parametrize(
    "lines",
    [
        collection(*(zigzag(39, at / 1000, at / 977) for at in range(50))),
        {
            "type": "MultiLineString",
            "coordinates": [zigzag(40, at / 1000, at / 977)["coordinates"] for at in range(50)],
        },
    ],
    ids=["a collection", "a MultiLineString"],
)
def test_lines_that_cross_one_another_too_often_are_refused(lines):
    with pytest.raises(InvalidGeometryError, match="cross one another"):
        parse_geometry(lines)


def test_lines_with_few_crossings_are_accepted():
    cross = [[[9, 45], [10, 46]], [[9, 46], [10, 45]]]
    assert parse_geometry({"type": "MultiLineString", "coordinates": cross}).equals(
        shapely.MultiLineString(cross)
    )
    drawn = parse_geometry(
        collection(
            {"type": "LineString", "coordinates": cross[0]}, {"type": "Point", "coordinates": [20, 20]}
        )
    )
    assert drawn.equals(shapely.union_all([shapely.LineString(cross[0]), shapely.Point(20, 20)]))


POINT = {"type": "Point", "coordinates": [9.31, 45.31]}
POINTS = {"type": "MultiPoint", "coordinates": [[9.31, 45.31], [9.32, 45.31]]}


@pytest.mark.parametrize("members", [[POINT], [POINT, POINT], [POINTS], [POINT, POINTS], [POINTS, zigzag(2)]])
def test_a_collection_of_points_is_taken_wherever_a_place_is_read(members):
    drawn = shapely.from_geojson(msgspec.json.encode(collection(*members)))
    assert parse_geometry(collection(*members)).equals(shapely.union_all([drawn]))
    as_json = {"op": "s_intersects", "args": [{"property": "geometry"}, collection(*members)]}
    for written in (parse_cql2_json(as_json), parse_cql2_text(f"s_intersects(geometry, {drawn.wkt})")):
        assert written.shape.equals(shapely.union_all([drawn]))


def test_a_line_over_the_antimeridian_a_thousand_times_is_refused():
    def there_and_back(count):
        return {
            "type": "LineString",
            "coordinates": [[179 if at % 2 else -179, at / 30] for at in range(count)],
        }

    assert parse_geometry(there_and_back(101)).bounds[0] == -180
    with pytest.raises(InvalidGeometryError, match="crosses the antimeridian 999 times"):
        parse_geometry(there_and_back(1000))


@pytest.mark.parametrize(
    "text",
    [
        "eo:cloud_cover < " + "-" * 3_900 + "1",
        "eo:cloud_cover < " + "- " * 1_900 + "1",
        "-" * 3_900 + "1 < eo:cloud_cover",
    ],
)
def test_minus_signs_that_would_overflow_the_parsers_stack_are_refused(text):
    with pytest.raises(InvalidInputError, match="minus signs"):
        parse_cql2_text(text)


@pytest.mark.parametrize("sign", ["+", "*", "^", "div ", "-"])
def test_arithmetic_within_arithmetic_is_refused_in_a_sentence(sign):
    with pytest.raises(InvalidInputError, match=r"nested too deeply|is a number"):
        parse_cql2_text(f"eo:cloud_cover < {f'1{sign}' * 600}1")


def test_values_within_values_are_refused_in_a_sentence():
    deep = 1
    for _ in range(100):
        deep = {"op": "+", "args": [deep, 1]}
    with pytest.raises(InvalidInputError, match=r"nested too deeply|is a number|not CQL2"):
        parse_cql2_json({"op": "<", "args": [{"property": "eo:cloud_cover"}, deep]})
