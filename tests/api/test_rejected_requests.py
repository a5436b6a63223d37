"""Requests that the API rejects: bad input, other hosts and other origins."""

import pytest

from products import FIELD, WATCH

BOW_TIE = {"type": "Polygon", "coordinates": [[[9, 45], [9.1, 45.1], [9.1, 45], [9, 45.1], [9, 45]]]}
UTM = {
    "type": "Polygon",
    "coordinates": [[[500000, 5000000], [500100, 5000000], [500100, 5000100], [500000, 5000000]]],
}


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/orders", {"aoi": BOW_TIE}, "crosses itself at lon 9.05, lat 45.05"),
        ("/orders", {"aoi": UTM}, "EPSG:4326"),
        ("/orders", {"aoi": {"type": "Polygon", "coordinates": []}}, "polygon"),
        ("/orders", {"aoi": {"type": "Point", "coordinates": [9, 45]}}, "Point has no area"),
        (
            "/orders",
            {"aoi": {"type": "Polygon", "coordinates": [[[0, 0], [60, 0], [60, 60], [0, 60], [0, 0]]]}},
            "km2 at most",
        ),
        (
            "/orders",
            {"aoi": {**FIELD, "crs": {"type": "name", "properties": {"name": "EPSG:32632"}}}},
            "looks like degrees",
        ),
        ("/orders", {"aoi": FIELD, "indices": ["NDVY"]}, "did you mean NDVI"),
        ("/orders", {"aoi": FIELD, "bands": ["B99"]}, "no band 'B99'"),
        ("/orders", {"aoi": FIELD, "source": "stac:http://169.254.169.254/#x"}, "none of this server's"),
        ("/orders", {"aoi": FIELD, "start": "2024-06-02", "end": "2024-06-01"}, "before it begins"),
        ("/orders", {"aoi": FIELD, "start": "yesterday"}, "'yesterday' is not a date"),
        ("/orders", {"aoi": FIELD, "colour": "red"}, "colour"),
        ("/orders", {}, "give an AOI, a tile such as 32TQM, or products"),
        ("/orders", {"aoi": FIELD, "tile": "32TNR"}, "give either an AOI or a tile, not both"),
        ("/orders", {"tile": "32TZZ"}, "32TZZ"),
        ("/orders", {"aoi": FIELD, "products": ["S2A_none"]}, "'S2A_none' is not in the catalog"),
        (
            "/orders",
            {"aoi": FIELD, "products": ["S2A_none"], "level": "L2A"},
            "so level would choose nothing",
        ),
        ("/orders", {"aoi": FIELD, "level": "L3A"}, "'L3A' does not exist"),
        ("/orders", {"aoi": FIELD, "min_clear": 101}, "min_clear is a percentage from 0 to 100, not 101"),
        ("/orders/estimate", {"aoi": FIELD, "max_cloud": -1}, "max_cloud is a percentage"),
        ("/orders", [1], "Expected `object`"),
        ("/orders", {"aoi": FIELD, "resolution_m": 0.1}, "resolution"),
        ("/subscriptions", {**WATCH, "name": ""}, "1 to 200 characters"),
        ("/subscriptions", {**WATCH, "webhooks": ["https://10.0.0.1/x"]}, "10.0.0.1"),
        (
            "/subscriptions",
            {**WATCH, "webhooks": ["https://metadata.google.internal/"]},
            "metadata.google.internal",
        ),
        ("/subscriptions", {**WATCH, "files": ["../x"]}, "file channel's name"),
        ("/subscriptions", {**WATCH, "level": "L9"}, "L9"),
        ("/subscriptions", {**WATCH, "max_cloud": 101}, "percentage"),
    ],
)
def test_bad_input_is_a_problem_in_one_sentence(client, path, body, says):
    answer = client.post(path, json=body)
    assert answer.status_code == 422 and answer.content_type == "application/problem+json"
    assert (
        says in answer.json["detail"] and "Traceback" not in answer.text and "\n" not in answer.json["detail"]
    )
    assert (
        answer.json["status"] == 422
        and answer.json["instance"] == path
        and answer.json["request_id"] == answer.headers["X-Request-Id"]
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"aoi": {"type": "Polygon", "coordinates": [[[NaN, 1]]]}}',
        "{",
        '"' + "[" * 100,
        "[" * 100_000,
        "\xff",
    ],
)
def test_a_body_that_is_no_json_is_refused(client, text):
    answer = client.post("/orders", data=text.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 422 and answer.content_type == "application/problem+json"


def test_what_is_too_large_not_json_or_not_there_is_a_problem_too(client):
    large = client.post("/orders", data=b" " * 1_000_001, content_type="application/json")
    assert (large.status_code, large.content_type) == (413, "application/problem+json")
    assert client.post("/orders", data="x", content_type="text/plain").status_code == 415
    assert client.get("/nowhere").json["title"] == "Not Found"
    assert client.put("/orders").status_code == 405
    assert client.get("/orders/order_1").status_code == 404


def test_a_fault_of_ours_tells_nothing_but_its_id(client, backend, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("the secret of the server")

    monkeypatch.setattr("revisit.api.routes.orders.list_order_page", broken)
    answer = client.get("/orders")
    assert answer.status_code == 500 and "secret" not in answer.text and answer.json["request_id"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "169.254.169.254"]
)
def test_a_request_for_another_host_is_refused(client, host):
    assert client.get("/health", headers={"Host": host}).status_code == 403


def test_requests_for_this_computer_are_let_in(client):
    assert [
        client.get("/health", headers={"Host": host}).status_code
        for host in ("localhost", "127.0.0.1:8787", "[::1]:8787")
    ] == [200] * 3


def test_a_page_of_another_origin_may_change_nothing(client):
    assert (
        client.post("/subscriptions", json=WATCH, headers={"Origin": "https://evil.example"}).status_code
        == 403
    )
    assert client.post("/subscriptions", json=WATCH, headers={"Origin": "http://["}).status_code == 403
    assert client.post("/subscriptions", json=WATCH, headers={"Origin": "null"}).status_code == 403
    assert (
        client.post("/subscriptions", json=WATCH, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    )
    assert (
        client.post("/subscriptions", json=WATCH, headers={"Origin": "http://localhost"}).status_code == 201
    )
