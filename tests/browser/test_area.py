"""The choice of an area: typed, drawn, pasted or opened. Its summary is compared with pyproj."""

import json
import math
import struct
import zipfile
from io import BytesIO

import pytest
from pyproj import CRS, Geod, Transformer

from page_actions import read_facts, wait_until

FIELD = [[4.20, 51.30], [4.25, 51.30], [4.25, 51.33], [4.20, 51.33], [4.20, 51.30]]
BOW_TIE = {
    "type": "Polygon",
    "coordinates": [[[4.0, 51.0], [4.1, 51.1], [4.1, 51.0], [4.0, 51.1], [4.0, 51.0]]],
}


def geodesic_km2(ring) -> float:
    return abs(Geod(ellps="WGS84").polygon_area_perimeter(*zip(*ring, strict=True))[0]) / 1e6


def facts(page) -> dict[str, str]:
    """The facts of the card, once the server has answered."""
    page.locator(".card .facts").wait_for()
    wait_until(page, "!document.querySelector('.card [aria-busy]')")
    return read_facts(page, ".card")


def square_km(text: str) -> float:
    number, unit = text.replace(",", "").split()
    return float(number) / (100 if unit == "ha" else 1)


def show(page, text: str) -> dict[str, str]:
    page.get_by_label("Tile, coordinates or country").fill(text)
    page.get_by_role("button", name="Show").click()
    return facts(page)


def test_a_place_is_typed_as_a_tile_as_coordinates_or_as_a_country(visit):
    session = visit()
    page = session.open("place")
    assert "Search, draw or upload an area" in page.locator(".card").inner_text()
    assert show(page, "t31ues")["Tile"] == "31UES"
    page.get_by_label("Buffer around points (m)").fill("1000")
    # A regular polygon of 48 corners in a circle of 1 km.
    circle = show(page, "51.3 N 4.2 E")
    assert square_km(circle["Area"]) == pytest.approx(24 * math.sin(math.tau / 48), abs=0.05)
    assert circle["Tile"] == "31UES"
    assert show(page, "Luxembourg")["Tiles"].split(", ")[0].startswith("31U")
    assert 2300 < square_km(facts(page)["Area"]) < 2800  # 2,586 km2, its outline of the smallest scale
    page.get_by_label("Tile, coordinates or country").fill("Francia")
    page.get_by_role("button", name="Show").click()
    assert "No match for" in page.locator(".said").inner_text()
    assert "Luxembourg" in page.locator(".card h2").inner_text()
    written = {
        "45.8 N 9.2 E": [[9.2, 45.8]],
        "45.8, 9.2": [[9.2, 45.8]],
        "9.2E 45.8N": [[9.2, 45.8]],
        "45,8 9,2": [[9.2, 45.8]],
        "-33.5 -70.25": [[-70.25, -33.5]],
        "33.5S, 70.25W": [[-70.25, -33.5]],
        "45°48\u20320\u2033N 9°12\u2032E": [[9.2, 45.8]],
        "N45.8 E9.2": [[9.2, 45.8]],
        "45 48 9 12": None,
        "51.3, 4.2; 51.4, 4.3": [[4.2, 51.3], [4.3, 51.4]],
        "hello": None,
        "Chad": None,
        "1": None,
        "N 45.8 E 9.2": [[9.2, 45.8]],
        "0°30' W 5 N": [[-0.5, 5.0]],
        "45,8 N; 9,2 W": [[-9.2, 45.8]],
        "45,8N\n9,2E": [[9.2, 45.8]],
        "45, 9; 46, 10": [[9, 45], [10, 46]],
        "45,9": [[9, 45]],
        "\uff14\uff15\uff0e\uff18 N \u2013\uff19\uff0e\uff12": [[-9.2, 45.8]],
        "45º48'N 9˚12'E": [[9.2, 45.8]],
    }
    found = page.evaluate(
        """async (texts) => {
      const { parsePositions } = await import("./lib/positions.js");
      return texts.map((text) => parsePositions(text));
    }""",
        list(written),
    )
    for (text, wanted), read in zip(written.items(), found, strict=True):
        assert read == (wanted and [pytest.approx(at) for at in wanted]), text
    ambiguous = {
        "43.6 N 1.4 O": "O is west",
        "1.4 O 43.6 N": "O is west",
        "43°75' N 1°10' E": "less than 60",
        "43°36'75\" N 1°10' E": "less than 60",
        "43.5°30' N 1°10' E": "no decimals",
        "12.5 N 4.2 N": "both numbers are latitudes",
        "12.5 E 4.2 E": "both numbers are longitudes",
        "-33.5 S 70 W": "both a minus sign and S",
        "N 45.8 S 9.2 E": "two letters",
        "45,8; 9,2": "may be decimal",
        "45,8\n9,2": "may be decimal",
        "45,8 N": "a latitude and a longitude",
    }
    messages = page.evaluate(
        """async (texts) => {
      const { parsePositions } = await import("./lib/positions.js");
      const read = (text) => { try { return parsePositions(text); } catch (error) { return error.message; } };
      return texts.map(read);
    }""",
        list(ambiguous),
    )
    for (text, said), message in zip(ambiguous.items(), messages, strict=True):
        assert isinstance(message, str) and said in message, text
    assert session.errors == []


def test_a_shape_is_drawn_edited_and_undone(visit):
    session = visit()
    page = session.open("place?at=51.3,4.2")
    facts(page)
    page.get_by_role("button", name="Polygon").click()
    box = page.locator("#map").bounding_box()
    for x, y in ((0.3, 0.3), (0.6, 0.3), (0.6, 0.6), (0.3, 0.3)):
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    wait_until(page, "JSON.parse(localStorage['revisit.aoi']).seen?.vertices === 3")
    triangle = square_km(facts(page)["Area"])
    corner = (box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6)
    page.mouse.move(*corner)
    page.mouse.down()
    page.mouse.move(corner[0] + 40, corner[1] + 60, steps=4)
    page.mouse.up()
    wait_until(
        page, "(before) => JSON.parse(localStorage['revisit.aoi']).seen?.area_km2 > before * 1.05", triangle
    )
    assert facts(page)["Vertices"] == "3"
    page.get_by_role("button", name="Undo").click()
    assert square_km(facts(page)["Area"]) == triangle
    page.keyboard.press("Control+z")
    assert facts(page)["Vertices"] == "48"
    assert session.errors == []


def test_a_box_is_drawn_by_touch_on_a_phone(visit):
    page = visit("phone", touch=True).open("place?at=51.3,4.2")
    facts(page)
    page.get_by_role("button", name="Box").tap()
    assert page.locator(".bar").text_content() == "Click one corner, then the opposite one.Cancel"
    box = page.locator("#map").bounding_box()
    for x, y in ((0.3, 0.5), (0.7, 0.8)):
        page.touchscreen.tap(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        page.wait_for_timeout(350)  # two taps within 250 ms are a double tap, which zooms
    wait_until(page, "JSON.parse(localStorage['revisit.aoi']).seen?.vertices === 4")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_an_invalid_shape_is_marked_at_its_error_and_repaired(visit):
    page = visit().open("place")
    page.get_by_text("Paste or edit as text").click()
    page.locator("#text").fill(json.dumps(BOW_TIE))
    page.get_by_role("button", name="Use this text").click()
    trouble = page.locator(".card .trouble")
    trouble.wait_for()
    assert "crosses itself" in trouble.inner_text() and "--repair" not in trouble.inner_text()
    assert "51.0500° N, 4.0500° E" in trouble.inner_text()
    wait_until(
        page, "() => document.querySelector('.card .trouble').getBoundingClientRect().bottom <= innerHeight"
    )
    page.get_by_role("button", name="Repair it").click()
    # Two triangles, each half as high as the box and as wide.
    repaired = facts(page)
    assert repaired["Parts"] == "2"
    box = geodesic_km2([[4.0, 51.0], [4.1, 51.0], [4.1, 51.1], [4.0, 51.1], [4.0, 51.0]])
    assert square_km(repaired["Area"]) == pytest.approx(box / 2, rel=0.01)
    page.get_by_role("button", name="Undo", exact=True).first.click()
    trouble.wait_for()


def test_a_file_of_each_format_is_opened_and_points_get_the_chosen_buffer(visit):
    page = visit().open("place")
    for kind, make in FILES.items():
        page.locator("input[type=file]").set_input_files(
            {
                "name": f"North field.{'zip' if kind == 'shapefile' else kind}",
                "mimeType": "application/octet-stream",
                "buffer": make(),
            }
        )
        found = facts(page)
        assert square_km(found["Area"]) == pytest.approx(geodesic_km2(FIELD), rel=0.01), kind
        assert found["Vertices"] == "4" and page.get_by_label("Name").input_value() == "North field", kind
        page.get_by_role("button", name="Clear").click()
    page.get_by_label("Buffer around points (m)").fill("200")
    stations = shapefile([[4.2, 51.3], [4.3, 51.35]], 1)
    page.locator("input[type=file]").set_input_files(
        {"name": "stations.zip", "mimeType": "application/zip", "buffer": stations}
    )
    one = 24 * math.sin(math.tau / 48) * 0.2**2
    assert square_km(facts(page)["Area"]) == pytest.approx(2 * one, abs=0.002)
    assert facts(page)["Parts"] == "2"
    page.get_by_label("Buffer around points (m)").fill("400")
    page.get_by_label("Buffer around points (m)").press("Enter")
    wait_until(page, "JSON.parse(localStorage['revisit.aoi']).seen?.area_km2 > 0.9")
    assert square_km(facts(page)["Area"]) == pytest.approx(8 * one, abs=0.01)


def test_a_shapefile_on_a_national_datum_is_right_or_refused_by_the_name_of_its_datum(visit):
    """The datum of RD New lies 100 m from WGS84; no shift is published for Romania's Dealul Piscului 1970."""
    session = visit()
    page = session.open("place")

    def open_in(code: int) -> None:
        page.locator("input[type=file]").set_input_files(
            {"name": "fields.zip", "mimeType": "application/zip", "buffer": shapefile(FIELD, 5, code=code)}
        )

    open_in(28992)
    facts(page)
    (ring,) = page.evaluate("JSON.parse(localStorage['revisit.aoi']).given.features[0].geometry.coordinates")
    for lon, lat in FIELD:
        assert min(Geod(ellps="WGS84").inv(lon, lat, *at)[2] for at in ring) < 20
    open_in(31700)
    page.locator(".said .trouble", has_text="fields.zip: No published shift leads from").wait_for()
    assert "Dealul Piscului 1970" in page.locator(".said").inner_text() and session.errors == []


def test_a_dropped_file_survives_a_reload_and_unreadable_files_are_rejected(visit):
    page = visit().open("place")
    page.evaluate(
        """(text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], "dropped.geojson"));
      document.querySelector("#map").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true,
      cancelable: true }));
    }""",
        FILES["geojson"]().decode(),
    )
    before = facts(page)
    page.evaluate(
        """() => {
          const options = { dataTransfer: new DataTransfer(), bubbles: true, cancelable: true };
          document.querySelector("#map").dispatchEvent(new DragEvent("dragover", options));
        }"""
    )
    assert page.locator("body.dragging").count() == 1
    page.get_by_role("navigation").get_by_role("link", name="Status").click()
    page.locator("#view h1", has_text="Status").wait_for()
    assert page.locator("body.dragging").count() == 0
    page.go_back()
    page.reload()
    assert facts(page) == before
    assert page.get_by_label("Name").input_value() == "North field"
    for name, content, said in (
        ("fields.shp", b"\0\0\x27\x0a", "put its .shp, .dbf and .prj into a zip"),
        ("fields.zip", b"PK\3\4nothing", "is cut off or damaged"),
        ("fields.geojson", b'{"type": "Polygon", ', "cannot be read"),
        ("fields.kml", b"<kml></kml>", "No polygon or point was found"),
        ("metres.zip", shapefile([[4.2, 51.3]], 1, projected=False), "add its .prj"),
        ("stands.gpkg", b"SQLite format 3\0" + bytes(range(256)), "stands.gpkg is a GeoPackage"),
        ("stands.fgb", b"fgb\x03fgb\x00" + bytes(100), "is FlatGeobuf"),
        ("scan.geojson", b"\x89PNG\r\n\x1a\n" + bytes(50), "is a PNG image"),
        ("unknown.bin", bytes(range(256)) * 4, "is no text"),
        ("track.gpx", b'<?xml version="1.0"?><gpx version="1.1"></gpx>', "This is GPX, not KML"),
        ("cut.kmz", kmz()[:-30], "is cut off or damaged"),
        ("table.xlsx", packed({"[Content_Types].xml": b"<Types/>"}), "is an Office document"),
    ):
        page.locator("input[type=file]").set_input_files(
            {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        )
        page.locator(".said .trouble", has_text=said).wait_for()


def test_a_place_is_chosen_by_the_keyboard_alone(visit):
    page = visit().open("place")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "where"
    page.keyboard.type("51.3, 4.2")
    page.keyboard.press("Enter")
    facts(page)
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Paste or edit as text":
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("\n".join(f"{lat}, {lon}" for lon, lat in FIELD[:-1]))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_until(page, "JSON.parse(localStorage['revisit.aoi']).seen?.vertices === 4")
    assert square_km(facts(page)["Area"]) == pytest.approx(geodesic_km2(FIELD), rel=0.01)


def geojson() -> bytes:
    return json.dumps(
        {
            "type": "Feature",
            "properties": {"name": "North field"},
            "geometry": {"type": "Polygon", "coordinates": [FIELD]},
        }
    ).encode()


def kml() -> bytes:
    ring = " ".join(f"{lon},{lat},0" for lon, lat in FIELD)
    return (
        '<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>'
        "<name>North field</name><Polygon><outerBoundaryIs><LinearRing>"
        f"<coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></Document></kml>"
    ).encode()


def wkt() -> bytes:
    return f"POLYGON(({', '.join(f'{lon} {lat}' for lon, lat in FIELD)}))".encode()


def shapefile(positions, kind: int, projected: bool = True, code: int = 32631) -> bytes:
    """A zipped shapefile in the projection of an EPSG code, written by its specification (ESRI, 1998):
    points (1) or one polygon (5)."""
    transform = Transformer.from_crs("OGC:CRS84", f"EPSG:{code}", always_xy=True)
    metres = [transform.transform(*at) for at in positions]
    if kind == 1:
        shapes = [struct.pack("<idd", 1, *at) for at in metres]
    else:
        ring = metres[::-1]  # outer rings run clockwise
        box = (
            min(x for x, _ in ring),
            min(y for _, y in ring),
            max(x for x, _ in ring),
            max(y for _, y in ring),
        )
        shapes = [
            struct.pack("<i4diii", 5, *box, 1, len(ring), 0)
            + b"".join(struct.pack("<dd", *at) for at in ring)
        ]
    records = b"".join(
        struct.pack(">ii", number + 1, len(shape) // 2) + shape for number, shape in enumerate(shapes)
    )
    header = struct.pack(">7i", 9994, 0, 0, 0, 0, 0, (100 + len(records)) // 2) + struct.pack(
        "<ii8d", 1000, kind, *[0.0] * 8
    )
    rows = b"".join(b" " + b"North field".ljust(20) for _ in shapes)
    field = b"name".ljust(11, b"\0") + b"C" + bytes(4) + bytes([20, 0]) + bytes(14)
    table = (
        struct.pack("<4BIHH20x", 3, 124, 1, 1, len(shapes), 32 + 32 + 1, 21) + field + b"\r" + rows + b"\x1a"
    )
    prj = CRS.from_epsg(code).to_wkt("WKT1_ESRI")
    files = {"fields.shp": header + records, "fields.dbf": table}
    return packed(files | ({"fields.prj": prj.encode()} if projected else {}))


def packed(files: dict[str, bytes]) -> bytes:
    """A zip archive."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return archive.getvalue()


def kmz() -> bytes:
    return packed({"files/icon.png": b"\x89PNG\r\n\x1a\n", "doc.kml": kml()})


FILES = {
    "geojson": geojson,
    "kml": kml,
    "kmz": kmz,
    "wkt": wkt,
    "shapefile": lambda: shapefile(FIELD, 5),
    "wkt in UTF-8 with a byte order mark": lambda: b"\xef\xbb\xbf" + wkt(),
    "geojson in UTF-16": lambda: geojson().decode().encode("utf-16"),
    "geojson in Latin-1": lambda: geojson().replace(b"{", '{"author": "Müller", '.encode("latin-1"), 1),
}


def test_malformed_shapes_are_rejected_with_a_message_and_the_page_keeps_working(visit):
    session = visit()
    page = session.open("place")
    page.get_by_text("Paste or edit as text").click()
    none = (
        "[]",
        "{}",
        '{"type": "Feature", "geometry": null}',
        '{"type": "FeatureCollection", "features": []}',
        '{"type": "Polygon"}',
        '{"type": "Polygon", "coordinates": "x"}',
        '{"type": "Polygon", "coordinates": []}',
        '{"type": "Point", "coordinates": null}',
        '{"type": "GeometryCollection", "geometries": [null]}',
    )
    messages = dict.fromkeys(none, "No polygon or point was found in this GeoJSON") | {
        '{"type": "MultiPoint", "coordinates": [null]}': "points are [lon, lat] in degrees",
        "SRID=32631;POLYGON((0 0, 1 0, 1 1, 0 0))": "looks like degrees, and the CRS 'WGS 84 / UTM zone 31N'",
        '{"type": "Point", "coordinates": [4, 51], "crs": null}': "The crs of this GeoJSON names none",
    }
    for text, said in messages.items():
        page.locator("#text").fill(text)
        page.get_by_role("button", name="Use this text").click()
        page.locator(".said .trouble", has_text=said).wait_for()
        assert "Search, draw or upload an area" in page.locator(".card").inner_text(), text
    for coordinates in (
        [[1, 2]],
        [[None, "x"]],
        [[[4, 51], [1e99, 51], ["x", None]]],
        [[[]]],
        [None],
        {"0": 1, "length": 1},
    ):
        page.locator("#text").fill(
            json.dumps(
                {
                    "type": "FeatureCollection",
                    "features": [
                        {"type": "Feature", "geometry": one}
                        for one in (
                            {"type": "Polygon", "coordinates": coordinates},
                            {"type": "Polygon", "coordinates": [FIELD]},
                        )
                    ],
                }
            )
        )
        page.get_by_role("button", name="Use this text").click()
        page.locator(".card .trouble").wait_for()
        page.get_by_role("button", name="Clear").click()
    page.locator("#text").fill('{"type": "Polygon", "coordinates": [[1, 2]]}')
    page.get_by_role("button", name="Use this text").click()
    page.locator(".card .trouble").wait_for()
    page.reload()
    page.locator(".card .trouble").wait_for()
    assert show(page, "51.3 N 4.2 E")["Tile"] == "31UES"
    assert session.errors == [] and session.dialogs == []


def test_text_in_the_crs_that_it_names_is_where_proj_puts_it(visit):
    page = visit().open("place")
    read = "async (text) => (await (await import('./views/geometry_input.js')).readText(text, 100))"

    def in_crs(code):
        project = Transformer.from_crs("OGC:CRS84", f"EPSG:{code}", always_xy=True).transform
        return [[*project(*at), 7.5] for at in FIELD]

    def off(found, expected=FIELD):
        return max(Geod(ellps="WGS84").inv(*at, *to[:2])[2] for at, to in zip(expected, found, strict=True))

    for code, name in ((2154, "urn:ogc:def:crs:EPSG::2154"), (28992, "EPSG:28992"), (4326, "EPSG:4326")):
        feature = {"type": "Feature", "properties": {"name": "Field"}}
        feature["geometry"] = {"type": "Polygon", "coordinates": [in_crs(code)]}
        crs = {"type": "name", "properties": {"name": name}}
        document = {"type": "FeatureCollection", "crs": crs, "features": [feature]}
        found = page.evaluate(read, json.dumps(document))
        assert "crs" not in found["given"] and found["name"] == "Field"
        (ring,) = found["given"]["features"][0]["geometry"]["coordinates"]
        assert off(ring) < (5 if code == 28992 else 0.02)
    point = {"type": "Point", "coordinates": in_crs(32631)[0], "crs": "EPSG:32631"}
    assert off(page.evaluate(read, json.dumps(point))["points"], FIELD[:1]) < 0.02
    text = ", ".join(f"{x} {y}" for x, y, _ in in_crs(32631))
    (ring,) = page.evaluate(read, f"SRID=32631;POLYGON(({text}))")["given"]["coordinates"]
    assert off(ring) < 0.02


def test_the_map_zooms_by_wheel_and_moves_by_drag_while_another_control_has_the_focus(visit):
    page = visit().open("place")
    page.get_by_label("Tile, coordinates or country").fill("31UES")
    zoom, centre = (
        f"async () => (await import('./map/map.js')).getMap().getView().{name}()"
        for name in ("getZoom", "getCenter")
    )
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    before = page.evaluate(zoom)
    page.mouse.wheel(0, -300)
    wait_until(page, f"async (before) => (await ({zoom})()) > before + 0.1", before)
    page.wait_for_timeout(600)  # the view moves on after a wheel
    start = page.evaluate(centre)
    page.mouse.down()
    page.mouse.move(x + 120, y, steps=4)
    page.mouse.up()
    wait_until(page, f"async (start) => (await ({centre})())[0] < start - 1000", start[0])
