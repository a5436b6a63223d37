"""What is watched, changed, foreseen and tried again, wherever it is kept."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from products import FIELD, known, product
from revisit.chain.dispatch import claim
from revisit.domain.aoi import AOI
from revisit.domain.delivery import Attempt, Delivery
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription
from revisit.errors import BadInput, Conflict, NotFound, Stale
from revisit.services import (
    change,
    deliveries,
    end_feed,
    extent_of,
    next_passes,
    past_of,
    redeliver,
    renew_feed,
    revision,
    subscribe,
    subscription,
)
from revisit.services.subscriptions.update import Change

NDVI = Recipe(indices=("NDVI",))
FAR = {"type": "Polygon", "coordinates": [[[10.6, 45.3], [10.62, 45.3], [10.62, 45.32], [10.6, 45.32], [10.6, 45.3]]]}


@pytest.fixture
def watcher(backend) -> Subscription:
    return subscribe(backend, AOI.parse(FIELD), "field", NDVI, max_cloud=40.0, channels=[Channel("file", "log")])


def test_an_area_drawn_anew_is_found_by_its_tiles_alone(backend, watcher):
    changed = change(backend, watcher.id, Change(aoi=AOI.parse(FAR), max_cloud=None))
    assert (changed.id, changed.feed_token, changed.max_cloud) == (watcher.id, watcher.feed_token, None)
    assert backend.records.find(Subscription, tiles="32TNR", state="active") == []
    assert backend.records.find(Subscription, tiles=changed.tiles[0], state="active") == [changed]
    again = subscribe(backend, AOI.parse(FIELD), "field", NDVI, max_cloud=40.0, channels=[Channel("file", "log")])
    assert again.id != watcher.id
    with pytest.raises(Conflict, match="another subscription"):
        change(backend, watcher.id, Change(aoi=AOI.parse(FIELD)))


def test_of_many_who_read_the_same_one_changes_it(place, watcher):
    threads = 16
    backends = [place.open() for _ in range(threads)]

    def rename(number: int) -> str:
        try:
            return change(backends[number], watcher.id, Change(name=f"field {number}"), expected=[revision(watcher)]).name
        except Stale:
            return ""

    with ThreadPoolExecutor(threads) as pool:
        names = [name for name in pool.map(rename, range(threads)) if name]
    assert names == [subscription(backends[0], watcher.id).name]


def test_a_feed_has_the_latest_address_or_none(backend, watcher):
    renewed = renew_feed(backend, watcher.id)
    assert renewed.feed_token.startswith(f"{watcher.id}-") and renewed.feed_token != watcher.feed_token
    assert end_feed(backend, watcher.id).feed_token == subscription(backend, watcher.id).feed_token == ""


def test_deliveries_are_paged_from_the_newest_and_tried_again_once(backend, clock, watcher):
    [channel] = watcher.channels
    for number in range(5):
        made = backend.now() + timedelta(minutes=number)
        failed = Delivery(f"delivery_{number}", f"alert_{number}", watcher.id, channel.id, "log", made, None, (Attempt(made, "not written: full"),), "failed")
        backend.commit(lambda commit, failed=failed: commit.put(failed), last=False)
    first = deliveries(backend, watcher.id, limit=3)
    rest = deliveries(backend, watcher.id, after=first.next, limit=3)
    assert [[way.id[-1] for way in part.page] for part in (first, rest)] == [["4", "3", "2"], ["1", "0"]] and rest.next == ""
    again = redeliver(backend, "delivery_3")
    assert (again.id, again.due, len(again.attempts)) == ("delivery_3", backend.now(), 1)
    assert [way.id for way in backend.records.find(Delivery, state="due")] == ["delivery_3"]
    taken = claim("delivery_3", backend)
    assert redeliver(backend, "delivery_3") == taken.delivery and claim("delivery_3", backend) is None
    with pytest.raises(NotFound):
        redeliver(backend, "delivery_3", "ann")
    change(backend, watcher.id, Change(files=()))
    with pytest.raises(Conflict, match="the channel was removed"):
        redeliver(backend, "delivery_4")


def test_the_past_and_the_next_pass_are_told_by_the_catalog(backend, watcher):
    def seen(days: float, platform: str = "S2A", cloud: float = 10.0) -> Product:
        at = backend.now() - timedelta(days=days)
        stamp = f"{at:%Y%m%dT%H%M%S}"
        return replace(product(1, relative_orbit=65, platform=platform, cloud=cloud), id=f"{platform}_MSIL2A_{stamp}_N0510_R065_T32TNR_{stamp}", datatake=stamp,
                       sensing_time=at, published=at)

    known(backend, seen(3), seen(13, cloud=60.0), seen(23), seen(7, "S2B"), seen(400))
    past = past_of(backend, AOI.parse(FIELD), watcher)
    assert (len(past.fired), len(past.cloudy), past.start) == (3, 1, backend.now() - timedelta(days=365))
    assert next_passes(backend, [watcher]) == {watcher.id: backend.now() + timedelta(days=3)}
    beside = tuple(f"{zone:02d}TNR" for zone in range(1, 61))
    wide = [watcher.updated(id=f"wide_{number}", tiles=tuple(f"{tile[:4]}{number}" for tile in beside)) for number in "ABC"]
    torn = watcher.updated(id="torn", tiles=("32TNR", *(f"{tile[:4]}D" for tile in beside)))
    assert next_passes(backend, [*wide, torn, watcher]).keys() == {watcher.id}, "by one of its tiles alone no pass is told"
    extent = extent_of(backend, AOI.parse(FIELD))
    assert (extent.next_pass, extent.passes_per_month) == (backend.now() + timedelta(days=3), 6.0)
    with pytest.raises(BadInput, match="has not come yet"):
        past_of(backend, AOI.parse(FIELD), watcher, backend.now() + timedelta(days=1))
