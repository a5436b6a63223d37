"""However many ask at once, exactly as many are let in as the plan has places (rules.md Q2)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from products import FIELD, product
from revisit.aoi import AOI
from revisit.commands import limits
from revisit.commands.ordering import place as put_order
from revisit.commands.quotas import used
from revisit.commands.subscribing import subscribe
from revisit.errors import BadInput, TooMany
from revisit.job import Job, job_id
from revisit.order import Order
from revisit.recipe import Recipe
from revisit.usage import Usage, usage_id

NDVI = Recipe(indices=("NDVI",))


def order_of_one(backend, name: str, owner: str = "ann") -> str:
    """An order of one acquisition; what came of it."""
    asked = Order(f"order_{name}", FIELD, NDVI, backend.now(), owner=owner)
    seen = product(1)
    job = Job(job_id(asked.id, seen.acquisition, NDVI), seen, FIELD, NDVI, backend.now(), owner=owner, orders=(asked.id,))
    try:
        put_order(backend, asked, [job])
        return "placed"
    except TooMany as error:
        return f"{error.used} of {error.limit}"


@pytest.fixture
def asking(place):
    """How many ask at once, and for how many places: the Firestore emulator takes seconds for what contends."""
    return {"local": (50, 10), "gcp": (4, 2)}[place.name]


def test_no_more_jobs_are_begun_in_a_day_than_the_plan_has(place, asking, monkeypatch):
    many, room = asking
    monkeypatch.setitem(limits.PLANS, "free", replace(limits.PLANS["free"], jobs_a_day=room, orders_running=many))
    backend = place.open()
    with ThreadPoolExecutor(many) as pool:
        came = list(pool.map(lambda number: order_of_one(backend, str(number)), range(many)))
    assert came.count("placed") == room and came.count(f"{room} of {room}") == many - room
    assert backend.records.count(Order, owner="ann") == room == used(backend, "ann")["jobs_a_day"]
    assert sum(backend.records.get(Usage, usage_id("ann")).jobs.values()) == room


def test_no_more_orders_run_at_once_than_the_plan_has(place, asking):
    many, _ = asking
    backend = place.open()
    with ThreadPoolExecutor(many) as pool:
        came = list(pool.map(lambda number: order_of_one(backend, str(number)), range(many)))
    assert came.count("placed") == 2 and came.count("2 of 2") == many - 2


def test_no_more_is_watched_at_once_than_the_plan_has(place, asking, monkeypatch):
    many, room = asking
    monkeypatch.setitem(limits.PLANS, "free", replace(limits.PLANS["free"], subscriptions=room))
    backend, field = place.open(), AOI.of(FIELD)

    def watch(number: int) -> bool:
        try:
            return bool(subscribe(backend, field, f"field {number}", NDVI, owner="ann"))
        except BadInput:
            return False

    with ThreadPoolExecutor(many) as pool:
        assert sum(pool.map(watch, range(many))) == room


def test_one_owner_takes_nothing_of_anothers_places_and_nothing_is_counted_on_ones_own_computer(backend):
    assert [order_of_one(backend, f"ann {number}") for number in range(3)] == ["placed", "placed", "2 of 2"]
    assert order_of_one(backend, "bob 1", "bob") == "placed"
    assert [order_of_one(backend, f"local {number}", "local") for number in range(5)] == ["placed"] * 5
    assert backend.records.get(Usage, usage_id("local")) is None and used(backend, "local") == {}
