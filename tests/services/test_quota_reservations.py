"""Quota reservations at their bounds: what each one adds to the owner's usage, and when it is rejected."""

from dataclasses import replace
from datetime import timedelta

import pytest

from revisit.adapters.local.backend import local_backend
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel
from revisit.domain.usage import Usage, new_usage
from revisit.errors import InvalidInputError, QuotaExceededError
from revisit.services.accounts import limits
from revisit.services.accounts.quotas import (
    get_usage,
    quota_exceeded_reason,
    reserve_jobs,
    reserve_key,
    reserve_running_order,
    reserve_subscription,
)
from samples import NOON, SQUARE_AOI, StoppedClock, subscription

OWNER = "ann"
NDVI = Recipe(indices=("NDVI",))
TO_MIDNIGHT_S = 12 * 3600 + 1


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def backend(tmp_path, clock):
    return local_backend(tmp_path / "data", now=clock)


def order(id: str = "order_1", **fields) -> Order:
    return Order(**{"id": id, "aoi": SQUARE_AOI, "recipe": NDVI, "created": NOON, "owner": OWNER, **fields})


def webhook(name: str) -> Channel:
    return Channel("webhook", f"https://hooks.example.com/{name}")


def put(backend, *records):
    def work(transaction):
        for record in records:
            transaction.put(record)

    backend.records.transact(work)


def use(backend, **fields) -> Usage:
    """Store what the owner has used today."""
    usage = replace(new_usage(OWNER, backend.now()), **fields)
    put(backend, usage)
    return usage


def reserve(backend, function, *args, **options) -> Usage:
    """The usage that a reservation returns; `now` follows the other arguments."""
    return backend.commit(
        lambda commit: function(commit, *args, backend.now(), **options), completes_event=False
    )


def test_the_last_acquisition_of_a_day_is_reserved_and_one_more_is_rejected(backend):
    use(backend, jobs={"order_0": 20})
    assert reserve(backend, reserve_jobs, order(), 30).jobs == {"order_0": 20, "order_1": 30}
    with pytest.raises(QuotaExceededError, match="31 acquisitions with 20 of today's 50 used") as rejected:
        reserve(backend, reserve_jobs, order(), 31)
    error = rejected.value
    assert (error.limit, error.used, error.retry_after_s) == (50, 20, TO_MIDNIGHT_S)


def test_acquisitions_added_to_an_order_are_counted_on_top_of_those_counted_today(backend):
    assert reserve(backend, reserve_jobs, order(), 5, extends=True).jobs == {"order_1": 5}
    use(backend, jobs={"order_1": 40})
    assert reserve(backend, reserve_jobs, order(), 10, extends=True).jobs == {"order_1": 50}
    with pytest.raises(QuotaExceededError, match="11 acquisitions with 40"):
        reserve(backend, reserve_jobs, order(), 11, extends=True)


def test_a_repeated_reservation_replaces_what_was_counted(backend):
    use(backend, jobs={"order_1": 45})
    assert reserve(backend, reserve_jobs, order(), 30).jobs == {"order_1": 30}


def test_an_order_without_acquisitions_reserves_nothing(backend):
    before = use(backend, jobs={"order_0": 50}, running=("order_a", "order_b"))
    assert reserve(backend, reserve_jobs, order(), 0) == before


def test_a_backfill_takes_acquisitions_but_no_place_of_a_running_order(backend):
    usage = reserve(backend, reserve_jobs, order(subscription="sub_1"), 3)
    assert (usage.jobs, usage.running) == ({"order_1": 3}, ())


@pytest.mark.parametrize("known", [True, False], ids=["acquisitions known", "acquisitions unknown"])
def test_an_order_takes_one_place_and_needs_a_free_one(backend, known):
    def run(running):
        use(backend, running=running)
        if known:
            return reserve(backend, reserve_jobs, order(), 1).running
        return reserve(backend, reserve_running_order, order()).running

    running = (order(f"order_{name}", open=1) for name in "1ab")
    put(backend, *running, order("order_ended"))
    assert run(()) == run(("order_1",)) == ("order_1",)
    assert run(("order_1", "order_a")) == ("order_a", "order_1")
    with pytest.raises(QuotaExceededError, match="2 orders are running, the maximum") as rejected:
        run(("order_a", "order_b"))
    error = rejected.value
    assert (error.limit, error.used, error.retry_after_s) == (2, 2, 30)
    # An ended order is removed only when its place is needed.
    assert run(("order_ended",)) == ("order_ended", "order_1")
    assert run(("order_a", "order_ended")) == ("order_a", "order_1")
    assert run(("order_unknown", "order_a")) == ("order_a", "order_1")


def test_a_subscription_reserves_its_webhooks_and_the_acquisitions_of_its_backfill(backend):
    use(backend, jobs={"order_0": 20})
    watched = subscription(owner=OWNER, channels=(webhook("a"), Channel("file", "log")))
    usage = reserve(backend, reserve_subscription, watched, "order_1", 30)
    assert usage.watching == {"sub_1": (webhook("a").id,)}
    assert usage.jobs == {"order_0": 20, "order_1": 30}
    with pytest.raises(QuotaExceededError, match="31 acquisitions with 20"):
        reserve(backend, reserve_subscription, watched, "order_1", 31)


@pytest.mark.parametrize(("order_id", "count"), [("", 0), ("order_1", 0), ("", 3)])
def test_a_subscription_without_a_backfill_reserves_no_acquisitions(backend, order_id, count):
    use(backend, jobs={"order_0": 50})
    usage = reserve(backend, reserve_subscription, subscription(owner=OWNER), order_id, count)
    assert usage.jobs == {"order_0": 50}


def test_deleted_subscriptions_are_removed_only_when_their_place_is_needed(backend):
    names = [f"sub_{number}" for number in range(20)]
    put(backend, *(subscription(id, owner=OWNER) for id in names[:18]))
    put(backend, subscription(names[18], owner=OWNER, state="deleted"))  # names[19] is not stored
    added = subscription("sub_new", owner=OWNER)
    use(backend, watching=dict.fromkeys(names[:19], ()))
    assert list(reserve(backend, reserve_subscription, added, "", 0).watching) == [*names[:19], "sub_new"]
    use(backend, watching=dict.fromkeys(names, ()))
    assert list(reserve(backend, reserve_subscription, added, "", 0).watching) == [*names[:18], "sub_new"]
    put(backend, *(subscription(id, owner=OWNER, state="paused") for id in names[18:]))
    with pytest.raises(InvalidInputError, match="^20 subscriptions are the most allowed"):
        reserve(backend, reserve_subscription, added, "", 0)


def test_the_webhooks_of_all_subscriptions_count_once_each(backend):
    put(backend, subscription("sub_0", owner=OWNER))
    use(backend, watching={"sub_0": tuple(webhook(name).id for name in "abc")})
    added = subscription(owner=OWNER, channels=tuple(webhook(name) for name in "cde"))
    assert len(reserve(backend, reserve_subscription, added, "", 0).webhooks) == 5
    with pytest.raises(InvalidInputError, match="^5 different webhooks are the most allowed"):
        reserve(
            backend, reserve_subscription, replace(added, channels=(webhook("f"), *added.channels)), "", 0
        )
    put(backend, subscription("sub_0", owner=OWNER, state="deleted"))
    assert reserve(
        backend, reserve_subscription, replace(added, channels=(webhook("f"), *added.channels)), "", 0
    )


def test_a_plan_without_a_limit_of_webhooks_allows_any_number(backend, monkeypatch):
    monkeypatch.setitem(limits.PLANS, "free", replace(limits.PLANS["free"], webhooks=None))
    watched = subscription(owner=OWNER, channels=tuple(webhook(name) for name in "abcdef"))
    assert len(reserve(backend, reserve_subscription, watched, "", 0).webhooks) == 6


def test_the_last_key_of_a_day_is_reserved_and_one_more_is_rejected(backend, clock):
    use(backend, keys=19)
    assert reserve(backend, reserve_key, OWNER).keys == 20
    use(backend, keys=20)
    with pytest.raises(QuotaExceededError, match="20 keys have been created today") as rejected:
        reserve(backend, reserve_key, OWNER)
    error = rejected.value
    assert (error.limit, error.used, error.retry_after_s) == (20, 20, TO_MIDNIGHT_S)
    clock.advance(12 * 3600)
    assert reserve(backend, reserve_key, OWNER).keys == 1


@pytest.mark.parametrize(
    "unlimited",
    [{"jobs_a_day": None}, {"orders_running": None}, {"jobs_a_day": None, "orders_running": None}],
    ids=str,
)
def test_a_plan_without_one_of_the_limits_has_no_quota_of_orders(backend, monkeypatch, unlimited):
    monkeypatch.setitem(limits.PLANS, "free", replace(limits.PLANS["free"], **unlimited))
    use(backend, jobs={"order_0": 50}, running=("order_a", "order_b"))
    put(backend, order("order_a", open=1), order("order_b", open=1))
    assert reserve(backend, reserve_jobs, order(), 1) is None
    assert reserve(backend, reserve_running_order, order()) is None
    assert quota_exceeded_reason(backend, OWNER, 1) == ""


def test_a_plan_without_limits_reserves_nothing(backend):
    own = order(owner="local")
    assert reserve(backend, reserve_jobs, own, 10_000) is None
    assert reserve(backend, reserve_running_order, own) is None
    assert reserve(backend, reserve_subscription, subscription(), "order_1", 10_000) is None
    assert reserve(backend, reserve_key, "local") is None
    assert get_usage(backend, "local") == {}


def test_the_reason_of_a_rejection_counts_running_orders_only_for_an_order_with_acquisitions(backend):
    put(backend, order("order_a", open=1), order("order_b", open=1))
    use(backend, jobs={"order_0": 49}, running=("order_a", "order_b"))
    assert quota_exceeded_reason(backend, OWNER, 0) == ""
    assert quota_exceeded_reason(backend, OWNER, 1).startswith("2 orders are running")
    assert quota_exceeded_reason(backend, OWNER, 2).startswith("this would be 2 acquisitions")
    put(backend, order("order_b"))
    assert quota_exceeded_reason(backend, OWNER, 1) == ""


def test_usage_shows_what_is_live_and_when_the_day_ends(backend, clock):
    put(backend, order("order_a", open=1), order("order_ended"))
    put(backend, subscription("sub_0", owner=OWNER), subscription("sub_1", owner=OWNER, state="deleted"))
    clock.advance(1 * 3600 + 2 * 60 + 3.000004)
    use(
        backend,
        jobs={"order_a": 3, "order_b": 4},
        keys=2,
        running=("order_a", "order_ended", "order_unknown"),
        watching={"sub_0": ("channel_a", "channel_b"), "sub_1": ("channel_c",), "sub_unknown": ()},
    )
    assert get_usage(backend, OWNER) == {
        "subscriptions": 1,
        "webhooks": 2,
        "jobs_a_day": 7,
        "keys_a_day": 2,
        "orders_running": 1,
        "day_ends": NOON + timedelta(hours=12),
    }


def test_a_retry_after_midnight_never_comes_too_early(backend, clock):
    clock.advance(12 * 3600 - 0.5)
    use(backend, keys=20)
    with pytest.raises(QuotaExceededError) as rejected:
        reserve(backend, reserve_key, OWNER)
    assert rejected.value.retry_after_s == 1


def test_usage_of_an_earlier_day_keeps_its_orders_and_subscriptions_only(backend, clock):
    put(backend, subscription("sub_0", owner=OWNER))
    use(backend, jobs={"order_0": 50}, keys=20, running=("order_a",), watching={"sub_0": ()})
    clock.advance(12 * 3600)
    usage = reserve(backend, reserve_jobs, order(), 50)
    assert (usage.jobs, usage.keys, usage.running) == ({"order_1": 50}, 0, ("order_a", "order_1"))
    assert usage.watching == {"sub_0": ()}
