"""How jobs begin and end: each step one commit, and none of them happens twice."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from revisit.events import JobFinished, JobStarted
from revisit.job import FINISHED, Job
from revisit.order import Order
from revisit.ports import Backend, Commit

AT_ONCE = 150
"""Jobs begun in one commit; Firestore takes 500 writes."""


def start(backend: Backend, jobs: Iterable[Job], last: bool = True) -> int:
    """Begin every job that is not there yet; returns how many began.

    Args:
        jobs: As they are to be written; one whose id is known stays as it is, so a reprocessed product begins nothing.
        last: Whether this completes the handling of the backend's cause.
    """
    jobs = list(jobs)
    begun = 0
    while jobs or last:
        batch, jobs = jobs[:AT_ONCE], jobs[AT_ONCE:]
        begun += backend.commit(partial(_start, jobs=batch), last=last and not jobs) or 0
        if not jobs:
            break
    return begun


def _start(commit: Commit, jobs: list[Job]) -> int:
    new = [job for job in jobs if commit.get(Job, job.id) is None]
    for job in new:
        commit.put(job)
        commit.emit(JobStarted(job.id, job.lane))
    return len(new)


def finish(commit: Commit, job: Job) -> None:
    """Write a finished job, count it off its orders, and say that it finished; nothing where it had finished before."""
    was = commit.get(Job, job.id)
    if was is None or was.state in FINISHED:
        return
    orders = [order for order in (commit.get(Order, id) for id in was.orders) if order]
    commit.put(job.updated(orders=was.orders))
    for order in orders:
        commit.put(order.updated(open=max(order.open - 1, 0)))
    commit.emit(JobFinished(job.id, job.lane))


def fail(event: Any, backend: Backend, reason: str) -> None:
    """Close the job of an event as failed, with its reason: what `extract` and `index` do when they give up."""
    job = backend.records.get(Job, event.job)
    if job is not None:
        failed = job.updated(state="failed", reason=reason, finished=backend.now())
        backend.commit(lambda commit: finish(commit, failed))
