"""stac:URL#collection against recorded answers of real servers, and against servers that fail."""

import copy
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from data import shared_data
from revisit.catalog_schema import SCHEMA, to_products
from revisit.errors import BadInput, GiveUp, Retry
from revisit.ports import Listing, Query
from revisit.product import Product
from revisit.sources import http_json, open_source, stac_api
from revisit.sources.stac_api import StacApi

NOW = datetime(2020, 3, 6, 12, tzinfo=UTC)
Answer = tuple[int, bytes, dict[str, str]]


class Server:
    """A STAC API on this computer that answers by a script, then by its function."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        """Method, path, body."""
        self.script: list[Answer | Callable[[Any], Answer]] = []
        """Answers given first."""
        self.answer: Callable[[str, Any], Answer] = lambda path, body: json_answer(collection([]))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def do_GET(self) -> None:
                self.reply(None)

            def reply(self, body: Any) -> None:
                outer.asked.append((self.command, self.path, body))
                scripted = outer.script.pop(0) if outer.script else None
                status, content, headers = (scripted(body) if callable(scripted) else scripted) or outer.answer(self.path, body)
                self.send_response(status)
                for name, value in ({"content-length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def bodies(self) -> list[Any]:
        return [body for method, _, body in self.asked if method == "POST"]


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def source(server: Server, waits: list[float]) -> StacApi:
    return StacApi(f"{server.url}#sentinel-2-l2a", waits.append)


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    return status, json.dumps(value).encode(), headers


def collection(features: list[Any], **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features, "links": [], **more}


def recorded(name: str) -> dict[str, Any]:
    path = shared_data("stac", name)
    read = json.loads(gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_text())
    if "response" in read:
        read = read["response"].get("body", read["response"])
        read = json.loads(read) if isinstance(read, str) else read
    return read


def two_pages(path: str, body: Any) -> Answer:
    """As Earth Search answered: two pages with tokens, whose second still names a next one, which is empty."""
    first, second = recorded("earthsearch_v1_l2a_paged_1.json"), recorded("earthsearch_v1_l2a_paged_2.json")
    token = {None: first, first["links"][0]["body"]["next"]: second}
    assert body["collections"] == ["sentinel-2-l2a"]
    return json_answer(token.get(body.get("next"), collection([])))


def all_unseen(ids: Any) -> Any:
    return np.ones(len(ids), dtype=bool)


def products(listing: Listing) -> list[Product]:
    tables = list(listing.batches)
    assert all(table.schema == SCHEMA and 0 < table.num_rows <= 10_000 for table in tables)
    return [product for table in tables for product in to_products(table)]


def made(number: int, day: datetime = NOW) -> dict[str, Any]:
    """An item of our own, told apart by its number."""
    item = copy.deepcopy(recorded("earthsearch_v1_l2a_paged_1.json")["features"][0])
    item["id"] = f"S2A_32TMT_20200305_{number}_L2A"
    item["properties"]["datetime"] = day.isoformat()
    return item


# -------------------------------------------------------------------------------------------------------- recorded answers


def test_two_real_pages_are_sixteen_products(server, source):
    server.answer = two_pages
    listing = source.listing({}, all_unseen, NOW)
    found = products(listing)
    assert (len(found), listing.rows, listing.rejections) == (16, 16, 0)
    assert {product.tile for product in found} == {"32TMT", "32TNT", "32UMU", "32UNU"}
    assert all(product.source == f"stac:{server.url}#sentinel-2-l2a" == source.spec for product in found)
    assert len({product.acquisition for product in found}) == 8
    assert listing.state == {"watermark": "2020-03-05T10:37:41.587000Z", "swept": "2020-03-06T12:00:00Z"}
    assert server.bodies[0]["datetime"] == "2020-02-25T12:00:00Z/.."
    assert server.bodies[0]["fields"]["exclude"] == ["assets", "links"]


def test_a_second_listing_adds_nothing_and_reads_from_a_day_before_the_watermark(server, source):
    server.answer = two_pages
    first = source.listing({}, all_unseen, NOW)
    known = {product.id for product in products(first)}
    second = source.listing(first.state, lambda ids: np.array([id not in known for id in ids]), NOW + timedelta(hours=1))
    assert products(second) == []
    assert second.rows == 16
    assert server.bodies[-1]["collections"] == ["sentinel-2-l2a"]
    assert server.bodies[3]["datetime"] == "2020-03-04T10:37:41Z/.."
    assert second.state == first.state


def test_all_of_the_last_ten_days_is_read_once_a_day(server, source):
    server.answer = two_pages
    first = source.listing({}, all_unseen, NOW)
    products(first)
    next_day = source.listing(first.state, all_unseen, NOW + timedelta(hours=25))
    products(next_day)
    assert server.bodies[3]["datetime"] == "2020-02-26T13:00:00Z/.."
    assert next_day.state["swept"] == "2020-03-07T13:00:00Z"
    long_after = source.listing(first.state, all_unseen, NOW + timedelta(days=30))
    products(long_after)
    assert server.bodies[6]["datetime"] == "2020-03-04T10:37:41Z/.."


def test_a_first_listing_may_begin_further_back(server, source):
    server.answer = two_pages
    listing = source.listing({"from": "2019-01-01T00:00:00Z"}, all_unseen, NOW)
    assert len(products(listing)) == 16
    assert server.bodies[0]["datetime"] == "2019-01-01T00:00:00Z/.."
    assert "from" not in listing.state


@pytest.mark.parametrize(("name", "count"), [
    ("earthsearch_v0_100_items.json.gz", 100), ("odc_site1_strip_africa_9_items.json", 9), ("earthsearch_v1_c1_l2a_1.json", 10),
    ("eodag_earth_search_search.json", 1), ("rustac_search-page-1.json", 1), ("earthsearch_v0_1.json", 1),
])  # fmt: skip
def test_every_recorded_answer_is_understood(server, source, name, count):
    server.script = [json_answer({**recorded(name), "links": []})]
    listing = source.listing({}, all_unseen, datetime(2026, 1, 1, tzinfo=UTC))
    assert (len(products(listing)), listing.rejections) == (count, 0)


def test_next_pages_by_token_and_by_query_string_are_asked_of_the_same_address(server, source):
    """Planetary Computer's next link carries a token in its body, eodag's a query string; neither address is followed."""
    pages = [recorded("rustac_search-page-1.json"), recorded("rustac_search-page-2.json")]
    get = {"rel": "next", "method": "GET", "href": "https://elsewhere.example/search?collections=sentinel-2-l2a&limit=1&next=abc&evil=1"}
    server.script = [json_answer(pages[0]), json_answer({**pages[1], "links": [get]}), json_answer(collection([]))]
    assert len(products(source.listing({}, all_unseen, datetime(2026, 1, 1, tzinfo=UTC)))) == 2
    assert server.bodies[1]["token"] == "next:S2A_MSIL2A_20230216T150721_R082_T19PHS_20230217T082924"
    assert server.bodies[2]["next"] == "abc"
    assert "evil" not in server.bodies[2]
    assert {path for _, path, _ in server.asked} == {"/search"}


def test_bands_are_read_from_the_item(server, source):
    item = recorded("earthsearch_v1_l2a_paged_1.json")["features"][0]
    server.answer = lambda path, body: json_answer(item) if path == f"/collections/sentinel-2-l2a/items/{item['id']}" else two_pages(path, body)
    first = products(source.listing({}, all_unseen, NOW))[0]
    assert first.href == f"{server.url}/collections/sentinel-2-l2a/items/{item['id']}"
    files = source.bands(first)
    assert files["B04"].href == "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs/32/T/MT/2020/3/S2A_32TMT_20200305_1_L2A/B04.tif"
    assert (files["B04"].offset, files["SCL"].scale) == (0.0, 1.0)


def test_the_apis_own_host_may_serve_the_bands_and_no_other(server, source):
    item = made(1)
    item["assets"] = {"red": {"href": "../../../files/B04.tif"}, "nir": {"href": "http://127.0.0.1:9/B08.tif"},
                      "blue": {"href": f"{server.url}/B02.tif"}}  # fmt: skip
    server.answer = lambda path, body: json_answer(item)
    product = Product("x", source.spec, "L2A", "S2A", "32TMT", NOW, "", 0, 0, 0, 0, href=f"{server.url}/collections/sentinel-2-l2a/items/x")
    assert {band: file.href for band, file in source.bands(product).items()} == {
        "B02": f"{server.url}/B02.tif", "B04": f"{server.url}/files/B04.tif"}  # fmt: skip
    item["assets"] = {"nir": {"href": "http://127.0.0.1:9/B08.tif"}}
    with pytest.raises(GiveUp, match="outside the places"):
        source.bands(product)


def test_a_product_of_elsewhere_is_refused_without_a_request(server, source):
    for href in ("http://127.0.0.1:9/item", f"{server.url}.evil.example/x", "file:///etc/passwd", ""):
        with pytest.raises(GiveUp, match="is not an item of"):
            source.bands(Product("x", source.spec, "L2A", "S2A", "32TMT", NOW, "", 0, 0, 0, 0, href=href))
    assert server.asked == []


# ---------------------------------------------------------------------------------------------------------------- history


def test_the_past_of_a_place_is_found_without_touching_the_watermark(server, source):
    server.answer = two_pages
    listing = source.history(Query(bounds=(9, 47, 10, 48), start=datetime(2020, 3, 1, tzinfo=UTC), end=datetime(2020, 3, 5, 23, 59, 59, 999_999, tzinfo=UTC)), all_unseen)
    assert len(products(listing)) == 16
    assert (server.bodies[0]["bbox"], server.bodies[0]["datetime"]) == ([9, 47, 10, 48], "2020-03-01T00:00:00Z/2020-03-06T00:00:00Z")
    assert listing.state == {}


def test_a_place_across_the_antimeridian_is_asked_for_in_two_boxes(server, source):
    items = {"type": "FeatureCollection", "features": recorded("earthsearch_v0_100_items.json.gz")["features"]}
    server.answer = lambda path, body: json_answer(items if "page" not in body else collection([]))
    listing = source.history(Query(bounds=(175.0, -75.0, -175.0, -70.0)), all_unseen)
    found = products(listing)
    assert [body["bbox"] for body in server.bodies] == [[175.0, -75.0, 180.0, -70.0], [-180.0, -75.0, -175.0, -70.0]]
    assert len(found) == len({product.id for product in found}) == 100
    assert "datetime" not in server.bodies[0]


def test_the_past_of_a_tile_is_asked_for_by_its_footprint(server, source):
    server.answer = two_pages
    found = products(source.history(Query(tiles=("32TNT",)), all_unseen))
    assert {product.tile for product in found} == {"32TNT"}
    west, south, east, north = server.bodies[0]["bbox"]
    assert west == pytest.approx(9.0, abs=0.01)
    assert 1.4 < east - west < 1.5
    assert 0.95 < north - south < 1.05


def test_the_past_is_asked_for_by_place(source):
    with pytest.raises(BadInput, match="give bounds or tiles"):
        source.history(Query(start=NOW), all_unseen)


def test_a_past_without_end_is_refused(server, source, monkeypatch):
    monkeypatch.setattr(stac_api, "HISTORY_LIMIT", 15)
    server.answer = two_pages
    with pytest.raises(GiveUp, match="ask for a shorter period"):
        products(source.history(Query(bounds=(9, 47, 10, 48)), all_unseen))


# ----------------------------------------------------------------------------------------------------------------- faults


FAULTS: dict[str, Answer] = {
    "500": (500, b"{}", {}),
    "503": (503, b"", {"retry-after": "7"}),
    "429": (429, b"", {}),
    "truncated JSON": (200, b'{"type": "FeatureCollection", "features": [{"id": "S2A', {}),
    "cut off": (200, b'{"type"', {"content-length": "5000"}),
    "HTML": (200, b"<html>maintenance</html>", {"content-type": "text/html"}),
    "empty body": (200, b"", {}),
    "not text": (200, b"\xff\xfe\0\0", {}),
    "broken gzip": (200, b"nonsense", {"content-encoding": "gzip"}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_that_passes_is_waited_for(server, source, waits, fault):
    server.answer = two_pages
    server.script = [fault, fault]
    assert len(products(source.listing({}, all_unseen, NOW))) == 16
    assert waits == ([7.0, 7.0] if "retry-after" in fault[2] else [1.0, 4.0])
    assert [body["limit"] for body in server.bodies[:3]] == [500, 500, 500]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_that_stays_is_a_retry_after_ever_smaller_pages(server, source, fault):
    server.answer = lambda path, body: fault
    listing = source.listing({"watermark": "2020-03-05T00:00:00Z", "swept": "2020-03-06T00:00:00Z"}, all_unseen, NOW)
    with pytest.raises(Retry, match="tried again later"):
        products(listing)
    assert [body["limit"] for body in server.bodies[::3]] == [500, 250, 125, 62, 31, 15]
    assert listing.state == {}


def test_pages_too_large_for_the_server_are_asked_for_smaller(server, source):
    """Earth Search's answers fail above a size (DS-10); here above 100 items."""
    def picky(path: str, body: Any) -> Answer:
        return (502, b"", {}) if body["limit"] > 100 else two_pages(path, body)

    server.answer = picky
    assert len(products(source.listing({}, all_unseen, NOW))) == 16
    assert [body["limit"] for body in server.bodies if body["limit"] <= 100] == [62, 62, 62]


def test_pages_that_are_numbered_keep_their_size(server, source):
    numbered = {"rel": "next", "method": "POST", "body": {"collections": ["sentinel-2-l2a"], "page": 2, "limit": 500}}
    server.script = [json_answer(collection([made(1)], links=[numbered]))]
    server.answer = lambda path, body: (500, b"", {})
    with pytest.raises(Retry):
        products(source.listing({}, all_unseen, NOW))
    assert {body["limit"] for body in server.bodies} == {500}


def test_a_retry_after_that_is_no_number_is_passed_over(server, source, waits):
    server.script = [(503, b"", {"retry-after": "\xb2"}), json_answer(collection([made(1)]))]
    assert len(products(source.listing({}, all_unseen, NOW))) == 1
    assert waits == [1.0]


def test_a_long_retry_after_is_left_to_the_next_refresh(server, source, waits):
    server.answer = lambda path, body: (429, b"", {"retry-after": "3600"})
    with pytest.raises(Retry):
        products(source.listing({}, all_unseen, NOW))
    assert waits == []


def test_what_was_read_before_a_fault_is_kept_and_the_watermark_stays(server, source, monkeypatch):
    monkeypatch.setattr(stac_api, "BATCH", 5)
    first = two_pages("", {"collections": ["sentinel-2-l2a"]})
    server.script = [first]
    server.answer = lambda path, body: (500, b"", {})
    listing = source.listing({}, all_unseen, NOW)
    kept = []
    with pytest.raises(Retry):
        kept.extend(listing.batches)
    assert sum(table.num_rows for table in kept) == 10
    assert listing.state == {}


def test_an_answer_too_slow_or_too_large_is_broken_off(server, source, monkeypatch):
    monkeypatch.setattr(http_json, "MAX_BYTES", 1000)
    server.answer = two_pages
    with pytest.raises(Retry, match="more than 1,000 bytes"):
        products(source.listing({}, all_unseen, NOW))
    monkeypatch.setattr(http_json, "MAX_BYTES", 50_000_000)
    monkeypatch.setattr(http_json, "TOTAL_S", 0.0)
    with pytest.raises(Retry, match="takes longer"):
        products(source.listing({}, all_unseen, NOW))


def test_a_server_that_is_silent_or_gone_is_a_retry(monkeypatch, waits):
    import socket

    monkeypatch.setattr(http_json, "READ_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = StacApi(f"http://127.0.0.1:{silent.getsockname()[1]}#c", waits.append)
        with pytest.raises(Retry, match="does not answer in time"):
            source._http.json("POST", f"{source.url}/search", {})
    with pytest.raises(Retry, match="cannot be reached"):
        source._http.json("POST", f"{source.url}/search", {})


@pytest.mark.parametrize(("status", "headers", "message"), [
    (301, {"location": "https://elsewhere.example"}, "has moved to https://elsewhere.example"),
    (302, {"location": "http://169.254.169.254/"}, "has moved to"),
    (403, {}, "asks for credentials"), (404, {}, "check the address and the collection"), (400, {}, "check the address"),
])  # fmt: skip
def test_a_refusal_is_final_and_no_redirect_is_followed(server, source, waits, status, headers, message):
    server.answer = lambda path, body: (status, b"", headers)
    with pytest.raises(GiveUp, match=message):
        products(source.listing({}, all_unseen, NOW))
    assert (len(server.asked), waits) == (1, [])


@pytest.mark.parametrize("shape", [[], {}, {"type": "FeatureCollection"}, {"features": None}, {"features": {}}, {"value": []}, 7, None, "text"])
def test_another_shape_is_loud(server, source, shape):
    server.answer = lambda path, body: json_answer(shape)
    with pytest.raises(GiveUp, match="does not answer with a FeatureCollection"):
        products(source.listing({}, all_unseen, NOW))


def test_items_none_of_which_is_understood_are_loud_and_single_ones_are_counted(server, source):
    broken = [{"id": ["a"]}, {"type": "Feature", "id": "b", "properties": {"date": "2020"}}, None, 7]
    server.script = [json_answer(collection(broken))]
    with pytest.raises(GiveUp, match="none is understood"):
        products(source.listing({}, all_unseen, NOW))
    server.script = [json_answer(collection([*broken, made(1)]))]
    listing = source.listing({}, all_unseen, NOW)
    assert [product.id for product in products(listing)] == ["S2A_32TMT_20200305_1_L2A"]
    assert listing.rejections == 4


def test_nothing_where_there_was_something_is_an_error(server, source):
    listing = source.listing({}, all_unseen, NOW)
    assert products(listing) == []
    assert server.asked[-1][:2] == ("GET", "/collections/sentinel-2-l2a")
    server.script = [json_answer(collection([])), (404, b"", {})]
    with pytest.raises(GiveUp, match="check the address and the collection"):
        products(source.listing({}, all_unseen, NOW))
    listing = source.listing({"watermark": "2020-03-05T10:37:41Z", "swept": "2020-03-06T00:00:00Z"}, all_unseen, NOW)
    with pytest.raises(GiveUp, match="lists nothing since 2020-03-04T10:37:41Z"):
        products(listing)


def test_a_page_that_names_itself_as_the_next_ends(server, source):
    link = {"rel": "next", "method": "POST", "body": {"collections": ["sentinel-2-l2a"], "next": "x"}}
    server.answer = lambda path, body: json_answer(collection([made(1)], links=[link]))
    with pytest.raises(GiveUp, match="the same next page again"):
        products(source.listing({}, all_unseen, NOW))


def test_an_item_on_two_pages_is_listed_once(server, source, monkeypatch):
    monkeypatch.setattr(stac_api, "BATCH", 2)
    link = {"rel": "next", "merge": True, "body": {"next": "x"}}
    server.script = [json_answer(collection([made(1), made(2), made(3)], links=[link])), json_answer(collection([made(3), made(2), made(4)]))]
    listing = source.listing({}, all_unseen, NOW)
    assert [product.id[-5] for product in products(listing)] == ["1", "2", "3", "4"]
    assert listing.rows == 4
    assert server.bodies[1]["datetime"] == server.bodies[0]["datetime"]


def test_a_date_in_the_future_does_not_move_the_watermark_past_the_present(server, source):
    server.script = [json_answer(collection([made(1, NOW - timedelta(hours=1)), made(2, NOW + timedelta(days=900))]))]
    listing = source.listing({}, all_unseen, NOW)
    assert len(products(listing)) == 2
    assert listing.state["watermark"] == "2020-03-06T11:00:00Z"


def test_one_small_question_tells_whether_the_collection_is_there(server, source):
    source.check()
    server.answer = lambda path, body: (404, b"", {})
    with pytest.raises(GiveUp, match="check the address and the collection"):
        source.check()
    assert [asked[:2] for asked in server.asked] == [("GET", "/collections/sentinel-2-l2a")] * 2


def test_a_next_page_of_another_collection_is_refused(server, source):
    link = {"rel": "next", "body": {"collections": ["landsat"], "next": "x"}}
    server.script = [json_answer(collection([made(1)], links=[link]))]
    with pytest.raises(GiveUp, match="of another collection"):
        products(source.listing({}, all_unseen, NOW))


def test_a_next_page_without_an_address_is_the_same_question_again(server, source):
    link = {"rel": "next", "href": "http://[?token=x"}
    server.script = [json_answer(collection([made(1)], links=[link])), json_answer(collection([made(2)]))]
    assert len(products(source.listing({}, all_unseen, NOW))) == 2
    assert server.bodies[1]["token"] == "x"


def test_a_band_whose_address_is_none_is_left_out_with_the_reason(server, source):
    item = made(1) | {"assets": {"red": {"href": "https://[/B04.tif", "type": "image/tiff"}}}
    server.script = [json_answer(item)]
    with pytest.raises(GiveUp, match="is not an address"):
        source.bands(Product("x", source.spec, "L2A", "S2A", "32TMT", NOW, "", 0, 0, 0, 0, href=f"{server.url}/collections/c/items/x"))


def test_the_default_live_source_is_one():
    from revisit.sources import EARTH_SEARCH

    source = open_source(EARTH_SEARCH)
    assert source.spec == EARTH_SEARCH
    assert source.announces_all is False


def test_a_refresh_survives_every_fault_with_its_rows_and_its_watermark(server, tmp_path, monkeypatch):
    """F11: old data stays, the watermark does not move, and what was published meanwhile is found once the server mends."""
    from revisit.bookkeeping import SourceState
    from revisit.local.backend import local_backend
    from revisit.refreshing import refresh_source

    monkeypatch.setattr(http_json, "WAITS_S", (0.0, 0.0))
    monkeypatch.setattr(stac_api, "PAGE", 30)
    clock = [NOW]
    spec = f"stac:{server.url}#sentinel-2-l2a"
    backend = local_backend(tmp_path, (spec,), lambda: clock[0])

    def rows() -> int:
        return len(backend.catalog().search(Query(source=spec)).products)

    server.answer = two_pages
    assert refresh_source(backend, spec).new == rows() == 16
    shapes = [json_answer(shape) for shape in ([], {"value": []}, collection([]), collection([{"id": "x"}]))]
    before = backend.records.get(SourceState, spec)
    for number, fault in enumerate([*FAULTS.values(), *shapes, (404, b"", {})]):
        clock[0] += timedelta(minutes=15)
        server.answer = lambda path, body, fault=fault: fault if "retry-after" not in fault[2] else (503, b"", {})
        with pytest.raises((Retry, GiveUp)):
            refresh_source(backend, spec)
        assert backend.records.get(SourceState, spec) == before
        assert rows() == 16 + number
        server.answer = lambda path, body, item=made(100 + number): json_answer(collection([item])) if "next" not in body else two_pages(path, body)
        assert refresh_source(backend, spec).new == 1
        before = backend.records.get(SourceState, spec)
    assert rows() == 16 + number + 1
