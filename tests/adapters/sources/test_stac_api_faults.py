"""Source stac:URL#collection against failing servers and invalid responses."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from revisit.adapters.sources import json_client, stac_api
from revisit.adapters.sources.stac_api import StacApi
from revisit.domain.product import Product
from revisit.errors import PermanentError, TransientError
from revisit.ports.catalog import Query
from stac_server import (
    NOW,
    Answer,
    all_unseen,
    answer_two_pages,
    feature_collection,
    json_response,
    listed_products,
    make_item,
)

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
def test_a_transient_fault_is_retried(server, source, waits, fault):
    server.answer = answer_two_pages
    server.script = [fault, fault]
    assert len(listed_products(source.list_products({}, all_unseen, NOW))) == 16
    assert waits == ([7.0, 7.0] if "retry-after" in fault[2] else [1.0, 4.0])
    assert [body["limit"] for body in server.bodies[:3]] == [500, 500, 500]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_lasting_fault_is_a_transient_error_after_ever_smaller_pages(server, source, fault):
    server.answer = lambda path, body: fault
    listing = source.list_products(
        {"watermark": "2020-03-05T00:00:00Z", "swept": "2020-03-06T00:00:00Z"}, all_unseen, NOW
    )
    with pytest.raises(TransientError, match="retried later"):
        listed_products(listing)
    assert [body["limit"] for body in server.bodies[::3]] == [500, 250, 125, 62, 31, 15]
    assert listing.state == {}


def test_pages_too_large_for_the_server_are_requested_smaller(server, source):
    """Earth Search's answers fail above a size (DS-10); here above 100 items."""

    def picky(path: str, body: Any) -> Answer:
        return (502, b"", {}) if body["limit"] > 100 else answer_two_pages(path, body)

    server.answer = picky
    assert len(listed_products(source.list_products({}, all_unseen, NOW))) == 16
    assert [body["limit"] for body in server.bodies if body["limit"] <= 100] == [62, 62, 62]


def test_pages_that_are_numbered_keep_their_size(server, source):
    numbered = {
        "rel": "next",
        "method": "POST",
        "body": {"collections": ["sentinel-2-l2a"], "page": 2, "limit": 500},
    }
    server.script = [json_response(feature_collection([make_item(1)], links=[numbered]))]
    server.answer = lambda path, body: (500, b"", {})
    with pytest.raises(TransientError):
        listed_products(source.list_products({}, all_unseen, NOW))
    assert {body["limit"] for body in server.bodies} == {500}


def test_an_invalid_retry_after_is_ignored(server, source, waits):
    server.script = [(503, b"", {"retry-after": "\xb2"}), json_response(feature_collection([make_item(1)]))]
    assert len(listed_products(source.list_products({}, all_unseen, NOW))) == 1
    assert waits == [1.0]


def test_a_long_retry_after_is_left_to_the_next_refresh(server, source, waits):
    server.answer = lambda path, body: (429, b"", {"retry-after": "3600"})
    with pytest.raises(TransientError):
        listed_products(source.list_products({}, all_unseen, NOW))
    assert waits == []


def test_what_was_read_before_a_fault_is_kept_and_the_watermark_stays(server, source, monkeypatch):
    monkeypatch.setattr(stac_api, "BATCH_ROWS", 5)
    first = answer_two_pages("", {"collections": ["sentinel-2-l2a"]})
    server.script = [first]
    server.answer = lambda path, body: (500, b"", {})
    listing = source.list_products({}, all_unseen, NOW)
    kept = []
    with pytest.raises(TransientError):
        kept.extend(listing.batches)
    assert sum(table.num_rows for table in kept) == 10
    assert listing.state == {}


def test_a_response_too_slow_or_too_large_is_aborted(server, source, monkeypatch):
    monkeypatch.setattr(json_client, "MAX_RESPONSE_BYTES", 1000)
    server.answer = answer_two_pages
    with pytest.raises(TransientError, match="more than 1,000 bytes"):
        listed_products(source.list_products({}, all_unseen, NOW))
    monkeypatch.setattr(json_client, "MAX_RESPONSE_BYTES", 50_000_000)
    monkeypatch.setattr(json_client, "TOTAL_TIMEOUT_S", 0.0)
    with pytest.raises(TransientError, match="takes longer"):
        listed_products(source.list_products({}, all_unseen, NOW))


def test_a_silent_or_missing_server_is_a_transient_error(monkeypatch, waits):
    import socket

    monkeypatch.setattr(json_client, "READ_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = StacApi(f"http://127.0.0.1:{silent.getsockname()[1]}#c", waits.append)
        with pytest.raises(TransientError, match="does not answer in time"):
            source._http.request_json("POST", f"{source.url}/search", {})
    with pytest.raises(TransientError, match="cannot be reached"):
        source._http.request_json("POST", f"{source.url}/search", {})


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (301, {"location": "https://elsewhere.example"}, "has moved to https://elsewhere.example"),
        (302, {"location": "http://169.254.169.254/"}, "has moved to"),
        (403, {}, "asks for credentials"),
        (404, {}, "check the address and the collection"),
        (400, {}, "check the address"),
    ],
)
def test_a_refusal_is_final_and_no_redirect_is_followed(server, source, waits, status, headers, message):
    server.answer = lambda path, body: (status, b"", headers)
    with pytest.raises(PermanentError, match=message):
        listed_products(source.list_products({}, all_unseen, NOW))
    assert (len(server.requests), waits) == (1, [])


@pytest.mark.parametrize(
    "shape",
    [
        [],
        {},
        {"type": "FeatureCollection"},
        {"features": None},
        {"features": {}},
        {"value": []},
        7,
        None,
        "text",
    ],
)
def test_an_unknown_response_is_an_error(server, source, shape):
    server.answer = lambda path, body: json_response(shape)
    with pytest.raises(PermanentError, match="does not answer with a FeatureCollection"):
        listed_products(source.list_products({}, all_unseen, NOW))


def test_only_invalid_items_are_an_error_and_single_ones_are_counted(server, source):
    broken = [{"id": ["a"]}, {"type": "Feature", "id": "b", "properties": {"date": "2020"}}, None, 7]
    server.script = [json_response(feature_collection(broken))]
    with pytest.raises(PermanentError, match="none is valid"):
        listed_products(source.list_products({}, all_unseen, NOW))
    server.script = [json_response(feature_collection([*broken, make_item(1)]))]
    listing = source.list_products({}, all_unseen, NOW)
    assert [product.id for product in listed_products(listing)] == ["S2A_32TMT_20200305_1_L2A"]
    assert listing.rejection_count == 4


def test_an_empty_listing_after_a_full_one_is_an_error(server, source):
    listing = source.list_products({}, all_unseen, NOW)
    assert listed_products(listing) == []
    assert server.requests[-1][:2] == ("GET", "/collections/sentinel-2-l2a")
    server.script = [json_response(feature_collection([])), (404, b"", {})]
    with pytest.raises(PermanentError, match="check the address and the collection"):
        listed_products(source.list_products({}, all_unseen, NOW))
    listing = source.list_products(
        {"watermark": "2020-03-05T10:37:41Z", "swept": "2020-03-06T00:00:00Z"}, all_unseen, NOW
    )
    with pytest.raises(PermanentError, match="lists nothing since 2020-03-04T10:37:41Z"):
        listed_products(listing)


def test_a_page_that_names_itself_as_the_next_ends(server, source):
    link = {"rel": "next", "method": "POST", "body": {"collections": ["sentinel-2-l2a"], "next": "x"}}
    server.answer = lambda path, body: json_response(feature_collection([make_item(1)], links=[link]))
    with pytest.raises(PermanentError, match="the same next page again"):
        listed_products(source.list_products({}, all_unseen, NOW))


def test_a_date_in_the_future_does_not_move_the_watermark_past_the_present(server, source):
    server.script = [
        json_response(
            feature_collection(
                [make_item(1, NOW - timedelta(hours=1)), make_item(2, NOW + timedelta(days=900))]
            )
        )
    ]
    listing = source.list_products({}, all_unseen, NOW)
    assert len(listed_products(listing)) == 2
    assert listing.state["watermark"] == "2020-03-06T11:00:00Z"


def test_a_next_page_of_another_collection_is_refused(server, source):
    link = {"rel": "next", "body": {"collections": ["landsat"], "next": "x"}}
    server.script = [json_response(feature_collection([make_item(1)], links=[link]))]
    with pytest.raises(PermanentError, match="of another collection"):
        listed_products(source.list_products({}, all_unseen, NOW))


def test_a_next_link_without_an_address_repeats_the_search(server, source):
    link = {"rel": "next", "href": "http://[?token=x"}
    server.script = [
        json_response(feature_collection([make_item(1)], links=[link])),
        json_response(feature_collection([make_item(2)])),
    ]
    assert len(listed_products(source.list_products({}, all_unseen, NOW))) == 2
    assert server.bodies[1]["token"] == "x"


def test_a_band_with_an_invalid_address_is_left_out_with_the_reason(server, source):
    item = make_item(1) | {"assets": {"red": {"href": "https://[/B04.tif", "type": "image/tiff"}}}
    server.script = [json_response(item)]
    with pytest.raises(PermanentError, match="is not a URL"):
        source.bands(
            Product(
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
                href=f"{server.url}/collections/c/items/x",
            )
        )


def test_a_refresh_survives_every_fault_with_its_rows_and_its_watermark(server, tmp_path, monkeypatch):
    """Data and watermark stay, and products published meanwhile are found once the server works again."""
    from revisit.adapters.local.backend import local_backend
    from revisit.chain.refresh import refresh_source
    from revisit.ports.system_records import SourceState

    monkeypatch.setattr(json_client, "RETRY", replace(json_client.RETRY, first_delay_s=0.0))
    monkeypatch.setattr(stac_api, "PAGE_SIZE", 30)
    clock = [NOW]
    spec = f"stac:{server.url}#sentinel-2-l2a"
    backend = local_backend(tmp_path, (spec,), lambda: clock[0])

    def rows() -> int:
        return len(backend.catalog().search(Query(source=spec)).products)

    server.answer = answer_two_pages
    assert refresh_source(backend, spec).new == rows() == 16
    shapes = [
        json_response(shape)
        for shape in ([], {"value": []}, feature_collection([]), feature_collection([{"id": "x"}]))
    ]
    before = backend.records.get(SourceState, spec)
    for number, fault in enumerate([*FAULTS.values(), *shapes, (404, b"", {})]):
        clock[0] += timedelta(minutes=15)
        server.answer = lambda path, body, fault=fault: (
            fault if "retry-after" not in fault[2] else (503, b"", {})
        )
        with pytest.raises((TransientError, PermanentError)):
            refresh_source(backend, spec)
        assert backend.records.get(SourceState, spec) == before
        assert rows() == 16 + number
        server.answer = lambda path, body, item=make_item(100 + number): (
            json_response(feature_collection([item])) if "next" not in body else answer_two_pages(path, body)
        )
        assert refresh_source(backend, spec).new == 1
        before = backend.records.get(SourceState, spec)
    assert rows() == 16 + number + 1
