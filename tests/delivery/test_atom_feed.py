"""Atom feed, read back by a parser."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from revisit.delivery.atom_feed import render_feed
from revisit.domain.alert import Alert, alert_id
from revisit.domain.clock import parse_instant
from revisit.domain.job import Cover, Statistics
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
NS = {"a": "http://www.w3.org/2005/Atom"}


def the_subscription(name="Field", **changes) -> Subscription:
    return Subscription(
        "sub_1", name, {}, ("32TNR",), Recipe(indices=("NDVI",)), NOW, feed_token="sub_1-s3cret", **changes
    )


def an_alert(number=1, **changes) -> Alert:
    fields = {
        "id": alert_id("sub_1", str(number)),
        "subscription": "sub_1",
        "number": number,
        "job": f"job_{number}",
        "acquisition": str(number),
        "product": f"P{number}",
        "sensing_time": NOW + timedelta(days=number),
        "created": NOW + timedelta(days=number, hours=3),
        "cover": Cover(aoi=400, valid=300, clear=225),
        "indices": {"NDVI": Statistics(12_345, 0.5, 0.1, -0.25, 0.75, 0.5)},
        **changes,
    }
    return Alert(**fields)


def read(subscription, alerts):
    return ET.fromstring(render_feed(subscription, alerts, "https://revisit.example/api/"))


def texts(feed, path):
    return [element.text for element in feed.findall(path, NS)]


def test_a_feed_has_what_rfc_4287_demands():
    feed = read(the_subscription(), [an_alert(2), an_alert(1)])
    assert feed.tag == "{http://www.w3.org/2005/Atom}feed"
    # Section 4.1.1: exactly one id, title and updated, an author; 4.1.2: the same of each entry, whose author
    # may be the feed's.
    for element in (feed, *feed.findall("a:entry", NS)):
        for name in ("id", "title", "updated"):
            assert len(element.findall(f"a:{name}", NS)) == 1
        assert re.fullmatch(r"tag:[a-z.]+,\d{4}-\d\d-\d\d:\w+", element.findtext("a:id", "", NS))
        assert parse_instant(element.findtext("a:updated", "", NS)).tzinfo is UTC
    assert texts(feed, "a:author/a:name") == ["Revisit"]
    links = [link.attrib for link in feed.findall("a:link", NS)]
    assert links == [
        {
            "rel": "self",
            "type": "application/atom+xml",
            "href": "https://revisit.example/api/feeds/sub_1-s3cret.atom",
        }
    ]
    assert [link.get("href") for link in feed.findall("a:entry/a:link", NS)] == [
        f"https://revisit.example/api/results/job_{number}" for number in (2, 1)
    ]


def test_entries_are_newest_first_and_the_feed_is_as_new_as_they_are():
    feed = read(the_subscription(), [an_alert(2), an_alert(3), an_alert(1)])
    assert texts(feed, "a:entry/a:title") == [
        f"Field #{n}: 2024-07-0{n + 1}, 75 % of your area was seen, 75 % of that clear" for n in (3, 2, 1)
    ]
    assert (
        feed.findtext("a:updated", "", NS)
        == feed.find("a:entry", NS).findtext("a:updated", "", NS)
        == "2024-07-04T15:00:00Z"
    )


def test_only_the_latest_hundred_are_shown():
    feed = read(the_subscription(), [an_alert(number) for number in range(1, 251)])
    assert texts(feed, "a:entry/a:id") == [
        f"tag:revisit.invalid,2024-07-01:{alert_id('sub_1', str(n))}" for n in range(250, 150, -1)
    ]


def test_ids_stay_when_the_feed_moves_or_grows():
    before = texts(
        ET.fromstring(render_feed(the_subscription(), [an_alert(1)], "http://127.0.0.1:8787")), ".//a:id"
    )
    after = texts(read(the_subscription("Renamed"), [an_alert(1), an_alert(2)]), ".//a:id")
    assert before == [after[0], after[2]]


def test_the_summary_contains_the_statistics():
    feed = read(
        the_subscription(), [an_alert(reason="min_clear could not be judged without a mask", backfill=True)]
    )
    assert texts(feed, "a:entry/a:summary") == [
        (
            "P1, sensed 2024-07-02T12:00:00Z. 75 % of your area was seen, 75 % of that clear. "
            "NDVI: mean 0.5000, from -0.2500 to 0.7500, 12,345 pixels. "
            "Note: min_clear could not be judged without a mask."
        )
    ]
    assert [category.get("term") for category in feed.findall("a:entry/a:category", NS)] == ["backfill"]


def test_an_index_without_a_clear_pixel_says_so():
    feed = read(the_subscription(), [an_alert(indices={"NDVI": Statistics(0)}, cover=Cover(0, 0, 0))])
    assert "nothing of your area was seen. NDVI: no clear pixel." in texts(feed, "a:entry/a:summary")[0]


def test_a_feed_without_alerts_is_as_old_as_its_subscription():
    feed = read(the_subscription(), [])
    assert feed.findtext("a:updated", "", NS) == "2024-07-01T12:00:00Z" and not feed.findall("a:entry", NS)


@given(st.text(st.characters(codec=None), min_size=1, max_size=100).filter(lambda text: text.strip()))
def test_a_hostile_name_round_trips_except_for_invalid_xml_characters(name):
    feed = read(the_subscription(name), [an_alert(reason=name)])
    allowed = [
        c
        if c in "\t\n\r" or 0x20 <= ord(c) <= 0xD7FF or 0xE000 <= ord(c) <= 0xFFFD or ord(c) > 0xFFFF
        else "\ufffd"
        for c in name
    ]
    # A parser reads every line end as \n (XML 1.0, section 2.11).
    expected = "".join(allowed).replace("\r\n", "\n").replace("\r", "\n")
    assert (
        feed.findtext("a:title", "", NS).replace("\r\n", "\n").replace("\r", "\n")
        == f"{expected}: clear acquisitions"
    )
    assert len(list(feed.iter())) == 15


def test_markup_in_a_name_is_text():
    raw = render_feed(the_subscription('<script>alert(1)</script> & "]]>'), [], "https://revisit.example")
    assert b"<script" not in raw and b"]]>" not in raw
    assert raw.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
