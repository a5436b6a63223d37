"""Export and deletion of all data of an owner."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from revisit.chain.job_lifecycle import job_folder
from revisit.domain.alert import Alert
from revisit.domain.api_key import ApiKey
from revisit.domain.delivery import Delivery
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.domain.subscription import Subscription
from revisit.domain.usage import Usage, usage_id
from revisit.errors import ConflictError
from revisit.ports.backend import Backend, Commit
from revisit.ports.batch_sizes import MAX_RECORDS_PER_COMMIT
from revisit.ports.pagination import find_all
from revisit.ports.record_types import collection_name
from revisit.ports.system_records import IdempotencyRecord
from revisit.presenters import documents

REMOVE_THREADS = 8
"""Number of jobs whose files are deleted concurrently, because each request to a remote store takes its time.
"""
MAX_ROUNDS = 3
"""Passes over the records: functions that run during the deletion may still write."""


def export_account(backend: Backend, owner: str) -> dict[str, Any]:
    """All data of an owner as JSON values, without secrets."""
    records, now = backend.records, backend.now()
    watched = list(find_all(records, Subscription, owner=owner))
    ordered = list(find_all(records, Order, owner=owner))
    return {
        "owner": owner,
        "at": documents.json_time(now),
        "subscriptions": [{**documents.subscription(one), "feed": None, "calendar": None} for one in watched],
        "orders": [documents.order_summary(one) for one in ordered],
        "jobs": [documents.job(one) for one in find_all(records, Job, owner=owner)],
        "alerts": [
            documents.alert(line) for one in watched for line in find_all(records, Alert, subscription=one.id)
        ],
        "deliveries": [
            documents.delivery(way)
            for one in watched
            for way in find_all(records, Delivery, subscription=one.id)
        ],
        "keys": [documents.api_key(one, now) for one in find_all(records, ApiKey, owner=owner)],
    }


def delete_account(backend: Backend, owner: str) -> dict[str, Any]:
    """Delete an account with all its records and files; returns the number of each kind.

    A repeat continues an interrupted deletion: the files of a job are deleted before its record,
    subscriptions last.

    Raises:
        ConflictError: It is the owner of records that are created without authentication.
        TransientError: A store does not answer; a part is deleted.
    """
    if owner == "local":
        raise ConflictError(
            "there are no accounts here, because users do not sign in; "
            "stop the server and delete the data folder"
        )
    gone: dict[str, int] = {}
    for key in find_all(backend.records, ApiKey, owner=owner):
        _delete_records(backend, [key], gone)
    for _ in range(MAX_ROUNDS):
        # Subscriptions are marked as deleted first, so that they start no new jobs, and are deleted last, so
        # that a repeat finds the rest.
        watched = list(find_all(backend.records, Subscription, owner=owner))
        for one in watched:
            backend.commit(partial(_mark_deleted, id=one.id), completes_event=False)
        ordered = list(find_all(backend.records, Order, owner=owner))
        jobs = list(find_all(backend.records, Job, owner=owner))
        for kind in (Delivery, Alert):
            _delete_records(
                backend,
                (
                    record
                    for one in watched
                    for record in find_all(backend.records, kind, subscription=one.id)
                ),
                gone,
            )
        _remove_files(backend, jobs, gone)
        _delete_records(backend, jobs, gone)
        _delete_records(backend, ordered, gone)
        _delete_records(backend, watched, gone)
        if not watched and not ordered and not jobs:
            break
    _delete_records(backend, find_all(backend.records, IdempotencyRecord, owner=owner), gone)
    if usage := backend.records.get(Usage, usage_id(owner)):
        _delete_records(backend, [usage], gone)
    return {"deleted": gone}


def _mark_deleted(commit: Commit, id: str) -> None:
    there = commit.get(Subscription, id)
    if there is not None and there.state != "deleted":
        commit.put(there.with_changes(state="deleted", paused=None))


def _remove_files(backend: Backend, jobs: list[Job], counts: dict[str, int]) -> None:
    """Delete all files in the folders of jobs, including those that an interrupted run left."""
    with ThreadPoolExecutor(REMOVE_THREADS, "remove") as pool:
        removed = sum(pool.map(backend.assets.remove, [job_folder(job.id) for job in jobs]))
    if removed:
        counts["asset"] = counts.get("asset", 0) + removed


def _delete_records(backend: Backend, records: Iterable[Any], counts: dict[str, int]) -> None:
    there = list(records)
    for start in range(0, len(there), MAX_RECORDS_PER_COMMIT):
        chunk = there[start : start + MAX_RECORDS_PER_COMMIT]
        backend.commit(partial(_delete_in_commit, records=chunk), completes_event=False)
        for record in chunk:
            name = collection_name(type(record))
            counts[name] = counts.get(name, 0) + 1


def _delete_in_commit(commit: Commit, records: list[Any]) -> None:
    for record in records:
        commit.delete(type(record), record.id)
