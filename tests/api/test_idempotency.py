"""Idempotency-Key on every route that the specification says heeds one."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from openapi_operations import operations
from products import FIELD, NOW, add_to_catalog, product
from revisit.api.routes import orders
from revisit.errors import TransientError
from revisit.ports.system_records import IdempotencyRecord
from tenant_samples import Deployment, make_deployment

HEEDING = [
    one for one in operations() if any(each["name"] == "Idempotency-Key" for each in one.parameters("header"))
]
BOSS = {"Authorization": "Bearer boss", "Idempotency-Key": "3b241101-e2bb-4255-8caf-4136c566a962"}
ANN = {**BOSS, "Authorization": "Bearer ann"}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return make_deployment(tmp_path_factory.mktemp("deployment") / "data")


@pytest.mark.parametrize("operation", HEEDING, ids=str)
def test_the_same_request_is_processed_once_and_another_with_its_key_rejected(
    deployment, tmp_path, operation
):
    here = deployment.copy(tmp_path / "data")
    client, address = here.client, operation.address(here.path_values)
    headers = BOSS if operation.who == "whole" else ANN
    first, again = (
        client.open(address, method=operation.method, json=operation.example, headers=headers)
        for _ in range(2)
    )
    assert first.status_code == operation.success, first.text
    assert (again.status_code, again.data, again.headers.get("Location")) == (
        first.status_code,
        first.data,
        first.headers.get("Location"),
    )
    other = client.open(
        f"{address}?and=more", method=operation.method, json=operation.example, headers=headers
    )
    assert other.status_code == 422 and "was used for another request" in other.json["detail"]


@pytest.mark.parametrize("operation", HEEDING, ids=str)
def test_a_key_is_heeded_by_its_owners_requests_only_and_only_where_it_is_one(
    deployment, tmp_path, operation
):
    here = deployment.copy(tmp_path / "data")
    client, address = here.client, operation.address(here.path_values)
    headers = BOSS if operation.who == "whole" else ANN
    for bad in ("", "a b", "x" * 256, "\u00fc"):
        refused = client.open(
            address,
            method=operation.method,
            json=operation.example,
            headers={**headers, "Idempotency-Key": bad},
        )
        assert refused.status_code == 422 and "Idempotency-Key" in refused.json["detail"], bad
    first = client.open(address, method=operation.method, json=operation.example, headers=headers)
    bob = client.open(
        address,
        method=operation.method,
        json=operation.example,
        headers={**headers, "Authorization": "Bearer bob"},
    )
    assert first.status_code == operation.success
    assert bob.status_code == {"mine": 404, "whole": 403}.get(operation.who, operation.success)


def test_of_two_equal_concurrent_requests_one_is_processed_and_the_other_must_wait(
    deployment, tmp_path, monkeypatch
):
    here = deployment.copy(tmp_path / "data")
    operation = next(one for one in HEEDING if str(one) == "POST /orders")
    send = partial(here.client.post, "/orders", json=operation.example, headers=ANN)
    fulfil, second = orders.create_order, []

    def slow(*given, **options):
        if not second:
            second.append(send())
        return fulfil(*given, **options)

    monkeypatch.setattr(orders, "create_order", slow)
    first = send()
    assert (second[0].status_code, second[0].headers["Retry-After"]) == (
        503,
        "5",
    ) and "still in progress" in second[0].json["detail"]
    assert (first.status_code, send().data) == (202, first.data)


def test_a_request_that_failed_or_died_is_processed_by_the_next_one(deployment, tmp_path, monkeypatch):
    here = deployment.copy(tmp_path / "data")
    operation = next(one for one in HEEDING if str(one) == "POST /orders")
    send = partial(here.client.post, "/orders", json=operation.example, headers=ANN)

    begun = []

    def broken(*_, **__):
        begun.extend(here.backend.records.find(IdempotencyRecord))
        raise TransientError("away")

    with monkeypatch.context() as patch:
        patch.setattr(orders, "create_order", broken)
        assert (send().status_code, here.backend.records.count(IdempotencyRecord)) == (503, 0)
    [left] = begun
    here.backend.commit(
        lambda commit: commit.put(left), completes_event=False
    )  # as a process leaves it that is killed
    response = send()
    assert response.status_code == 503 and "still in progress" in response.json["detail"]
    here.backend.commit(
        lambda commit: commit.put(replace(left, at=left.at - timedelta(seconds=121))), completes_event=False
    )
    assert send().status_code == 202


ORDER = {"aoi": FIELD, "start": "2024-06-01", "end": "2024-06-02"}
DAY = timedelta(hours=24)
SECOND = timedelta(seconds=1)


@pytest.fixture
def place(backend, client):
    """Places one small order with a key."""
    add_to_catalog(backend, product(1))
    return lambda key="one", **changes: client.post(
        "/orders", json=ORDER | changes, headers={"Idempotency-Key": key}
    )


@pytest.fixture
def reservation(backend, place, monkeypatch):
    """The record of a request that is in progress."""
    records = []

    def fail(*_, **__):
        records.extend(backend.records.find(IdempotencyRecord))
        raise TransientError("away")

    with monkeypatch.context() as patch:
        patch.setattr(orders, "create_order", fail)
        assert place().status_code == 503
    [reserved] = records
    return reserved


def put(backend, *records):
    def work(transaction):
        for record in records:
            transaction.put(record)

    backend.records.transact(work)


def test_a_key_is_free_again_after_exactly_a_day(place, clock):
    first = place()
    clock.append(NOW + DAY - SECOND)
    assert place().data == first.data and place(end="2024-06-03").status_code == 422
    clock.append(NOW + DAY)
    assert place(end="2024-06-03").status_code == 202


def test_a_request_in_progress_has_two_minutes_before_a_repeat_takes_over(
    backend, place, reservation, clock, monkeypatch
):
    # Records of earlier releases hold the status 0 too.
    assert (reservation.status, reservation.at) == (0, NOW)
    put(backend, reservation)
    clock.append(NOW + timedelta(seconds=120) - SECOND)
    assert place().status_code == 503
    clock.append(NOW + timedelta(seconds=120))
    create_order, concurrent = orders.create_order, []

    def create_slowly(*args, **options):
        if not concurrent:
            concurrent.append(place().status_code)
        return create_order(*args, **options)

    monkeypatch.setattr(orders, "create_order", create_slowly)
    assert (place().status_code, concurrent) == (202, [503])


def test_a_reservation_is_held_until_its_answer_is_stored(backend, place, monkeypatch):
    statuses, find = [], type(backend.records).find

    def find_and_look(records, kind, *args, **options):
        if kind is IdempotencyRecord:
            statuses.extend(record.status for record in find(records, kind))
        return find(records, kind, *args, **options)

    monkeypatch.setattr(type(backend.records), "find", find_and_look)
    assert place().status_code == 202
    assert statuses == [0]
    assert [record.status for record in find(backend.records, IdempotencyRecord)] == [202]


def test_each_stored_answer_purges_up_to_twenty_expired_ones(backend, place, reservation):
    kept = replace(reservation, id="answer_z00", at=NOW - DAY + SECOND, status=202)
    expired = [replace(kept, id=f"answer_z{number}", at=NOW - DAY) for number in range(10, 60)]
    put(backend, kept, *expired)
    assert place().status_code == 202
    # Twenty records were read: the one that is kept, and nineteen expired ones.
    assert backend.records.count(IdempotencyRecord) == 1 + 50 - 19 + 1
    assert backend.records.get(IdempotencyRecord, kept.id) == kept


@pytest.mark.parametrize("key", ["!", "~", "x" * 255])
def test_the_shortest_the_longest_and_the_outermost_characters_make_a_key(place, key):
    first = place(key)
    assert first.status_code == 202
    again = place(key)
    assert (again.data, again.content_type) == (first.data, first.content_type)
    assert again.headers["Location"] == first.headers["Location"]


def test_a_route_that_takes_no_key_stores_nothing(backend, client):
    assert client.get("/limits", headers={"Idempotency-Key": "one"}).status_code == 200
    assert client.get("/status", headers={"Idempotency-Key": "not a key"}).status_code == 200
    assert not backend.records.find(IdempotencyRecord)
