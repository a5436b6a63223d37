"""Source stac:URL#collection against responses in the form of Earth Search and recorded ones."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from revisit.adapters.sources import open_source, stac_api
from revisit.domain.product import Product
from revisit.errors import InvalidInputError, PermanentError
from revisit.ports.catalog import Query
from stac_server import (
    ITEMS,
    NOW,
    all_unseen,
    answer_two_pages,
    answering,
    feature_collection,
    json_response,
    listed_products,
    load_recording,
    make_item,
)

# ---- recorded answers


@pytest.fixture(params=["made", "recorded"])
def both_pages(request):
    if request.param == "made":
        return answer_two_pages
    return answering(
        load_recording("earthsearch_v1_l2a_paged_1.json"), load_recording("earthsearch_v1_l2a_paged_2.json")
    )


def test_two_pages_are_sixteen_products(server, source, both_pages):
    server.answer = both_pages
    listing = source.list_products({}, all_unseen, NOW)
    found = listed_products(listing)
    assert (len(found), listing.rows, listing.rejection_count) == (16, 16, 0)
    assert {product.tile for product in found} == {"32TMT", "32TNT", "32UMU", "32UNU"}
    assert all(product.source == f"stac:{server.url}#sentinel-2-l2a" == source.spec for product in found)
    assert len({product.acquisition for product in found}) == 8
    assert listing.state == {"watermark": "2020-03-05T10:37:41.587000Z", "swept": "2020-03-06T12:00:00Z"}
    assert server.bodies[0]["datetime"] == "2020-02-25T12:00:00Z/.."
    assert server.bodies[0]["fields"]["exclude"] == ["assets", "links"]


def test_a_second_listing_adds_nothing_and_reads_from_a_day_before_the_watermark(server, source):
    server.answer = answer_two_pages
    first = source.list_products({}, all_unseen, NOW)
    known = {product.id for product in listed_products(first)}
    second = source.list_products(
        first.state, lambda ids: np.array([id not in known for id in ids]), NOW + timedelta(hours=1)
    )
    assert listed_products(second) == []
    assert second.rows == 16
    assert server.bodies[-1]["collections"] == ["sentinel-2-l2a"]
    assert server.bodies[3]["datetime"] == "2020-03-04T10:37:41Z/.."
    assert second.state == first.state


def test_all_of_the_last_ten_days_is_read_once_a_day(server, source):
    server.answer = answer_two_pages
    first = source.list_products({}, all_unseen, NOW)
    listed_products(first)
    next_day = source.list_products(first.state, all_unseen, NOW + timedelta(hours=25))
    listed_products(next_day)
    assert server.bodies[3]["datetime"] == "2020-02-26T13:00:00Z/.."
    assert next_day.state["swept"] == "2020-03-07T13:00:00Z"
    long_after = source.list_products(first.state, all_unseen, NOW + timedelta(days=30))
    listed_products(long_after)
    assert server.bodies[6]["datetime"] == "2020-03-04T10:37:41Z/.."


def test_a_first_listing_may_begin_further_back(server, source):
    server.answer = answer_two_pages
    listing = source.list_products({"from": "2019-01-01T00:00:00Z"}, all_unseen, NOW)
    assert len(listed_products(listing)) == 16
    assert server.bodies[0]["datetime"] == "2019-01-01T00:00:00Z/.."
    assert "from" not in listing.state


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("earthsearch_v0_100_items.json.gz", 100),
        ("odc_site1_strip_africa_9_items.json", 9),
        ("earthsearch_v1_c1_l2a_1.json", 10),
        ("eodag_earth_search_search.json", 1),
        ("rustac_search-page-1.json", 1),
        ("earthsearch_v0_1.json", 1),
    ],
)
def test_every_recorded_response_is_parsed(server, source, name, count):
    server.script = [json_response({**load_recording(name), "links": []})]
    listing = source.list_products({}, all_unseen, datetime(2026, 1, 1, tzinfo=UTC))
    assert (len(listed_products(listing)), listing.rejection_count) == (count, 0)


def test_next_pages_by_token_and_by_query_string_are_requested_from_the_same_address(server, source):
    """Planetary Computer's next link carries a token in its body, eodag's a query string; neither address is
    followed."""
    pages = [load_recording("rustac_search-page-1.json"), load_recording("rustac_search-page-2.json")]
    get = {
        "rel": "next",
        "method": "GET",
        "href": "https://elsewhere.example/search?collections=sentinel-2-l2a&limit=1&next=abc&evil=1",
    }
    server.script = [
        json_response(pages[0]),
        json_response({**pages[1], "links": [get]}),
        json_response(feature_collection([])),
    ]
    assert len(listed_products(source.list_products({}, all_unseen, datetime(2026, 1, 1, tzinfo=UTC)))) == 2
    assert server.bodies[1]["token"] == "next:S2A_MSIL2A_20230216T150721_R082_T19PHS_20230217T082924"
    assert server.bodies[2]["next"] == "abc"
    assert "evil" not in server.bodies[2]
    assert {path for _, path, _ in server.requests} == {"/search"}


def test_bands_are_read_from_the_item(server, source):
    item = ITEMS[0]
    server.answer = lambda path, body: (
        json_response(item)
        if path == f"/collections/sentinel-2-l2a/items/{item['id']}"
        else answer_two_pages(path, body)
    )
    first = listed_products(source.list_products({}, all_unseen, NOW))[0]
    assert first.href == f"{server.url}/collections/sentinel-2-l2a/items/{item['id']}"
    files = source.bands(first)
    assert (
        files["B04"].href
        == "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs/32/T/MT/2020/3/S2A_32TMT_20200305_1_L2A/B04.tif"
    )
    assert (files["B04"].offset, files["SCL"].scale) == (0.0, 1.0)


def test_the_apis_own_host_may_serve_the_bands_and_no_other(server, source):
    item = make_item(1)
    item["assets"] = {
        "red": {"href": "../../../files/B04.tif"},
        "nir": {"href": "http://127.0.0.1:9/B08.tif"},
        "blue": {"href": f"{server.url}/B02.tif"},
    }
    server.answer = lambda path, body: json_response(item)
    product = Product(
        "x",
        source.spec,
        "L2A",
        "S2A",
        "32TMT",
        NOW,
        "",
        0,
        0,
        0,
        0,
        href=f"{server.url}/collections/sentinel-2-l2a/items/x",
    )
    assert {band: file.href for band, file in source.bands(product).items()} == {
        "B02": f"{server.url}/B02.tif",
        "B04": f"{server.url}/files/B04.tif",
    }
    item["assets"] = {"nir": {"href": "http://127.0.0.1:9/B08.tif"}}
    with pytest.raises(PermanentError, match="outside the hosts"):
        source.bands(product)


def test_a_product_of_another_source_is_refused_without_a_request(server, source):
    for href in ("http://127.0.0.1:9/item", f"{server.url}.evil.example/x", "file:///etc/passwd", ""):
        with pytest.raises(PermanentError, match="is not an item of"):
            source.bands(Product("x", source.spec, "L2A", "S2A", "32TMT", NOW, "", 0, 0, 0, 0, href=href))
    assert server.requests == []


def test_an_item_on_two_pages_is_listed_once(server, source, monkeypatch):
    monkeypatch.setattr(stac_api, "BATCH_ROWS", 2)
    link = {"rel": "next", "merge": True, "body": {"next": "x"}}
    server.script = [
        json_response(feature_collection([make_item(1), make_item(2), make_item(3)], links=[link])),
        json_response(feature_collection([make_item(3), make_item(2), make_item(4)])),
    ]
    listing = source.list_products({}, all_unseen, NOW)
    assert [product.id[-5] for product in listed_products(listing)] == ["1", "2", "3", "4"]
    assert listing.rows == 4
    assert server.bodies[1]["datetime"] == server.bodies[0]["datetime"]


def test_the_check_requests_the_collection_only(server, source):
    source.check()
    server.answer = lambda path, body: (404, b"", {})
    with pytest.raises(PermanentError, match="check the address and the collection"):
        source.check()
    assert [asked[:2] for asked in server.requests] == [("GET", "/collections/sentinel-2-l2a")] * 2


def test_the_default_live_source_is_valid():
    earth_search = "stac:https://earth-search.aws.element84.com/v1#sentinel-2-l2a"

    source = open_source(earth_search)
    assert source.spec == earth_search
    assert source.announces_all is False


# ---- history


def test_the_history_of_an_area_is_listed_without_moving_the_watermark(server, source):
    server.answer = answer_two_pages
    listing = source.history(
        Query(
            bounds=(9, 47, 10, 48),
            start=datetime(2020, 3, 1, tzinfo=UTC),
            end=datetime(2020, 3, 5, 23, 59, 59, 999_999, tzinfo=UTC),
        ),
        all_unseen,
    )
    assert len(listed_products(listing)) == 16
    assert (server.bodies[0]["bbox"], server.bodies[0]["datetime"]) == (
        [9, 47, 10, 48],
        "2020-03-01T00:00:00Z/2020-03-06T00:00:00Z",
    )
    assert listing.state == {}


def test_an_area_across_the_antimeridian_is_requested_in_two_boxes(server, source):
    items = {
        "type": "FeatureCollection",
        "features": load_recording("earthsearch_v0_100_items.json.gz")["features"],
    }
    server.answer = lambda path, body: json_response(items if "page" not in body else feature_collection([]))
    listing = source.history(Query(bounds=(175.0, -75.0, -175.0, -70.0)), all_unseen)
    found = listed_products(listing)
    assert [body["bbox"] for body in server.bodies] == [
        [175.0, -75.0, 180.0, -70.0],
        [-180.0, -75.0, -175.0, -70.0],
    ]
    assert len(found) == len({product.id for product in found}) == 100
    assert "datetime" not in server.bodies[0]


def test_the_history_of_a_tile_is_requested_by_its_footprint(server, source):
    server.answer = answer_two_pages
    found = listed_products(source.history(Query(tiles=("32TNT",)), all_unseen))
    assert {product.tile for product in found} == {"32TNT"}
    west, south, east, north = server.bodies[0]["bbox"]
    assert west == pytest.approx(9.0, abs=0.01)
    assert 1.4 < east - west < 1.5
    assert 0.95 < north - south < 1.05


def test_the_history_is_requested_by_area(source):
    with pytest.raises(InvalidInputError, match="give bounds or tiles"):
        source.history(Query(start=NOW), all_unseen)


def test_a_history_of_too_many_products_is_refused(server, source, monkeypatch):
    monkeypatch.setattr(stac_api, "MAX_HISTORY_PRODUCTS", 15)
    server.answer = answer_two_pages
    with pytest.raises(PermanentError, match="use a shorter period"):
        listed_products(source.history(Query(bounds=(9, 47, 10, 48)), all_unseen))
