"""A feed refreshed on every backend: late products are found by the daily look back, and announced once."""

from datetime import UTC, datetime, timedelta

import pytest

from revisit.chain.refresh import refresh_source
from revisit.domain.clock import parse_instant
from revisit.domain.events import ProductNew
from revisit.ports.system_records import SourceState
from samples import subscription
from stac_server import Server, feature_collection, json_response, make_item

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def feed():
    """A STAC API that holds `items`, and answers those of the requested period."""
    server = Server()
    items: list[dict] = []

    def answer(_path, body):
        since = parse_instant(body["datetime"].partition("/")[0])
        return json_response(
            feature_collection(
                [item for item in items if parse_instant(item["properties"]["datetime"]) >= since]
            )
        )

    server.answer = answer
    yield server.url, items
    server.http.shutdown()
    server.http.server_close()


def sensed(day: datetime) -> dict:
    return make_item(0, day) | {"id": f"S2A_32TMT_{day:%Y%m%d}_0_L2A"}


def test_a_product_that_comes_later_than_the_overlap_is_found_within_a_day_and_announced_once(
    backend, clock, queued, feed
):
    url, items = feed
    spec = f"stac:{url}#sentinel-2-l2a"
    backend.commit(lambda commit: commit.put(subscription(tiles=("32TMT",))), completes_event=False)
    items.append(sensed(NOW - timedelta(hours=3)))
    assert refresh_source(backend, spec).new == 1
    swept = backend.records.get(SourceState, spec).listing["swept"]
    # Sensed eight days ago, and published only now: the 24 h before the watermark do not reach it.
    items.append(sensed(NOW - timedelta(days=8)))
    clock.advance(3600)
    assert refresh_source(backend, spec).new == 0
    assert backend.records.get(SourceState, spec).listing["swept"] == swept
    for late in (1, 0):
        clock.advance(24 * 3600)
        items.append(sensed(clock() - timedelta(hours=2)))
        assert refresh_source(backend, spec).new == late + 1
    # What carries events may bring one twice, under the same id.
    events = {envelope.id: envelope.event for envelope in queued()}
    found = [event.product for event in events.values() if isinstance(event, ProductNew)]
    assert sorted(found) == sorted(item["id"] for item in items)
    assert len(found) == 4
