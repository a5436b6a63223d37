"""Lists that grow: paged in the store by an index, in the same order in both homes."""

from datetime import timedelta

import pytest

from products import FIELD, product
from revisit.domain.alert import Alert
from revisit.domain.aoi import AOI
from revisit.domain.delivery import Delivery
from revisit.domain.job import Cover, Job
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.errors import InvalidInputError
from revisit.ports.pagination import find_all_sorted, find_page
from revisit.ports.record_types import number_key
from revisit.services.orders.create import list_order_page, list_own_orders
from revisit.services.subscriptions.create import create_subscription
from revisit.services.subscriptions.redeliver import list_deliveries
from revisit.services.subscriptions.results import list_ended_jobs, list_jobs, list_latest_jobs

NDVI = Recipe(indices=("NDVI",))


def put(backend, *records) -> None:
    for start in range(0, len(records), 200):
        batch = records[start : start + 200]
        backend.commit(
            lambda commit, batch=batch: [commit.put(each) for each in batch], completes_event=False
        )


def alert(number: int, subscription: str = "sub_1") -> Alert:
    seen = product(1)
    cover = Cover(1, 1, 1)
    return Alert(
        f"alert_{subscription}_{number}",
        subscription,
        number,
        "job_1",
        seen.acquisition,
        seen.id,
        seen.sensing_time,
        seen.sensing_time,
        cover,
        {},
    )


def ids(records) -> list[str]:
    return [record.id for record in records]


def test_pages_join_to_the_whole_list_in_its_order(backend):
    """Records of the same moment are sorted by id; those of others and of other fields are left out."""
    moments = [backend.now() + timedelta(seconds=second) for second in (3, 1, 2, 1, 1)]
    orders = [
        Order(
            f"order_{number}", FIELD, NDVI, moment, owner="ann", subscription="sub_1" if number == 2 else ""
        )
        for number, moment in enumerate(moments)
    ]
    put(backend, *orders, Order("order_x", FIELD, NDVI, backend.now(), owner="ann\x20"))
    newest = ["order_0", "order_2", "order_4", "order_3", "order_1"]
    for limit in (1, 2, 5, 6):
        found, after = [], ""
        while True:
            page = list_order_page(backend, "ann", limit, after)
            found += ids(page.items)
            assert len(page.items) <= limit
            after = page.next
            if not after:
                break
        assert found == newest
    assert ids(list_own_orders(backend, "ann")) == [id for id in newest if id != "order_2"]
    assert ids(list_own_orders(backend, "ann", "order_4")) == ["order_3", "order_1"]
    for wrong in ("order_x", "order_none"):
        with pytest.raises(InvalidInputError, match="not in this list"):
            list_order_page(backend, "ann", 2, wrong)


def test_alerts_are_numbered_lists_that_begin_anywhere(backend):
    put(backend, *map(alert, (1, 2, 3, 10, 11)), alert(4, "sub_2"), alert(4, "sub_10"))
    records = backend.records
    page = records.find_sorted(Alert, "number", after=(number_key(2), ""), limit=2, subscription="sub_1")
    assert [each.number for each in page] == [3, 10]
    latest = records.find_sorted(
        Alert, "number", after=(number_key(10), ""), limit=2, descending=True, subscription="sub_1"
    )
    assert [each.number for each in latest] == [3, 2]
    assert [each.number for each in find_all_sorted(records, Alert, sort="number", subscription="sub_1")] == [
        1,
        2,
        3,
        10,
        11,
    ]
    with pytest.raises(ValueError, match="no list of alert"):
        records.find_sorted(Alert, "created", subscription="sub_1")


def test_deliveries_move_between_lists_with_their_state(backend):
    created = create_subscription(backend, AOI.parse(FIELD), "field", NDVI)
    moments = [backend.now() + timedelta(minutes=minute) for minute in range(4)]
    deliveries = [
        Delivery(f"delivery_{number}", "alert_1", created.id, "channel", "log", moment, moment)
        for number, moment in enumerate(moments)
    ]
    put(backend, *reversed(deliveries))
    assert ids(find_all_sorted(backend.records, Delivery, sort="due", state="due")) == ids(deliveries)
    first = list_deliveries(backend, created.id, state="due", limit=2)
    assert (ids(first.items), first.next) == (["delivery_3", "delivery_2"], "delivery_2")
    put(
        backend,
        deliveries[1].with_changes(state="delivered", due=None),
        deliveries[2].with_changes(state="failed", due=None),
        deliveries[0].with_changes(due=moments[3] + timedelta(days=1)),
    )
    assert ids(find_all_sorted(backend.records, Delivery, sort="due", state="due")) == [
        "delivery_3",
        "delivery_0",
    ]
    rest = list_deliveries(backend, created.id, state="due", after=first.next)
    assert (ids(rest.items), rest.next) == (["delivery_0"], "")
    assert ids(list_deliveries(backend, created.id).items) == ids(reversed(deliveries))
    assert ids(list_deliveries(backend, created.id, state="failed").items) == ["delivery_2"]


def test_jobs_of_several_orders_are_in_the_list_of_each(backend):
    orders = [Order(f"order_{name}", FIELD, NDVI, backend.now()) for name in "ab"]
    jobs = [
        Job(
            f"job_{day}",
            product(day),
            FIELD,
            NDVI,
            backend.now(),
            orders=("order_a", "order_b") if day == 2 else ("order_a",),
            state="started" if day == 3 else "done",
        )
        for day in (5, 2, 3, 1)
    ]
    put(backend, *orders, *jobs)
    assert ids(list_jobs(backend, "order_a")) == ["job_1", "job_2", "job_3", "job_5"]
    assert ids(list_latest_jobs(backend, "order_a", "local", 2)) == ["job_3", "job_5"]
    assert ids(list_jobs(backend, "order_b")) == ["job_2"]
    page = list_ended_jobs(backend, orders[0], 2)
    assert (ids(page.items), page.next) == (["job_1", "job_2"], "job_2")
    rest = list_ended_jobs(backend, orders[0], 2, page.next)
    assert (ids(rest.items), rest.next) == (["job_5"], "")
    with pytest.raises(InvalidInputError):
        find_page(backend.records, Job, sort="sensing_time", after="job_1", orders="order_b")
