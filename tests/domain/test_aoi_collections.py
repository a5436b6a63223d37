"""AOIs against what others have collected, and what holds of any shape at all."""

import json
import math
from xml.etree import ElementTree

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import mapping, shape

from aoi_shapes import NO_AREA_LIMIT_KM2, parse_error, polygon
from data import shared_data
from profiles import examples
from revisit.domain.aoi import AOI
from revisit.errors import InvalidInputError
from revisit.geo.mgrs_tile import Tile

# Against the collections of others


def test_what_geos_holds_invalid_is_refused_and_what_it_holds_valid_is_read():
    valid = invalid = 0
    for name in ("geos_TestIsValid.xml", "geos_makevalid.xml"):
        for case in ElementTree.parse(shared_data("aoi", name)).getroot().iter("case"):
            geometry = shapely.from_wkt(" ".join(case.findtext("a").split()))
            if geometry.geom_type not in ("Polygon", "MultiPolygon"):
                continue
            verdict = case.findtext("test/op").strip()
            if verdict == "true" or "already_valid" in case.findtext("desc"):
                valid += 1
                assert AOI.parse(mapping(geometry), NO_AREA_LIMIT_KM2).shape.area == pytest.approx(
                    geometry.area, rel=1e-5
                )
            else:
                invalid += 1
                assert " at lon " in parse_error(mapping(geometry), max_area_km2=NO_AREA_LIMIT_KM2)
                AOI.parse_repaired(mapping(geometry), NO_AREA_LIMIT_KM2)
    assert (valid, invalid) == (4, 4)


def test_of_turfs_cases_the_valid_polygons_are_read_and_the_others_refused():
    read = 0
    for path in sorted(shared_data("aoi", "turf").glob("*.geojson")):
        document = json.loads(path.read_text())
        members = (
            [each.get("geometry") for each in document.get("features", [document])]
            if "type" in document
            else []
        )
        members = [member if member else document for member in members]
        if not members or any(member.get("type") not in ("Polygon", "MultiPolygon") for member in members):
            parse_error(document, max_area_km2=NO_AREA_LIMIT_KM2)
            continue
        try:
            shapes = [shape(member) for member in members]
        except (TypeError, ValueError):  # a Polygon with the coordinates of a MultiPolygon
            parse_error(document, max_area_km2=NO_AREA_LIMIT_KM2)
            continue
        beyond = any(abs(at) > 180 for each in shapes for at in each.bounds) or any(
            len(part.interiors) > 10 for each in shapes for part in shapely.get_parts(each)
        )
        if beyond or not all(each.is_valid for each in shapes):
            parse_error(document, max_area_km2=NO_AREA_LIMIT_KM2)
            continue
        aoi = AOI.parse(document, NO_AREA_LIMIT_KM2)
        union = shapely.union_all(shapes)
        assert aoi.shape.symmetric_difference(union).area <= 1e-7 * union.length, path.name
        assert AOI.parse(aoi.geometry, NO_AREA_LIMIT_KM2) == aoi, path.name
        read += 1
    assert read >= 20


# Laws

LON, LAT = st.floats(-180, 180), st.floats(-89, 89)


@st.composite
def stars(draw):
    """A valid polygon of 3 to 12 vertices around a centre, anywhere, wrapped at the antimeridian."""
    lon, lat = draw(st.floats(-180, 180)), draw(st.floats(-80, 80))
    angles = sorted(draw(st.lists(st.integers(0, 359), min_size=3, max_size=12, unique=True)))
    radii = draw(st.lists(st.floats(0.05, 0.4), min_size=len(angles), max_size=len(angles)))
    ring = [
        ((lon + r * math.cos(math.radians(a)) + 180) % 360 - 180, lat + r * math.sin(math.radians(a)))
        for a, r in zip(angles, radii, strict=True)
    ]
    return polygon([*ring, ring[0]])


@settings(max_examples=examples(150), deadline=None)
@given(stars())
def test_reading_a_normalised_aoi_again_changes_nothing(document):
    try:
        aoi = AOI.parse(document)
    except InvalidInputError:
        return
    assert AOI.parse(aoi.geometry) == aoi
    assert AOI.parse(json.dumps(aoi.geometry)).id == aoi.id


@settings(max_examples=examples(100), deadline=None)
@given(stars())
def test_the_tiles_under_an_aoi_cover_it(document):
    try:
        aoi = AOI.parse(document)
    except InvalidInputError:
        return
    assert aoi.tiles == tuple(sorted(set(aoi.tiles)))
    # Footprints are within 1 m of their squares, whose overlap is 10 km.
    assert shapely.union_all([Tile.parse(id).footprint for id in aoi.tiles]).buffer(1e-7).covers(aoi.shape)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=True)
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["Polygon", "MultiPolygon", "Feature", "FeatureCollection"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "coordinates", "features", "geometry", "geometries", "crs", "properties"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=examples(300), deadline=None)
@given(JSON | st.binary(max_size=60) | st.text(max_size=60))
def test_anything_else_is_refused_with_a_sentence_and_nothing_worse(document):
    try:
        AOI.parse(document)
    except InvalidInputError as refusal:
        assert len(str(refusal)) < 400


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(LON, LAT), min_size=3, max_size=8))
def test_a_random_ring_is_read_as_valid_or_refused(ring):
    for read in (AOI.parse, AOI.parse_repaired):
        try:
            aoi = read(polygon([*ring, ring[0]]), max_area_km2=NO_AREA_LIMIT_KM2)
        except InvalidInputError:
            continue
        assert aoi.shape.is_valid
        assert -180 <= aoi.shape.bounds[0] <= aoi.shape.bounds[2] <= 180
        assert AOI.parse(aoi.geometry, NO_AREA_LIMIT_KM2) == aoi
