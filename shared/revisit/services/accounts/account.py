"""All that is an owner's: told as a whole, and ended for good (rules.md D1)."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from revisit.chain.job_lifecycle import folder_of
from revisit.domain.alert import Alert
from revisit.domain.api_key import ApiKey
from revisit.domain.delivery import Delivery
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.domain.subscription import Subscription
from revisit.domain.usage import Usage, usage_id
from revisit.errors import Conflict
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import every
from revisit.ports.system_records import Answered
from revisit.presenters import documents

AT_ONCE = 150
"""Records deleted in one commit; Firestore takes 500 writes."""
REMOVED_AT_ONCE = 8
"""Jobs whose files are removed side by side: a store far away takes its time for each."""
PASSES = 3
"""Functions at work while an account ends may still write what they had begun; so often is looked for it."""


def export(backend: Backend, owner: str) -> dict[str, Any]:
    """All that is kept of an owner, as JSON values, but for what opens anything."""
    records, now = backend.records, backend.now()
    watched = list(every(records, Subscription, owner=owner))
    ordered = list(every(records, Order, owner=owner))
    return {
        "owner": owner,
        "at": documents.moment(now),
        "subscriptions": [{**documents.subscription(one), "feed": None, "calendar": None} for one in watched],
        "orders": [documents.order_line(one) for one in ordered],
        "jobs": [documents.job(one) for one in every(records, Job, owner=owner)],
        "alerts": [documents.alert(line) for one in watched for line in every(records, Alert, subscription=one.id)],
        "deliveries": [documents.delivery(way) for one in watched for way in every(records, Delivery, subscription=one.id)],
        "keys": [documents.key(one, now) for one in every(records, ApiKey, owner=owner)],
    }


def erase(backend: Backend, owner: str) -> dict[str, Any]:
    """End an account: every record and every file of it is deleted; returns how many of each kind.

    Asked again where it was cut off, it goes on: a job's files go before its record, and those that watch go last.

    Raises:
        Conflict: It is the owner of what is made without signing in.
        Retry: A store does not answer; some is deleted.
    """
    if owner == "local":
        raise Conflict("here nobody signs in, so there is no account to delete; stop the server and remove the data folder")
    gone: dict[str, int] = {}
    for key in every(backend.records, ApiKey, owner=owner):
        _delete(backend, [key], gone)
    for _ in range(PASSES):
        # Those that watch are silenced first, so that nothing new comes of them, and deleted last, so that a repeat finds the rest.
        watched = list(every(backend.records, Subscription, owner=owner))
        for one in watched:
            backend.commit(partial(_silence, id=one.id), last=False)
        ordered = list(every(backend.records, Order, owner=owner))
        jobs = list(every(backend.records, Job, owner=owner))
        for kind in (Delivery, Alert):
            _delete(backend, (record for one in watched for record in every(backend.records, kind, subscription=one.id)), gone)
        _remove_files(backend, jobs, gone)
        _delete(backend, jobs, gone)
        _delete(backend, ordered, gone)
        _delete(backend, watched, gone)
        if not watched and not ordered and not jobs:
            break
    _delete(backend, every(backend.records, Answered, owner=owner), gone)
    if usage := backend.records.get(Usage, usage_id(owner)):
        _delete(backend, [usage], gone)
    return {"deleted": gone}


def _silence(commit: Commit, id: str) -> None:
    there = commit.get(Subscription, id)
    if there is not None and there.state != "deleted":
        commit.put(there.updated(state="deleted", paused=None))


def _remove_files(backend: Backend, jobs: list[Job], gone: dict[str, int]) -> None:
    """All that lies in the jobs' folders, be it named by their records or left by a run that was cut off."""
    with ThreadPoolExecutor(REMOVED_AT_ONCE, "remove") as pool:
        removed = sum(pool.map(backend.assets.remove, [folder_of(job.id) for job in jobs]))
    if removed:
        gone["asset"] = gone.get("asset", 0) + removed


def _delete(backend: Backend, records: Iterable[Any], gone: dict[str, int]) -> None:
    there = list(records)
    for start in range(0, len(there), AT_ONCE):
        chunk = there[start:start + AT_ONCE]
        backend.commit(partial(_delete_each, records=chunk), last=False)
        for record in chunk:
            name = type(record).__name__.lower()
            gone[name] = gone.get(name, 0) + 1


def _delete_each(commit: Commit, records: list[Any]) -> None:
    for record in records:
        commit.delete(type(record), record.id)
