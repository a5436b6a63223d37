"""How jobs begin, keep what they make, and end: each step one commit, and none of them happens twice."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import file_digest
from pathlib import Path
from secrets import token_hex
from typing import Any

from revisit.domain.events import JobExtracted, JobFinished, JobStarted
from revisit.domain.job import FINISHED, Asset, Job
from revisit.domain.order import Order
from revisit.errors import Retry
from revisit.ports.backend import Backend, Commit

CANCELLED = "the order was cancelled"
"""Why a job was skipped that its order is not to have."""

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
        commit.emit(JobStarted(job.id, job.lane, job.again))
    return len(new)


def finish(commit: Commit, job: Job) -> None:
    """Write a finished job, count it off its orders, and say that it finished; nothing where it had finished before.

    What nobody wants any more is skipped, however far it came.
    """
    was = commit.get(Job, job.id)
    if was is None or was.state in FINISHED:
        return
    orders = [order for order in (commit.get(Order, id) for id in was.orders) if order]
    if unwanted(was, orders):
        job = given_up(was, job.finished)
    commit.put(job.updated(orders=was.orders))
    for order in orders:
        commit.put(order.without(1, job.finished))
    commit.emit(JobFinished(job.id, job.lane, job.again))


def unwanted(job: Job, orders: Iterable[Order | None]) -> bool:
    """Whether nobody waits for a job any more: no subscription, and each of its orders is cancelled."""
    orders = list(orders)
    return not job.subscription and bool(orders) and all(order is not None and order.cancelled for order in orders)


def given_up(job: Job, finished: datetime | None) -> Job:
    """A job that was cancelled."""
    return job.updated(state="skipped", reason=CANCELLED, finished=finished)


def leave(backend: Backend, job: Job) -> bool:
    """Close a job that nobody wants any more, before work is put into it; returns whether it is one."""
    if not unwanted(job, (backend.records.get(Order, id) for id in job.orders)):
        return False
    backend.commit(partial(finish, job=given_up(job, backend.now())))
    return True


def go_on(commit: Commit, job: Job) -> None:
    """Write a job whose bands are cut out, and say so; nothing where it has ended meanwhile."""
    was = commit.get(Job, job.id)
    if was is None or was.state != "started":
        return
    commit.put(job.updated(orders=was.orders))
    commit.emit(JobExtracted(job.id, job.lane, job.again))


def keep(backend: Backend, job: Job, name: str, write: Callable[[Path], None], media_type: str, roles: tuple[str, ...] = ("data",),
         about: dict[str, Any] | None = None) -> Asset:
    """Make a file of a job and keep it under a name that its content decides, so that a second run keeps the same.

    Args:
        name: Key of the asset, with the file's suffix: "bands.tif".
        write: Writes the file at the path it is given.
        about: STAC fields that describe it.

    Raises:
        Retry: The disk is full or fails.
    """
    stem, suffix = name.rsplit(".", 1)
    unfinished = backend.assets.workspace() / f"{job.id}-{stem}-{token_hex(4)}.{suffix}"
    try:
        write(unfinished)
        with unfinished.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise Retry(f"{name} of job {job.id} cannot be written: {error.strerror or error}") from error
    try:
        asset = backend.assets.store(unfinished, f"{folder_of(job.id)}/{stem}-{digest[:16]}.{suffix}", media_type)
    finally:
        unfinished.unlink(missing_ok=True)
    return replace(asset, name=stem, roles=roles, about=about or {})


def folder_of(job: str) -> str:
    """Where all files of a job lie, and no others."""
    return f"jobs/{job}"


def fail(event: Any, backend: Backend, reason: str) -> None:
    """Close the job of an event as failed, with its reason: what `extract` and `index` do when they give up."""
    job = backend.records.get(Job, event.job)
    if job is not None:
        failed = job.updated(state="failed", reason=reason, finished=backend.now())
        backend.commit(lambda commit: finish(commit, failed))
