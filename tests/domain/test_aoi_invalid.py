"""Invalid AOIs: rejected with a sentence, and repaired on request."""

import math
import random
import re
from itertools import pairwise

import pytest
import shapely

import hostile_inputs
from aoi_shapes import NO_AREA_LIMIT_KM2, box, collection, parse_error, polygon
from revisit.domain.aoi import AOI
from revisit.errors import InvalidInputError
from revisit.geo import polygon as polygon_module
from revisit.geo.polygon import limit_crossings

# What is refused


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "JSON"),
        ("null", "GeoJSON object"),
        ("[1, 2]", "GeoJSON object"),
        ('{"type": "Polygon"}', "no list of coordinates"),
        ('{"type": "Polygon", "coordinates": "here"}', "no list of coordinates"),
        ('{"type": "Polygon", "coordinates": []}', "empty"),
        ('{"type": "Polygon", "coordinates": [[]]}', "0 different points"),
        ('{"type": "Polygon", "coordinates": [[[1,1],[2,2],[1,1]]]}', "2 different points"),
        ('{"type": "Polygon", "coordinates": [[[1,1],[2,2],[3,3],[1,1]]]}', "on one line"),
        ('{"type": "Polygon", "coordinates": [[[NaN,1],[2,1],[2,2],[NaN,1]]]}', "JSON"),
        ('{"type": "Polygon", "coordinates": [[[Infinity,1],[2,1],[2,2],[1,1]]]}', "JSON"),
        ('{"type": "Polygon", "coordinates": [[[1e999,1],[2,1],[2,2],[1,1]]]}', "out of range"),
        ('{"type": "Polygon", "coordinates": [[[1e308,1e308],[2,1],[2,2],[1e308,1e308]]]}', "metres"),
        ('{"type": "Polygon", "coordinates": [[["1",1],[2,1],[2,2],["1",1]]]}', "not a number"),
        ('{"type": "Polygon", "coordinates": [[[true,1],[2,1],[2,2],[true,1]]]}', "not a number"),
        ('{"type": "Polygon", "coordinates": [[1,2,3]]}', r"\[lon, lat\] position"),
        ('{"type": "Point", "coordinates": [1,2]}', "Point has no area"),
        ('{"type": "FeatureCollection", "features": []}', "empty"),
        ('{"type": "GeometryCollection", "geometries": []}', "empty"),
        ('{"type": "MultiPolygon", "coordinates": []}', "empty"),
        ('{"type": "Feature", "geometry": null}', "no geometry"),
        ('{"type": "Feature", "geometry": 3}', "holds 3"),
        ('{"type": "FeatureCollection", "features": {}}', "no list of features"),
        ('{"type": "Circle"}', "no GeoJSON type"),
        ('{"type": {"type": "Polygon"}}', "no GeoJSON type"),
        ("{}", "no GeoJSON type"),
    ],
)
def test_what_is_no_polygon_is_refused_with_a_sentence(document, says):
    import re

    assert re.search(says, parse_error(document))


def test_nan_and_infinity_are_refused_in_parsed_documents_too():
    for value in (math.nan, math.inf, -math.inf):
        assert "not a number" in parse_error(polygon([(value, 1), (2, 1), (2, 2), (value, 1)]))
    assert "metres" in parse_error(polygon([(10**400, 1), (2, 1), (2, 2), (10**400, 1)]))


def test_coordinates_outside_the_earth_are_refused_naming_the_remedy():
    assert "longitude 500 is beyond 180 degrees; write 140" in parse_error(box(500, 1, 501, 2))
    assert "longitude 182 is beyond 180 degrees; write -178" in parse_error(box(178, 1, 182, 2))
    assert "longitude first" in parse_error(box(45, 120, 46, 121))
    assert "latitude 91" in parse_error(box(120, 89, 121, 91))
    assert "UTM" in parse_error(box(399960, 4990200, 409960, 5000040))
    assert "UTM" in parse_error(box(1224514, 5621521, 1224614, 5621621))


def test_a_ring_that_crosses_itself_is_refused_naming_the_point():
    bow_tie = polygon([(11, 45), (11.4, 45.4), (11.4, 45), (11, 45.4), (11, 45)])
    assert "crosses itself at lon 11.2, lat 45.2" in parse_error(bow_tie)
    over_180 = polygon([(179.8, 45), (-179.8, 45.4), (-179.8, 45), (179.8, 45.4), (179.8, 45)])
    assert "crosses itself at lon -180, lat 45.2" in parse_error(
        over_180
    ) or "lon 180, lat 45.2" in parse_error(over_180)


def test_holes_outside_overlapping_parts_and_touching_rings_are_refused():
    assert "hole outside" in parse_error(
        polygon(box(11, 45, 11.5, 45.5)["coordinates"][0], box(13, 45, 13.2, 45.2)["coordinates"][0])
    )
    overlap = {
        "type": "MultiPolygon",
        "coordinates": [box(11, 45, 11.4, 45.4)["coordinates"], box(11.2, 45, 11.6, 45.4)["coordinates"]],
    }
    assert "overlap" in parse_error(overlap)
    spike = polygon([(1, 1), (1.1, 1), (1.1, 1.1), (1.2, 1.2), (1.1, 1.1), (1, 1)])
    assert "itself at lon 1.1, lat 1.1" in parse_error(spike)


def test_limits_are_named():
    circle = [
        (11 + 0.1 * math.cos(t / 2500 * math.tau), 45 + 0.1 * math.sin(t / 2500 * math.tau))
        for t in range(2500)
    ]
    assert "2,500 vertices, 2,000 at most" in parse_error(polygon([*circle, circle[0]]))
    dots = [box(11 + k / 100, 45, 11.005 + k / 100, 45.005) for k in range(51)]
    assert "51 polygons, 50 at most" in parse_error(collection(*dots))
    holes = [dot["coordinates"][0] for dot in dots[:11]]
    assert "11 holes, 10 at most" in parse_error(polygon(box(10, 44, 12, 46)["coordinates"][0], *holes))
    assert "10,000 km2 at most" in parse_error(box(11, 45, 13, 46))
    assert "12,308.8"[:4] in parse_error(box(11, 0, 12, 1), max_area_km2=12_000).replace("12,309", "12,308")
    assert "1,000,000 at most" in parse_error(" " * 1_000_001)
    deep: dict = {"type": "GeometryCollection", "geometries": [box(11, 45, 11.1, 45.1)]}
    for _ in range(20):
        deep = {"type": "GeometryCollection", "geometries": [deep]}
    assert "nested" in parse_error(deep)


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 900_000,
        '{"a":' * 150_000,
        '{"type":"GeometryCollection","geometries":[' * 20_000,
        '{"type":"MultiPolygon","coordinates":[' + ",".join(["[]"] * 300_000) + "]}",
        '{"type":"Polygon","coordinates":[' + ",".join(["[]"] * 300_000) + "]}",
        '{"type":"Polygon","coordinates":[[' + ",".join(["[1,1]"] * 160_000) + "]]}",
    ],
    ids=["brackets", "objects", "collections", "parts", "rings", "positions"],
)
def test_bombs_below_the_size_limit_are_refused(bomb):
    parse_error(bomb)


def test_a_union_that_would_take_minutes_is_refused():
    def comb(turn):
        # 240 teeth, each crossed by every tooth of the other comb: 230,000 crossings.
        teeth = [(x / 240 + dx, y) for x in range(240) for dx, y in ((0, 0), (0, 1), (0.002, 1), (0.002, 0))]
        at = [(1, -0.01), (0, -0.01), *teeth]
        return polygon([(11 + (y if turn else x), 45 + (x if turn else y)) for x, y in [*at, at[0]]])

    assert "cross one another" in parse_error(
        collection(comb(False), comb(True)), max_area_km2=NO_AREA_LIMIT_KM2
    )


def test_an_edge_over_the_antimeridian_a_thousand_times_is_refused():
    zigzag = [(179.9 if k % 2 else -179.9, k / 100) for k in range(1000)]
    assert "antimeridian" in parse_error(polygon([*zigzag, zigzag[0]]))


def test_too_many_crossing_edges_are_rejected(monkeypatch):
    chance = random.Random(3)
    for size in (5, 40, 300):
        ring = [(11 + chance.random(), 45 + chance.random()) for _ in range(size)]
        edges = shapely.linestrings(list(pairwise(ring)))
        crossings = sum(int(shapely.crosses(edge, edges[at + 1 :]).sum()) for at, edge in enumerate(edges))
        monkeypatch.setattr(polygon_module, "MAX_EDGE_CROSSINGS", crossings)
        limit_crossings([ring])
        monkeypatch.setattr(polygon_module, "MAX_EDGE_CROSSINGS", crossings - 1)
        with pytest.raises(InvalidInputError, match=f"more than {crossings - 1:,} times"):
            limit_crossings([ring])


# Repair on request


def test_a_random_star_is_refused_and_repaired_only_on_request():
    chance = random.Random(5)
    star = [
        (11 + 0.1 * math.cos(a) * r, 45 + 0.1 * math.sin(a) * r)
        for a, r in ((chance.uniform(0, math.tau), chance.uniform(0.5, 1)) for _ in range(60))
    ]
    assert "crosses itself at lon 1" in parse_error(polygon([*star, star[0]]))
    aoi = AOI.parse_repaired(polygon([*star, star[0]]))
    assert aoi.shape.is_valid
    assert aoi.shape.area <= shapely.Polygon(star).convex_hull.area
    for size in (200, 500):
        tangle = [(chance.uniform(11, 12), chance.uniform(45, 46)) for _ in range(size)]
        with pytest.raises(InvalidInputError, match=r"cross one another|parts"):
            AOI.parse_repaired(polygon([*tangle, tangle[0]]))


def test_a_tangle_on_a_lattice_is_repaired_to_the_union_of_what_its_rings_enclose():
    chance, compared = random.Random(9), 0
    for _ in range(60):
        points = [
            (9 + chance.randint(0, 5) / 10, 45 + chance.randint(0, 5) / 10)
            for _ in range(chance.randint(5, 30))
        ]
        torn = shapely.Polygon(points)
        try:
            repaired = AOI.parse_repaired(polygon([*points, points[0]]), NO_AREA_LIMIT_KM2).shape
        except InvalidInputError:
            continue
        whole = shapely.union_all([shapely.make_valid(torn, method="structure", keep_collapsed=False)])
        assert shapely.symmetric_difference(repaired, whole).area < 1e-7
        compared += not torn.is_valid
    assert compared > 20


def test_every_accepted_or_repaired_aoi_is_valid():
    taken = []
    for name, drawn in hostile_inputs.hostile_shapes():
        for read in (
            (AOI.parse, AOI.parse_repaired)
            if re.search("repair|small|hair|that overlap", name)
            else (AOI.parse,)
        ):
            try:
                taken.append((name, read(drawn, NO_AREA_LIMIT_KM2)))
            except InvalidInputError:
                continue
    assert len(taken) > 10
    assert not [name for name, aoi in taken if not aoi.shape.is_valid]


def test_a_bow_tie_is_repaired_into_its_two_halves():
    bow_tie = polygon([(11, 45), (11.4, 45.4), (11.4, 45), (11, 45.4), (11, 45)])
    assert AOI.parse_repaired(bow_tie).shape.equals(
        shapely.union(
            shapely.Polygon([(11, 45), (11.2, 45.2), (11, 45.4)]),
            shapely.Polygon([(11.4, 45), (11.2, 45.2), (11.4, 45.4)]),
        )
    )


def test_longitudes_beyond_180_are_wrapped_on_request():
    assert AOI.parse_repaired(box(179.5, 1, 180.5, 2), NO_AREA_LIMIT_KM2).bounds == (179.5, 1, -179.5, 2)
    with pytest.raises(InvalidInputError, match="500 vertices"):
        AOI.parse_repaired(
            polygon([(11 + 0.1 * math.cos(t / 100), 45 + 0.1 * math.sin(t / 100)) for t in range(628)])
        )
