"""Areas in the CRS that the member `crs` of GeoJSON names, compared with PROJ's transformation."""

import json

import pytest
from pyproj import Geod, Transformer

from revisit.domain.aoi import AOI
from revisit.errors import InvalidGeometryError
from revisit.geo.geojson import extract_polygons

PLACES = {
    2154: (2.4, 47.0),
    32631: (3.5, 50.0),
    28992: (5.9, 52.2),  # another datum
    31467: (9.5, 49.5),  # states northing before easting
    2193: (175.0, -38.0),  # states northing before easting
    4258: (5.0, 45.0),
    4267: (-93.5, 42.0),  # degrees, 10 m west of WGS84
}
FORMS = ("EPSG:{}", "urn:ogc:def:crs:EPSG::{}", "http://www.opengis.net/def/crs/EPSG/0/{}")


def named(name):
    return {"type": "name", "properties": {"name": name}}


def field_at(lon, lat):
    return [(lon, lat), (lon + 0.01, lat), (lon + 0.01, lat + 0.01), (lon, lat + 0.01), (lon, lat)]


def in_crs(code, ring):
    project = Transformer.from_crs(4326, code, always_xy=True)
    return [[*project.transform(*at), 12.5] for at in ring]


@pytest.mark.parametrize("code", PLACES)
def test_a_polygon_in_a_named_crs_is_where_proj_puts_it(code):
    ring = field_at(*PLACES[code])
    polygon = {"type": "Polygon", "coordinates": [in_crs(code, ring)]}
    for form in FORMS:
        document = {
            "type": "FeatureCollection",
            "crs": named(form.format(code)),
            "features": [{"type": "Feature", "properties": {}, "geometry": polygon}],
        }
        (((found,),),) = extract_polygons(document)
        for at, near in zip(ring, found, strict=True):
            # As the shifts of a datum differ among themselves; those without one are right to a centimetre.
            assert Geod(ellps="WGS84").inv(*at, *near)[2] < (0.02 if code in (2154, 32631, 2193, 4258) else 5)
    assert AOI.parse(json.dumps({**polygon, "crs": named(f"EPSG:{code}")})).area_km2 == pytest.approx(
        AOI.parse({"type": "Polygon", "coordinates": [ring]}).area_km2, rel=1e-3
    )


@pytest.mark.parametrize(
    "name",
    [
        "urn:ogc:def:crs:OGC:1.3:CRS84",
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        "OGC:CRS84",
        "CRS84",
        "EPSG:4326",
        "urn:ogc:def:crs:EPSG::4326",
        "urn:ogc:def:crs:EPSG:6.9:4326",
        "http://www.opengis.net/def/crs/EPSG/0/4326",
    ],
)
def test_wgs84_is_longitude_first_whatever_its_name(name):
    """As GDAL reads and writes GeoJSON, although EPSG:4326 states latitude first."""
    polygon = {"type": "Polygon", "coordinates": [field_at(9.3, 45.3)]}
    assert AOI.parse({**polygon, "crs": named(name)}) == AOI.parse(polygon)


def test_an_object_has_the_crs_of_the_object_around_it_or_its_own():
    ring = field_at(3.5, 50)
    polygon = {"type": "Polygon", "coordinates": [in_crs(32631, ring)]}
    expected = AOI.parse({"type": "Polygon", "coordinates": [ring]})
    feature = {"type": "Feature", "geometry": polygon, "properties": {"crs": "EPSG:2154"}}
    for document in (
        {"type": "FeatureCollection", "features": [feature], "crs": "EPSG:32631"},
        {"type": "FeatureCollection", "features": [{**feature, "crs": named("EPSG:32631")}], "crs": "CRS84"},
        {**feature, "crs": {"type": "EPSG", "properties": {"code": 32631}}},
    ):
        assert AOI.parse(document).shape.equals_exact(expected.shape, 2e-7)


def test_well_known_text_has_the_crs_of_its_srid():
    ring = field_at(3.5, 50)
    text = ", ".join(f"{x} {y}" for x, y, _ in in_crs(32631, ring))
    found = AOI.parse(f"SRID=32631;POLYGON(({text}))")
    assert found.shape.equals_exact(AOI.parse({"type": "Polygon", "coordinates": [ring]}).shape, 2e-7)


def test_an_area_across_the_antimeridian_is_split_there():
    west, south, east, north = 179.9, -17.1, 180.1, -17
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    projected = {"type": "Polygon", "coordinates": [in_crs(3832, ring)], "crs": named("EPSG:3832")}
    aoi = AOI.parse(projected)
    assert aoi.geometry["type"] == "MultiPolygon"
    assert aoi.bounds == pytest.approx((179.9, -17.1, -179.9, -17), abs=1e-6)


@pytest.mark.parametrize(
    ("crs", "message"),
    [
        (None, r"crs is null, which names none; leave crs out .* or name it as in .*EPSG:32631"),
        ({"type": "link", "properties": {"href": "http://x/crs"}}, "crs is a link, which is not followed"),
        ({"type": "name", "properties": {}}, "not the name of a CRS; leave crs out"),
        (17, "not the name of a CRS; leave crs out"),
        (named("EPSG:99999"), "'EPSG:99999' cannot be read"),
        (named("Lambert"), "'Lambert' is no CRS .* EPSG code"),
        (named("+proj=longlat +nadgrids=/etc/passwd"), "is no CRS"),
        (named("urn:ogc:def:crs:" * 50_000), "not the name of a CRS"),
        (named("EPSG:31700"), "no published shift leads from 'Dealul Piscului 1970'"),
    ],
)
def test_a_crs_that_is_none_or_unknown_is_named_with_what_is_accepted(crs, message):
    polygon = {"type": "Polygon", "coordinates": [in_crs(32631, field_at(3.5, 50))], "crs": crs}
    with pytest.raises(InvalidGeometryError, match=message):
        AOI.parse(polygon)


def test_one_area_is_in_one_crs():
    polygon = {"type": "Polygon", "coordinates": [in_crs(32631, field_at(3.5, 50))]}
    geometries = [{**polygon, "crs": name} for name in ("EPSG:32631", "EPSG:32632")]
    with pytest.raises(InvalidGeometryError, match="in several CRSs, 'EPSG:32631' and 'EPSG:32632'"):
        AOI.parse({"type": "GeometryCollection", "geometries": geometries})


def test_a_position_that_is_no_number_is_named_before_it_is_converted():
    for ring in ([[1e6, "x"]] * 4, [[1e6]] * 4, ["ab"] * 4):
        with pytest.raises(InvalidGeometryError, match="in the AOI is not a"):
            AOI.parse({"type": "Polygon", "coordinates": [ring], "crs": "EPSG:32631"})
