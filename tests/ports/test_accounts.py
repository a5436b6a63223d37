"""Keys and accounts, wherever the records are kept."""

import json

import pytest

from products import FIELD, product
from revisit.chain.job_lifecycle import job_folder
from revisit.domain.alert import Alert
from revisit.domain.aoi import AOI
from revisit.domain.delivery import Delivery
from revisit.domain.job import Job, job_id
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.errors import NotFoundError, UnauthenticatedError
from revisit.ports.pagination import find_all
from revisit.ports.record_types import KINDS
from revisit.services.accounts.account import delete_account, export_account
from revisit.services.accounts.keys import authenticate_key, create_key, list_keys, revoke_key
from revisit.services.orders.create import write_order as put_order
from revisit.services.subscriptions.create import create_subscription
from samples import alert, delivery

NDVI = Recipe(indices=("NDVI",))


def test_a_key_opens_until_it_is_revoked_and_its_last_day_is_noted(backend, clock):
    made, key = create_key(backend, "laptop", ["read", "write"], owner="ann")
    create_key(backend, "other", owner="bob")
    assert authenticate_key(backend, key).id == made.id
    assert [(one.name, one.used) for one in list_keys(backend, "ann")] == [("laptop", clock().date())]
    clock.advance(86_400)
    authenticate_key(backend, key)
    assert list_keys(backend, "ann")[0].used == clock().date()
    revoke_key(backend, made.id, "ann")
    for refused in (key, key[:-1], f"rvt_{made.id}_x", "rvt_none_x"):
        with pytest.raises(UnauthenticatedError):
            authenticate_key(backend, refused)


def live(backend, owner: str) -> None:
    """A subscription with an alert and its delivery, an order with three jobs, a key."""
    watched = create_subscription(backend, AOI.from_normalized(FIELD), "field", NDVI, owner=owner)
    line = alert(watched.id, owner=owner)
    way = delivery(f"delivery_{owner}", alert=line.id, subscription=watched.id, owner=owner)
    asked = Order(f"order_{owner}", FIELD, NDVI, backend.now(), owner=owner)
    jobs = [
        Job(
            job_id(asked.id, seen.acquisition, NDVI),
            seen,
            FIELD,
            NDVI,
            backend.now(),
            owner=owner,
            orders=(asked.id,),
        )
        for seen in (product(1), product(2), product(3))
    ]
    put_order(backend, asked, jobs)
    for name in ("NDVI.tif", "item.json"):
        file = backend.assets.workspace() / name
        file.write_text(owner)
        backend.assets.store(file, f"{job_folder(jobs[0].id)}/{name}", "image/tiff")
    backend.commit(lambda commit: (commit.put(line), commit.put(way)), completes_event=False)
    create_key(backend, "laptop", owner=owner)


def _is_there(backend, path: str) -> bool:
    try:
        return backend.assets.read(path) == b"bob"
    except NotFoundError:
        return False


def test_an_account_is_exported_as_a_whole_and_deleted_without_a_trace(backend):
    ann = "annEr5VhGk2WqYxTzB8sLm0cP1d3"
    live(backend, ann)
    live(backend, "bob")
    result = export_account(backend, ann)
    assert {name: len(value) for name, value in result.items() if isinstance(value, list)} == {
        "subscriptions": 1,
        "orders": 1,
        "jobs": 3,
        "alerts": 1,
        "deliveries": 1,
        "keys": 1,
    }
    assert "bob" not in json.dumps(result)
    assert delete_account(backend, ann) == {
        "deleted": {
            "apikey": 1,
            "delivery": 1,
            "alert": 1,
            "job": 3,
            "order": 1,
            "subscription": 1,
            "usage": 1,
            "asset": 2,
        }
    }
    for owner, there in ((ann, False), ("bob", True)):
        paths = [
            f"{job_folder(job_id(f'order_{owner}', product(1).acquisition, NDVI))}/{name}"
            for name in ("NDVI.tif", "item.json")
        ]
        assert [_is_there(backend, path) for path in paths] == [there, there]
    left = [record for kind in KINDS for record in find_all(backend.records, kind)]
    assert not [record for record in left if ann in repr(record)]
    assert [backend.records.count(kind) for kind in (Alert, Delivery, Job)] == [1, 1, 3]
