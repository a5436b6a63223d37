"""Orders whose sources have to be listed first: accepted at once, completed in the chain."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow as pa
import pytest

from chain_runner import drain
from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.domain.aoi import AOI
from revisit.domain.events import JobStarted, OrderCreated
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription, backfill_order_id
from revisit.domain.usage import Usage, usage_id
from revisit.errors import QuotaExceededError, TransientError
from revisit.ports.catalog_schema import to_table
from revisit.ports.cloudevents import Envelope
from revisit.ports.record_types import decode, encode
from revisit.ports.sources import Listing
from revisit.services.orders import create
from revisit.services.orders.cancel import cancel_order
from revisit.services.orders.create import create_order
from revisit.services.orders.deferred_selection import complete_order, fail_order
from revisit.services.orders.selection import OrderRequest
from revisit.services.subscriptions.create import create_subscription
from revisit.services.subscriptions.lifecycle import pause_subscription
from revisit.services.subscriptions.results import list_jobs

NDVI = Recipe(indices=("NDVI",))
SPEC = "stac:https://stac.example/v1#sentinel-2-l2a"
START = datetime(2024, 6, 1, tzinfo=UTC)


class HistorySource:
    """A source that lists an area and a period, as a STAC API does; counts its requests."""

    spec = SPEC
    announces_all = False

    def __init__(self) -> None:
        self.days: list[int] = [2, 3]
        self.requests = 0
        self.error: Exception | None = None

    def history(self, query, missing_mask):
        self.requests += 1
        if self.error:
            raise self.error
        listed = [product(day, source=self.spec) for day in self.days]
        mask = missing_mask([each.id for each in listed])
        return Listing(iter([to_table(listed).filter(pa.array(mask))]))


@pytest.fixture
def source():
    return HistorySource()


@pytest.fixture
def clock():
    return [NOW]


@pytest.fixture
def backend(tmp_path, source, clock):
    local = local_backend(tmp_path / "data", (SPEC,), lambda: clock[-1])
    return replace(local, source=lambda spec: source)


@pytest.fixture
def client(backend):
    return create_app(backend).test_client()


def request(**changes) -> OrderRequest:
    return OrderRequest(NDVI, AOI.from_normalized(FIELD), start=START, **changes)


def deferred(backend, **changes) -> Order:
    return create_order(backend, request(**changes), defer_listing=True)


def handle(backend, order: Order) -> None:
    """Handle the order's event, as the function refresh does."""
    event = OrderCreated(order.id, backend.get_record(Order, order.id).selections)
    complete_order(backend.with_cause(Envelope(event, NOW), "refresh"), order.id)


def started_jobs(backend) -> int:
    return sum(depth.ready for depth in backend.bus.depth() if depth.function == "extract")


def test_a_request_asks_no_source_and_the_chain_selects_the_products(client, backend, source):
    body = {"aoi": FIELD, "start": "2024-06-01"}
    answer = client.post("/orders", json=body)
    assert (answer.status_code, answer.json["state"], answer.json["total"]) == (202, "selecting", 0)
    assert source.requests == 0
    location = answer.headers["Location"]
    shown = client.get(location)
    assert (shown.json["state"], shown.json["progress"]["share"]) == ("selecting", 0)
    assert shown.headers["Retry-After"] == "1"
    assert client.post("/orders", json=body).json["order"] == answer.json["order"]
    drain(backend, functions=("refresh",))
    shown = client.get(location).json
    assert (shown["state"], shown["total"], shown["estimate"]["jobs"], source.requests) == (
        "running",
        2,
        2,
        1,
    )
    assert started_jobs(backend) == 2


def test_an_order_of_known_sources_has_its_jobs_in_the_answer(client, backend, source):
    local = replace(backend, sources=())
    add_to_catalog(local, product(1))
    answer = create_app(local).test_client().post("/orders", json={"aoi": FIELD, "start": "2024-06-01"})
    assert (answer.json["state"], answer.json["total"]) == ("running", 1) and source.requests == 0


def test_a_request_that_is_refused_writes_nothing(client, backend, source):
    for wrong, pointer in (
        ({"max_cloud": 120}, "120"),
        ({"level": "L3"}, "L3"),
        ({"indices": ["NDVY"]}, "NDVY"),
        ({"start": "2034-01-01"}, "not come yet"),
    ):
        answer = client.post("/orders", json={"aoi": FIELD, **wrong})
        assert answer.status_code == 422 and pointer in answer.text, answer.text
    assert backend.records.count(Order) == source.requests == 0


def test_handling_the_event_again_changes_nothing(backend):
    order = deferred(backend)
    for _ in range(2):
        handle(backend, order)
    assert (
        backend.get_record(Order, order.id).open == backend.records.count(Job) == started_jobs(backend) == 2
    )


@pytest.mark.parametrize("commits", [1, 2, 3, 4])
def test_a_crash_after_any_commit_is_completed_by_redelivery(backend, source, monkeypatch, commits):
    """The source lists another product before the event is delivered again."""
    monkeypatch.setattr(create, "MAX_RECORDS_PER_COMMIT", 1)
    source.days = [2, 3, 4, 5]
    order, commit, batches = deferred(backend), type(backend).commit, []

    class CrashError(Exception):
        pass

    def crash(self, work, completes_event=True):
        if getattr(work, "func", None) is create._write_batch:
            if len(batches) == commits:
                raise CrashError
            batches.append(work)
        return commit(self, work, completes_event)

    with monkeypatch.context() as patch, suppress(CrashError):
        patch.setattr(type(backend), "commit", crash)
        handle(backend, order)
    expected = "running" if commits == len(source.days) else "selecting"
    assert backend.get_record(Order, order.id).state == expected
    source.days = [3, 4, 5, 6]
    handle(backend, order)
    left = backend.get_record(Order, order.id)
    written = backend.records.find(Job)
    assert (left.state, left.open, set(left.jobs)) == ("running", len(written), {job.id for job in written})
    assert started_jobs(backend) == len(written)
    for job in written:
        end_job(backend, job)
    assert backend.get_record(Order, order.id).state == "finished"


def test_a_repeat_of_a_finished_order_adds_what_its_sources_have_since(backend, source):
    order = deferred(backend)
    handle(backend, order)
    for job in list_jobs(backend, order.id):
        end_job(backend, job)
    again = deferred(backend)
    assert (again.id, again.state) == (order.id, "selecting")
    handle(backend, again)
    assert backend.get_record(Order, order.id).state == "finished" and backend.records.count(Job) == 2
    source.days.append(5)
    handle(backend, deferred(backend))
    extended = backend.get_record(Order, order.id)
    assert (extended.state, extended.open, len(extended.jobs), extended.finished) == ("running", 1, 3, None)
    assert create_order(backend, request()).id == order.id, "the same products are the same order"


def test_a_silent_source_is_retried_and_then_fails_the_order(client, backend, source):
    source.error = TransientError("stac.example does not answer")
    order = deferred(backend)
    with pytest.raises(TransientError):
        handle(backend, order)
    assert backend.get_record(Order, order.id).state == "selecting"
    fail_order(backend, order.id, "stac.example does not answer")
    shown = client.get(f"/orders/{order.id}").json
    assert (shown["state"], shown["reason"]) == ("failed", "stac.example does not answer")
    assert client.get(f"/jobs/{order.id}").json["status"] == "failed"
    source.error = None
    assert deferred(backend).id != order.id, "a failed order is created again"


def test_more_than_the_plan_allows_fails_the_order_with_the_reason(backend, source):
    source.days = list(range(1, 31))
    order = deferred(backend, owner="ann")
    assert backend.records.get(Usage, usage_id("ann")).running == (order.id,)
    used = Usage(usage_id("ann"), "ann", NOW.date(), {"order_x": 40}, running=(order.id,))
    backend.commit(lambda commit: commit.put(used), completes_event=False)
    with pytest.raises(QuotaExceededError, match="this would be 30 acquisitions with 40 of today's 50 used"):
        handle(backend, order)
    drain(backend, functions=("refresh",))
    failed = backend.get_record(Order, order.id)
    assert failed.state == "failed" and "30 acquisitions" in failed.reason and not backend.records.count(Job)


def test_no_more_orders_select_at_once_than_may_run(backend):
    for day in (1, 2):
        deferred(backend, owner="ann", end=NOW - timedelta(days=day))
    with pytest.raises(QuotaExceededError, match="2 orders"):
        deferred(backend, owner="ann", end=NOW - timedelta(days=3))


def test_an_order_that_is_cancelled_while_it_selects_starts_nothing(backend, source):
    order = deferred(backend)
    assert cancel_order(backend, order.id).state == "cancelled"
    handle(backend, order)
    assert (backend.records.count(Job), source.requests) == (0, 0)
    assert deferred(backend).id != order.id


def test_a_backfill_is_selected_in_the_chain(client, backend, source):
    answer = client.post(
        "/subscriptions", json={"aoi": FIELD, "name": "field", "backfill": "2024-06-01", "max_cloud": 50}
    )
    assert answer.status_code == 201 and source.requests == 0
    order = client.get(f"/orders/{answer.json['backfill_order']}").json
    assert (order["state"], order["subscription"]) == ("selecting", answer.json["subscription"])
    pause_subscription(backend, answer.json["subscription"])
    drain(backend, functions=("refresh",))
    jobs = list_jobs(backend, answer.json["subscription"])
    assert [(job.product.sensing_time.day, job.lane) for job in jobs] == [(2, "backfill"), (3, "backfill")]
    assert client.get(f"/orders/{answer.json['backfill_order']}").json["state"] == "running"
    client.post(
        "/subscriptions", json={"aoi": FIELD, "name": "field", "backfill": "2024-06-01", "max_cloud": 50}
    )
    assert backend.records.count(Order) == 1


def test_a_backfill_of_a_deleted_subscription_starts_nothing(backend):
    created = create_subscription(
        backend, AOI.from_normalized(FIELD), "field", NDVI, backfill=START, defer_listing=True
    )
    order = backend.get_record(Order, backfill_order_id(created))
    backend.commit(
        lambda commit: commit.put(commit.get(Subscription, created.id).with_changes(state="deleted")),
        completes_event=False,
    )
    handle(backend, order)
    assert backend.get_record(Order, order.id).state == "finished" and not backend.records.count(Job)


def test_an_order_of_an_earlier_version_is_read_and_one_of_this_version_by_an_earlier():
    new = Order("order_1", FIELD, NDVI, NOW, selecting=True, selections=1)
    added = (b'"tile"', b'"selecting"', b'"selections"', b'"selection"', b'"reason"', b'"published_since"')
    text = encode(new)
    assert all(name in text for name in added)
    stored = {
        name: value for name, value in msgspec.json.decode(text).items() if f'"{name}"'.encode() not in added
    }
    assert decode(msgspec.json.encode(stored), Order) == replace(new, selecting=False, selections=0)
    assert JobStarted("job_1").id and OrderCreated("order_1", 1).id != OrderCreated("order_1", 2).id
