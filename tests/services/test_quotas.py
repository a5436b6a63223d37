"""Quotas of a plan: reserved with what uses them, released afterwards, and shown."""

from datetime import UTC, datetime, timedelta

import pytest

from order_samples import order_acquisitions
from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.adapters.local.backend import local_backend
from revisit.domain.aoi import AOI
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription
from revisit.errors import InvalidInputError, QuotaExceededError
from revisit.services.accounts.quotas import get_usage, quota_exceeded_reason
from revisit.services.subscriptions.create import create_subscription
from revisit.services.subscriptions.lifecycle import (
    delete_subscription,
    pause_subscription,
    resume_subscription,
)
from revisit.services.subscriptions.results import list_jobs

NDVI = Recipe(indices=("NDVI",))
MAY = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def clock():
    return [NOW]


@pytest.fixture
def backend(tmp_path, clock):
    made = local_backend(tmp_path / "data", (), lambda: clock[-1])
    add_to_catalog(made, *(product(day) for day in range(1, 31)))
    return made


@pytest.fixture
def field():
    return AOI.from_normalized(FIELD)


def june(day: int) -> datetime:
    return datetime(2024, 6, day, tzinfo=UTC)


def days_of(backend, field, first: int, last: int, owner: str = "ann") -> Order:
    """An order over so many days of June, each with one product."""
    return order_acquisitions(
        backend, field, NDVI, start=june(first), end=june(last) + timedelta(hours=23), owner=owner
    )


def work_off(backend, placed: Order, state: str = "done") -> None:
    for job in list_jobs(backend, placed.id, placed.owner):
        end_job(backend, job, state)


def test_daily_acquisitions_are_counted_over_all_orders_and_reset_at_midnight(backend, field, clock):
    work_off(backend, days_of(backend, field, 1, 30))
    work_off(backend, days_of(backend, field, 1, 19))
    with pytest.raises(
        QuotaExceededError, match=r"would be 2 acquisitions with 49 of today's 50 used"
    ) as refused:
        days_of(backend, field, 1, 2)
    assert (refused.value.limit, refused.value.used, refused.value.retry_after_s) == (50, 49, 12 * 3600 + 1)
    assert backend.records.count(Order, owner="ann") == 2
    days_of(backend, field, 3, 3)
    clock.append(NOW + timedelta(hours=12))
    days_of(backend, field, 1, 2)
    assert get_usage(backend, "ann")["jobs_a_day"] == 2


def test_the_same_order_again_is_not_counted_again(backend, field):
    first = days_of(backend, field, 1, 30)
    assert days_of(backend, field, 1, 30).id == first.id
    work_off(backend, first)
    assert days_of(backend, field, 1, 30).id == first.id
    assert get_usage(backend, "ann")["jobs_a_day"] == 30


def test_an_order_that_was_over_makes_room_for_the_next(backend, field):
    first, _ = days_of(backend, field, 1, 1), days_of(backend, field, 2, 2)
    with pytest.raises(QuotaExceededError, match="2 orders are running"):
        days_of(backend, field, 3, 3)
    assert get_usage(backend, "ann")["orders_running"] == 2
    work_off(backend, first)
    assert get_usage(backend, "ann")["orders_running"] == 1
    days_of(backend, field, 3, 3)


def test_an_estimate_states_the_rejection_that_the_order_would_get(backend, field):
    first, second = days_of(backend, field, 1, 1), days_of(backend, field, 2, 2)
    with pytest.raises(QuotaExceededError) as said:
        days_of(backend, field, 3, 3)
    assert (
        quota_exceeded_reason(backend, "ann", 1)
        == str(said.value)
        == "2 orders are running, the maximum (2); ask again when one has ended"
    )
    assert (
        quota_exceeded_reason(backend, "ann", 0),
        quota_exceeded_reason(backend, "bob", 1),
        quota_exceeded_reason(backend, "local", 10_000),
    ) == ("", "", "")
    for placed in (first, second):
        work_off(backend, placed)
    assert quota_exceeded_reason(
        backend, "ann", 48
    ) == "" and "49 acquisitions with 2 of today's 50 used" in quota_exceeded_reason(backend, "ann", 49)


def test_an_order_without_products_takes_no_place(backend, field):
    for month in (1, 2, 3):
        assert (
            order_acquisitions(
                backend,
                field,
                NDVI,
                start=datetime(2024, month, 1, tzinfo=UTC),
                end=datetime(2024, month, 2, tzinfo=UTC),
                owner="ann",
            ).jobs
            == ()
        )
    assert get_usage(backend, "ann") == {
        "subscriptions": 0,
        "webhooks": 0,
        "jobs_a_day": 0,
        "keys_a_day": 0,
        "orders_running": 0,
        "day_ends": datetime(2024, 7, 2, tzinfo=UTC),
    }


def test_a_subscriptions_past_is_counted_with_it_or_nothing_is_written(backend, field):
    work_off(backend, days_of(backend, field, 1, 30))
    with pytest.raises(QuotaExceededError, match="30 acquisitions with 30 of today's 50"):
        create_subscription(backend, field, "field", NDVI, backfill=june(1), owner="ann")
    assert backend.records.count(Subscription) == 0 and backend.records.count(Order) == 1
    create_subscription(backend, field, "field", NDVI, backfill=june(11), owner="ann")
    assert get_usage(backend, "ann")["jobs_a_day"] == 50
    # A backfill runs behind live work and is not a running order; repeating the request gives the same one.
    assert get_usage(backend, "ann")["orders_running"] == 0
    create_subscription(backend, field, "field", NDVI, backfill=june(11), owner="ann")
    assert get_usage(backend, "ann")["jobs_a_day"] == 50 and backend.records.count(Job) == 50


def test_a_past_that_a_crash_left_undone_is_not_counted_twice(backend, field, monkeypatch):
    def cut(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("revisit.services.subscriptions.create.write_order", cut)
        create_subscription(backend, field, "field", NDVI, backfill=june(1), owner="ann")
    assert get_usage(backend, "ann")["jobs_a_day"] == 30 and backend.records.count(Job) == 0
    create_subscription(backend, field, "field", NDVI, backfill=june(1), owner="ann")
    assert get_usage(backend, "ann")["jobs_a_day"] == 30 and backend.records.count(Job) == 30


def test_what_is_caught_up_with_is_counted_too(backend, field, clock):
    made = create_subscription(backend, field, "field", NDVI, owner="ann")
    clock.append(june(25))
    pause_subscription(backend, made.id, "ann")
    clock.append(NOW)
    resume_subscription(backend, made.id, "ann")
    # Published five hours after sensing at 10:16: those of 25 to 30 June.
    assert get_usage(backend, "ann")["jobs_a_day"] == backend.records.count(Job) == 6


def test_a_deleted_subscription_makes_room(backend, field):
    made = [create_subscription(backend, field, f"field {number}", NDVI, owner="ann") for number in range(20)]
    with pytest.raises(InvalidInputError, match="20 subscriptions are the most"):
        create_subscription(backend, field, "one more", NDVI, owner="ann")
    assert create_subscription(backend, field, "field 3", NDVI, owner="ann").id == made[3].id
    delete_subscription(backend, made[3].id, "ann")
    assert get_usage(backend, "ann")["subscriptions"] == 19
    create_subscription(backend, field, "one more", NDVI, owner="ann")
    with pytest.raises(InvalidInputError, match="20 subscriptions"):
        create_subscription(backend, field, "field 3", NDVI, owner="ann")


def test_webhooks_are_counted_over_all_subscriptions_each_once(backend, field):
    def hooks(*names: str) -> list[Channel]:
        return [Channel("webhook", f"https://hooks.example.com/{name}") for name in names]

    first = create_subscription(backend, field, "one", NDVI, channels=hooks("a", "b", "c"), owner="ann")
    create_subscription(backend, field, "two", NDVI, channels=hooks("a", "d", "e"), owner="ann")
    assert get_usage(backend, "ann")["webhooks"] == 5
    with pytest.raises(InvalidInputError, match="5 different webhooks are the most"):
        create_subscription(backend, field, "three", NDVI, channels=hooks("f"), owner="ann")
    create_subscription(backend, field, "four", NDVI, channels=hooks("a", "e"), owner="ann")
    delete_subscription(backend, first.id, "ann")
    create_subscription(backend, field, "three", NDVI, channels=hooks("f"), owner="ann")


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"start": None}, "366 days is allowed, so it needs a beginning"),
        ({"start": NOW - timedelta(days=367)}, "367 days is longer than the 366 allowed"),
    ],
)
def test_a_guests_period_is_bounded(backend, field, wish, says):
    with pytest.raises(InvalidInputError, match=says):
        order_acquisitions(backend, field, NDVI, owner="ann", **wish)
    order_acquisitions(backend, field, NDVI, start=NOW - timedelta(days=366), owner="ann")


def test_a_guests_area_is_bounded(backend):
    wide = AOI.parse(
        {"type": "Polygon", "coordinates": [[[9, 45], [10.4, 45], [10.4, 46], [9, 46], [9, 45]]]}, 100_000
    )
    assert 10_000 < wide.area_km2 < 20_000
    for ask in (
        lambda: order_acquisitions(backend, wide, NDVI, start=MAY, owner="ann"),
        lambda: create_subscription(backend, wide, "wide", NDVI, owner="ann"),
    ):
        with pytest.raises(InvalidInputError, match="more than the 10,000 km2 allowed"):
            ask()
