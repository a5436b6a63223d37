"""Quotas under concurrent requests: as many are accepted as the plan has places, and no more."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from products import FIELD, product
from revisit.domain.aoi import AOI
from revisit.domain.job import Job, job_id
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.domain.usage import Usage, usage_id
from revisit.errors import InvalidInputError, QuotaExceededError
from revisit.services.accounts import limits
from revisit.services.accounts.quotas import get_usage
from revisit.services.orders.create import write_order as put_order
from revisit.services.subscriptions.create import create_subscription

NDVI = Recipe(indices=("NDVI",))


def order_of_one(backend, name: str, owner: str = "ann") -> str:
    """An order of one acquisition; returns its outcome."""
    asked = Order(f"order_{name}", FIELD, NDVI, backend.now(), owner=owner)
    seen = product(1)
    job = Job(
        job_id(asked.id, seen.acquisition, NDVI),
        seen,
        FIELD,
        NDVI,
        backend.now(),
        owner=owner,
        orders=(asked.id,),
    )
    try:
        put_order(backend, asked, [job])
        return "placed"
    except QuotaExceededError as error:
        return f"{error.used} of {error.limit}"


ASKING, ROOM = 50, 10
"""Concurrent requests, and the places that they compete for."""


def test_no_more_jobs_are_begun_in_a_day_than_the_plan_has(backend_factory, monkeypatch):
    monkeypatch.setitem(
        limits.PLANS, "free", replace(limits.PLANS["free"], jobs_a_day=ROOM, orders_running=ASKING)
    )
    backend = backend_factory.open()
    with ThreadPoolExecutor(ASKING) as pool:
        came = list(pool.map(lambda number: order_of_one(backend, str(number)), range(ASKING)))
    assert came.count("placed") == ROOM and came.count(f"{ROOM} of {ROOM}") == ASKING - ROOM
    assert backend.records.count(Order, owner="ann") == ROOM == get_usage(backend, "ann")["jobs_a_day"]
    assert sum(backend.records.get(Usage, usage_id("ann")).jobs.values()) == ROOM


def test_no_more_orders_run_at_once_than_the_plan_has(backend_factory):
    backend = backend_factory.open()
    with ThreadPoolExecutor(ASKING) as pool:
        came = list(pool.map(lambda number: order_of_one(backend, str(number)), range(ASKING)))
    assert came.count("placed") == 2 and came.count("2 of 2") == ASKING - 2


def test_no_more_is_watched_at_once_than_the_plan_has(backend_factory, monkeypatch):
    monkeypatch.setitem(limits.PLANS, "free", replace(limits.PLANS["free"], subscriptions=ROOM))
    backend, field = backend_factory.open(), AOI.from_normalized(FIELD)

    def watch(number: int) -> bool:
        try:
            return bool(create_subscription(backend, field, f"field {number}", NDVI, owner="ann"))
        except InvalidInputError:
            return False

    with ThreadPoolExecutor(ASKING) as pool:
        assert sum(pool.map(watch, range(ASKING))) == ROOM


def test_one_owner_takes_nothing_of_anothers_places_and_nothing_is_counted_on_ones_own_computer(backend):
    assert [order_of_one(backend, f"ann {number}") for number in range(3)] == ["placed", "placed", "2 of 2"]
    assert order_of_one(backend, "bob 1", "bob") == "placed"
    assert [order_of_one(backend, f"local {number}", "local") for number in range(5)] == ["placed"] * 5
    assert backend.records.get(Usage, usage_id("local")) is None and get_usage(backend, "local") == {}
