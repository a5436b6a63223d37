"""Export and deletion of an account, and the audit log."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from backends import with_settings
from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.adapters.local.backend import local_backend
from revisit.api import all_routes, create_app
from revisit.chain.delivery_ledger import create_deliveries
from revisit.chain.job_lifecycle import job_folder
from revisit.domain.audit_record import Audit, pseudonymize
from revisit.domain.job import Cover, Job, Statistics
from revisit.errors import TransientError, UnauthenticatedError
from revisit.ports.authenticator import Authenticator, Claims
from revisit.ports.pagination import find_all
from revisit.ports.record_types import KINDS
from revisit.ports.system_records import SourceState
from revisit.services.accounts.keys import create_key
from revisit.services.subscriptions.results import list_jobs

UID = "annEr5VhGk2WqYxTzB8sLm0cP1d3"
"""As long as Firebase's, so that it is found nowhere by chance."""


def verify(token: str) -> Claims:
    if token not in ("ann", "bob", "boss"):
        raise UnauthenticatedError("sign in again")
    return Claims(UID if token == "ann" else token, operator=token == "boss")


@pytest.fixture
def backend(tmp_path, clock):
    return with_settings(
        local_backend(tmp_path / "data", ("folder:/archive",), lambda: clock[-1]),
        authenticator=Authenticator(verify),
    )


ANN, BOB, BOSS = ({"Authorization": f"Bearer {name}"} for name in ("ann", "bob", "boss"))


def make_records(client, backend, headers, owner) -> Job:
    """A subscription with an alert and a delivery, an order, a key, an answer kept for a repeat."""
    wish = {
        "aoi": FIELD,
        "name": "field",
        "webhooks": ["https://hooks.example.com/x"],
        "backfill": "2024-06-01",
    }
    made = client.post("/subscriptions", json=wish, headers={**headers, "Idempotency-Key": "one"}).json
    assert (
        client.post("/orders", json={"aoi": FIELD, "start": "2024-06-01"}, headers=headers).status_code == 202
    )
    file = backend.assets.workspace() / "ndvi"
    file.write_bytes(owner.encode())
    began = list_jobs(backend, made["subscription"], owner)[0]
    asset = backend.assets.store(file, f"{job_folder(began.id)}/NDVI.tif", "image/tiff")
    job = end_job(
        backend,
        began,
        cover=Cover(10, 8, 6),
        assets=(asset,),
        indices={"NDVI": Statistics(6, 0.5, 0.1, 0.1, 0.9, 0.5)},
    )
    assert len(create_deliveries(job.id, backend)) == 1
    create_key(backend, "laptop", owner=owner)
    return job


@pytest.fixture
def owned_records(client, backend):
    backend.commit(
        lambda commit: commit.put(SourceState("folder:/archive", refreshed=NOW)), completes_event=False
    )
    add_to_catalog(backend, product(1), product(2))
    return make_records(client, backend, ANN, UID), make_records(client, backend, BOB, "bob")


def test_me_returns_the_caller(client, backend):
    assert client.get("/me", headers=BOSS).json == {
        "owner": "boss",
        "operator": True,
        "scopes": ["operator", "read", "write"],
        "key": None,
    }
    made, key = create_key(backend, "x", owner=UID)
    assert client.get("/me", headers={"Authorization": f"Bearer {key}"}).json == {
        "owner": UID,
        "operator": False,
        "scopes": ["read"],
        "key": made.id,
    }


def test_an_export_holds_all_that_is_ones_own_and_nothing_that_opens_anything(client, backend, owned_records):
    answer = client.get("/me/export", headers=ANN)
    document = answer.json
    assert {
        name: len(document[name])
        for name in ("subscriptions", "orders", "jobs", "alerts", "deliveries", "keys")
    } == {"subscriptions": 1, "orders": 2, "jobs": 4, "alerts": 1, "deliveries": 1, "keys": 1}
    assert {job["job"] for job in document["jobs"]} == {
        job.id for job in find_all(backend.records, Job) if job.owner == UID
    }
    assert (
        document["alerts"][0]["job"] == owned_records[0].id
        and document["deliveries"][0]["target"] == "https://hooks.example.com/x"
    )
    assert (
        "whsec_" not in answer.text
        and "bob" not in answer.text
        and "/feeds/" not in answer.text
        and "rvt_" not in answer.text
    )


def test_an_account_that_is_deleted_leaves_nothing_of_its_uid_in_any_record(client, backend, owned_records):
    feed = client.get("/subscriptions", headers=ANN).json["subscriptions"][0]["feed"]
    bobs = client.get("/me/export", headers=BOB).json
    left_over = backend.assets.workspace() / "half"
    left_over.write_bytes(UID.encode())
    backend.assets.store(
        left_over, f"{job_folder(owned_records[0].id)}/bands-of-a-run-that-was-cut-off.tif", "image/tiff"
    )
    done = client.delete("/me", headers=ANN)
    assert done.json == {
        "deleted": {
            "apikey": 1,
            "delivery": 1,
            "alert": 1,
            "job": 4,
            "order": 2,
            "subscription": 1,
            "answered": 1,
            "usage": 1,
            "asset": 2,
        }
    }
    everything = json.dumps([repr(record) for kind in KINDS for record in find_all(backend.records, kind)])
    assert UID not in everything and everything.count("bob") > 5
    held = {
        file.relative_to(backend.assets.root): file.read_bytes()
        for file in backend.assets.root.rglob("*")
        if file.is_file()
    }
    assert held == {Path(owned_records[1].assets[0].path): b"bob"}
    assert client.get(feed).status_code == 404
    assert client.get("/me/export", headers=BOB).json == bobs
    assert client.get("/subscriptions", headers=ANN).json == {"subscriptions": []}
    assert client.delete("/me", headers=ANN).json == {"deleted": {}}


def test_what_is_under_way_when_an_account_ends_comes_to_nothing(client, backend, owned_records):
    waiting = [job for job in find_all(backend.records, Job, state="started") if job.owner == UID]
    client.delete("/me", headers=ANN)
    for job in waiting:
        end_job(backend, job)
    assert create_deliveries(owned_records[1].id, backend) == [] and not [
        job for job in find_all(backend.records, Job) if job.owner == UID
    ]


def test_where_nobody_signs_in_there_is_no_account_to_delete(tmp_path):
    client = create_app(local_backend(tmp_path / "data")).test_client()
    client.post("/subscriptions", json={"aoi": FIELD, "name": "field"})
    refused = client.delete("/me")
    assert refused.status_code == 409 and "delete the data folder" in refused.json["detail"]
    assert len(client.get("/me/export").json["subscriptions"]) == 1


# ------------------------------------------------------------------------------------------------------------
# audit log


def lines(backend) -> list[Audit]:
    return list(find_all(backend.records, Audit))


@pytest.mark.parametrize(
    ("method", "path"),
    [(route.method, route.path) for route in all_routes() if not route.reads],
)
def test_every_changing_route_writes_exactly_one_audit_entry_whatever_its_result(
    client, backend, method, path
):
    here = path.replace("<id>", "none").replace("<channel>", "none")
    answer = client.open(
        here, method=method, json={}, headers={**ANN, "X-Forwarded-For": "10.0.0.1, 203.0.113.7"}
    )
    [line] = lines(backend)
    assert (line.what, line.about, line.status, line.request, line.at) == (
        f"{method} {path}",
        here,
        answer.status_code,
        answer.headers["X-Request-Id"],
        NOW,
    )
    assert (
        UID not in repr(line)
        and "203.0.113.7" not in repr(line)
        and line.origin == pseudonymize("origin", "203.0.113.7")
    )


def test_the_book_tells_people_and_keys_apart_and_is_read_by_time(client, backend, clock):
    made, key = create_key(backend, "x", ["write"], owner=UID)
    for step, headers in enumerate((ANN, BOB, {"Authorization": f"Bearer {key}"})):
        clock.append(NOW + timedelta(minutes=step))
        client.delete("/subscriptions/none", headers=headers)
    document = client.get("/audit", headers=BOSS).json["audit"]
    assert [line["at"][14:16] for line in document] == ["00", "01", "02"]
    assert document[0]["who"] == document[2]["who"] != document[1]["who"] and [
        line["key"] for line in document
    ] == [
        None,
        None,
        made.id,
    ]
    assert client.get(f"/audit?after={document[0]['id']}&limit=1", headers=BOSS).json["audit"] == [
        document[1]
    ]


def test_reads_and_unauthenticated_requests_write_no_audit_entry(client, backend):
    client.get("/subscriptions", headers=ANN)
    client.delete("/subscriptions/none")
    client.delete("/subscriptions/none", headers={"Authorization": "Bearer nobody"})
    assert lines(backend) == []


def test_a_request_whose_audit_record_cannot_be_written_is_answered_503_and_recorded_when_repeated(
    client, backend, monkeypatch
):
    commit = type(backend).commit

    def fail_to_audit(self, work, completes_event=True):
        if "entry" in work.__code__.co_freevars:
            raise TransientError("the disk is full")
        return commit(self, work, completes_event)

    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "commit", fail_to_audit)
        refused = client.delete("/subscriptions/none", headers=ANN)
    assert (refused.status_code, refused.json["detail"]) == (503, "the disk is full")
    client.delete("/subscriptions/none", headers=ANN)
    assert [line.status for line in lines(backend)] == [404]
