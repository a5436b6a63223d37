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
from revisit.domain.job import FINISHED_STATES, Asset, Job
from revisit.domain.order import Order
from revisit.errors import TransientError
from revisit.ports.backend import Backend, Commit
from revisit.ports.batch_sizes import MAX_RECORDS_PER_COMMIT

CANCELLED_REASON = "the order was cancelled"
"""Why a job was skipped that its order is not to have."""


def start_jobs(backend: Backend, jobs: Iterable[Job], completes_event: bool = True) -> int:
    """Begin every job that is not there yet; returns how many began.

    Args:
        jobs: As they are to be written; one whose id is known stays as it is, so a reprocessed product begins
            nothing.
        completes_event: Whether this completes the handling of the backend's cause.
    """
    jobs = list(jobs)
    begun = 0
    while jobs or completes_event:
        batch, jobs = jobs[:MAX_RECORDS_PER_COMMIT], jobs[MAX_RECORDS_PER_COMMIT:]
        begun += (
            backend.commit(partial(_start_batch, jobs=batch), completes_event=completes_event and not jobs)
            or 0
        )
        if not jobs:
            break
    return begun


def _start_batch(commit: Commit, jobs: list[Job]) -> int:
    new = [job for job in jobs if commit.get(Job, job.id) is None]
    for job in new:
        commit.put(job)
        commit.emit(JobStarted(job.id, job.lane, job.again))
    return len(new)


def finish(commit: Commit, job: Job) -> None:
    """Write a finished job, count it off its orders, and say that it finished; nothing where it had finished
    before.

    What nobody wants any more is skipped, however far it came.
    """
    was = commit.get(Job, job.id)
    if was is None or was.state in FINISHED_STATES:
        return
    orders = [order for order in (commit.get(Order, id) for id in was.orders) if order]
    if is_cancelled(was, orders):
        job = as_cancelled(was, job.finished)
    commit.put(job.with_changes(orders=was.orders))
    for order in orders:
        commit.put(order.close_jobs(1, job.finished, failed=job.state == "failed"))
    commit.emit(JobFinished(job.id, job.lane, job.again))


def is_cancelled(job: Job, orders: Iterable[Order | None]) -> bool:
    """Whether nobody waits for a job any more: no subscription, and each of its orders is cancelled."""
    orders = list(orders)
    return (
        not job.subscription
        and bool(orders)
        and all(order is not None and order.cancelled for order in orders)
    )


def as_cancelled(job: Job, finished: datetime | None) -> Job:
    """A job that was cancelled."""
    return job.with_changes(state="skipped", reason=CANCELLED_REASON, finished=finished)


def close_if_cancelled(backend: Backend, job: Job) -> bool:
    """Close a job that nobody wants any more, before work is put into it; returns whether it is one."""
    if not is_cancelled(job, (backend.records.get(Order, id) for id in job.orders)):
        return False
    backend.commit(partial(finish, job=as_cancelled(job, backend.now())))
    return True


def mark_extracted(commit: Commit, job: Job) -> None:
    """Write a job whose bands are cut out, and say so; nothing where it has ended meanwhile."""
    was = commit.get(Job, job.id)
    if was is None or was.state != "started":
        return
    commit.put(job.with_changes(orders=was.orders))
    commit.emit(JobExtracted(job.id, job.lane, job.again))


def store_asset(
    backend: Backend,
    job: Job,
    name: str,
    write: Callable[[Path], None],
    media_type: str,
    roles: tuple[str, ...] = ("data",),
    stac_fields: dict[str, Any] | None = None,
) -> Asset:
    """Make a file of a job and keep it under a name that its content decides, so that a second run keeps the
    same.

    Args:
        name: Key of the asset, with the file's suffix: "bands.tif".
        write: Writes the file at the path it is given.
        about: STAC fields that describe it.

    Raises:
        TransientError: The disk is full or fails.
    """
    stem, suffix = name.rsplit(".", 1)
    unfinished = backend.assets.workspace() / f"{job.id}-{stem}-{token_hex(4)}.{suffix}"
    try:
        write(unfinished)
        with unfinished.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise TransientError(
            f"{name} of job {job.id} cannot be written: {error.strerror or error}"
        ) from error
    try:
        asset = backend.assets.store(
            unfinished, f"{job_folder(job.id)}/{stem}-{digest[:16]}.{suffix}", media_type
        )
    finally:
        unfinished.unlink(missing_ok=True)
    return replace(asset, name=stem, roles=roles, about=stac_fields or {})


def job_folder(job_id: str) -> str:
    """Where all files of a job lie, and no others."""
    return f"jobs/{job_id}"


def fail(event: Any, backend: Backend, reason: str) -> None:
    """Close the job of an event as failed, with its reason: what `extract` and `index` do when they give
    up."""
    job = backend.records.get(Job, event.job)
    if job is not None:
        failed = job.with_changes(state="failed", reason=reason, finished=backend.now())
        backend.commit(lambda commit: finish(commit, failed))
