"""Subscriptions, their changes, passes and deliveries, in every store."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from products import FIELD, add_to_catalog, product
from revisit.chain.delivery_ledger import claim
from revisit.domain.aoi import AOI
from revisit.domain.delivery import Attempt, Delivery
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription
from revisit.errors import ConflictError, InvalidInputError, NotFoundError, PreconditionFailedError
from revisit.services.products.passes import RecentProducts, next_passes
from revisit.services.subscriptions.create import create_subscription
from revisit.services.subscriptions.preview import preview_subscription, summarize_aoi
from revisit.services.subscriptions.records import get_subscription, revision
from revisit.services.subscriptions.redeliver import list_deliveries, redeliver
from revisit.services.subscriptions.update import (
    SubscriptionUpdate,
    revoke_feed_token,
    rotate_feed_token,
    update_subscription,
)

NDVI = Recipe(indices=("NDVI",))
FAR = {
    "type": "Polygon",
    "coordinates": [[[10.6, 45.3], [10.62, 45.3], [10.62, 45.32], [10.6, 45.32], [10.6, 45.3]]],
}


@pytest.fixture
def subscription(backend) -> Subscription:
    return create_subscription(
        backend, AOI.parse(FIELD), "field", NDVI, max_cloud=40.0, channels=[Channel("file", "log")]
    )


def test_an_area_drawn_again_is_found_by_its_tiles_alone(backend, subscription):
    changed = update_subscription(
        backend, subscription.id, SubscriptionUpdate(aoi=AOI.parse(FAR), max_cloud=None)
    )
    assert (changed.id, changed.feed_token, changed.max_cloud) == (
        subscription.id,
        subscription.feed_token,
        None,
    )
    assert backend.records.find(Subscription, tiles="32TNR", state="active") == []
    assert backend.records.find(Subscription, tiles=changed.tiles[0], state="active") == [changed]
    again = create_subscription(
        backend, AOI.parse(FIELD), "field", NDVI, max_cloud=40.0, channels=[Channel("file", "log")]
    )
    assert again.id != subscription.id
    with pytest.raises(ConflictError, match="another subscription"):
        update_subscription(backend, subscription.id, SubscriptionUpdate(aoi=AOI.parse(FIELD)))


def test_of_many_who_read_the_same_one_changes_it(backend_factory, subscription):
    threads = 16
    backends = [backend_factory.open() for _ in range(threads)]

    def rename(number: int) -> str:
        try:
            return update_subscription(
                backends[number],
                subscription.id,
                SubscriptionUpdate(name=f"field {number}"),
                expected_revisions=[revision(subscription)],
            ).name
        except PreconditionFailedError:
            return ""

    with ThreadPoolExecutor(threads) as pool:
        names = [name for name in pool.map(rename, range(threads)) if name]
    assert names == [get_subscription(backends[0], subscription.id).name]


def test_a_feed_has_the_latest_address_or_none(backend, subscription):
    renewed = rotate_feed_token(backend, subscription.id)
    assert (
        renewed.feed_token.startswith(f"{subscription.id}-") and renewed.feed_token != subscription.feed_token
    )
    assert (
        revoke_feed_token(backend, subscription.id).feed_token
        == get_subscription(backend, subscription.id).feed_token
        == ""
    )


def test_deliveries_are_paged_from_the_newest_and_retried_once(backend, clock, subscription):
    [channel] = subscription.channels
    for number in range(5):
        made = backend.now() + timedelta(minutes=number)
        failed = Delivery(
            f"delivery_{number}",
            f"alert_{number}",
            subscription.id,
            channel.id,
            "log",
            made,
            None,
            (Attempt(made, "not written: full"),),
            "failed",
        )
        backend.commit(lambda commit, failed=failed: commit.put(failed), completes_event=False)
    first = list_deliveries(backend, subscription.id, limit=3)
    rest = list_deliveries(backend, subscription.id, after=first.next, limit=3)
    assert [[way.id[-1] for way in part.items] for part in (first, rest)] == [
        ["4", "3", "2"],
        ["1", "0"],
    ] and rest.next == ""
    again = redeliver(backend, "delivery_3")
    assert (again.id, again.due, len(again.attempts)) == ("delivery_3", backend.now(), 1)
    assert [way.id for way in backend.records.find(Delivery, state="due")] == ["delivery_3"]
    taken = claim("delivery_3", backend)
    assert redeliver(backend, "delivery_3") == taken.delivery and claim("delivery_3", backend) is None
    with pytest.raises(NotFoundError):
        redeliver(backend, "delivery_3", "ann")
    update_subscription(backend, subscription.id, SubscriptionUpdate(files=()))
    with pytest.raises(ConflictError, match="the channel was removed"):
        redeliver(backend, "delivery_4")


def test_the_catalog_gives_the_past_and_the_next_pass(backend, subscription):
    def seen(days: float, platform: str = "S2A", cloud: float = 10.0) -> Product:
        at = backend.now() - timedelta(days=days)
        stamp = f"{at:%Y%m%dT%H%M%S}"
        return replace(
            product(1, relative_orbit=65, platform=platform, cloud=cloud),
            id=f"{platform}_MSIL2A_{stamp}_N0510_R065_T32TNR_{stamp}",
            datatake=stamp,
            sensing_time=at,
            published=at,
        )

    add_to_catalog(backend, seen(3), seen(13, cloud=60.0), seen(23), seen(7, "S2B"), seen(400))
    past = preview_subscription(backend, AOI.parse(FIELD), subscription)
    assert (len(past.matching), len(past.too_cloudy), past.start) == (
        3,
        1,
        backend.now() - timedelta(days=365),
    )
    assert next_passes(RecentProducts(backend), [subscription], backend.now()) == {
        subscription.id: backend.now() + timedelta(days=3)
    }
    beside = tuple(f"{zone:02d}TNR" for zone in range(1, 61))
    wide = [
        subscription.with_changes(id=f"wide_{number}", tiles=tuple(f"{tile[:4]}{number}" for tile in beside))
        for number in "ABC"
    ]
    torn = subscription.with_changes(id="torn", tiles=("32TNR", *(f"{tile[:4]}D" for tile in beside)))
    assert next_passes(RecentProducts(backend), [*wide, torn, subscription], backend.now()).keys() == {
        subscription.id
    }, "by one of its tiles alone no pass is given"
    extent = summarize_aoi(backend, AOI.parse(FIELD))
    assert (extent.next_pass, extent.passes_per_month) == (backend.now() + timedelta(days=3), 6.0)
    with pytest.raises(InvalidInputError, match="has not come yet"):
        preview_subscription(backend, AOI.parse(FIELD), subscription, backend.now() + timedelta(days=1))
