"""Positions of national grids as lon/lat, compared with PROJ's transformation of the same EPSG code."""

import pytest
from pyproj import CRS, Geod, Transformer

from revisit.errors import InvalidInputError
from revisit.geo.projected_positions import convert_to_lon_lat

PLACES = {
    28992: (5.9, 52.2),
    31370: (4.6, 50.8),
    27572: (2.4, 47.0),  # prime meridian of Paris, in grads
    31467: (9.5, 49.5),
    31287: (14.5, 47.8),
    3003: (10.5, 43.8),
    2100: (22.9, 39.5),
    23030: (-3.7, 40.4),
    4267: (-93.5, 42.0),
    29193: (-46.0, -22.0),
    27200: (175.0, -38.0),
    27700: (-1.5, 52.5),
    2154: (2.4, 47.0),
    32631: (3.5, 50.0),
    3857: (3.0, 50.0),
    4818: (15.0, 50.0),  # prime meridian of Ferro
}
UNKNOWN = (
    'GEOGCS["GCS_Mine",DATUM["D_Mine",SPHEROID["Clarke_1866",6378206.4,294.9786982]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
)


@pytest.mark.parametrize("code", PLACES)
def test_a_prj_file_of_a_national_grid_is_right_within_20_m(code):
    at = PLACES[code]
    x, y = Transformer.from_crs(4326, code, always_xy=True).transform(*at)
    for crs in (CRS.from_epsg(code).to_wkt("WKT1_ESRI"), f"EPSG:{code}", f"urn:ogc:def:crs:EPSG::{code}"):
        (found,) = convert_to_lon_lat(crs, [(x, y)]).positions
        assert Geod(ellps="WGS84").inv(*at, *found)[2] < 20, crs


@pytest.mark.parametrize(
    ("crs", "at"),
    [("EPSG:4258", (5, 45)), ("EPSG:4979", (1, 2)), ("EPSG:4269", (-93, 42)), ("OGC:CRS83", (-93, 42))],
)
def test_degrees_on_a_datum_that_is_nearly_that_of_wgs84_stay(crs, at):
    (found,) = convert_to_lon_lat(crs, [at]).positions
    assert Geod(ellps="WGS84").inv(*at, *found)[2] < 2


def test_a_code_may_be_of_another_authority():
    x, y = Transformer.from_crs(4326, 2154, always_xy=True).transform(2.4, 47)
    for crs in ("IGNF:LAMB93", "urn:ogc:def:crs:ESRI::102110", "http://www.opengis.net/def/crs/EPSG/0/2154"):
        assert convert_to_lon_lat(crs, [(x, y)]).positions == [pytest.approx((2.4, 47), abs=1e-6)]


@pytest.mark.parametrize(
    ("crs", "position", "message"),
    [
        (
            UNKNOWN,
            (4, 50),
            "no published shift leads from 'D_Mine'",
        ),
        ("EPSG:31700", (500_000, 500_000), "no published shift leads from 'Dealul Piscului 1970'"),
        ("EPSG:28992", (1e12, 1e12), "lies outside of 'Amersfoort / RD New'"),
        ("EPSG:99999", (0, 0), "cannot be read"),
        ('PROJCS["x"]', (0, 0), "cannot be read"),
        ("+proj=longlat +nadgrids=/etc/passwd", (0, 0), "no CRS that is read here"),
        ("EPSG:28992", (float("nan"), 0), "lies outside of"),
        ("EPSG:28992", (5.4, 52.2), "looks like degrees"),
        ("EPSG:4978", (4e6, 1e5), "lies outside of"),  # geocentric
        ("EPSG:5773", (1, 2), "no published shift leads from 'EGM96 geoid'"),  # heights
    ],
)
def test_a_datum_without_a_known_shift_and_what_is_no_crs_is_refused(crs, position, message):
    with pytest.raises(InvalidInputError, match=message):
        convert_to_lon_lat(crs, [position])
