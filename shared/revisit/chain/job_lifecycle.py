"""The life of a job: start, assets, end. Each step is one commit and happens once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import file_digest
from itertools import batched
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from revisit.domain.events import JobExtracted, JobFinished, JobStarted
from revisit.domain.job import FINISHED_STATES, Asset, Job
from revisit.domain.order import Order
from revisit.domain.product import Product
from revisit.errors import TransientError
from revisit.ports.backend import Backend, Commit
from revisit.ports.batch_sizes import MAX_RECORDS_PER_COMMIT

CANCELLED_REASON = "the order was cancelled"
"""Reason of a job that is skipped because its orders were cancelled."""


def start_jobs(backend: Backend, jobs: Iterable[Job], completes_event: bool = True) -> int:
    """Start every job that does not exist yet.

    Args:
        backend: Holds the records.
        jobs: The jobs; one whose id exists stays as it is, so a reprocessed product starts nothing.
        completes_event: Whether the last commit completes the handling of the backend's cause.

    Returns:
        How many jobs were started.
    """
    batches = list(batched(jobs, MAX_RECORDS_PER_COMMIT))
    if completes_event and not batches:
        batches = [()]
    started = 0
    for number, batch in enumerate(batches, 1):
        completes = completes_event and number == len(batches)
        started += backend.commit(partial(_start_batch, jobs=batch), completes_event=completes) or 0
    return started


def _start_batch(commit: Commit, jobs: Sequence[Job]) -> int:
    new = [job for job in jobs if commit.get(Job, job.id) is None]
    for job in new:
        put_started(commit, job)
    return len(new)


def put_started(commit: Commit, job: Job) -> None:
    """Write a job at the start of a run, and emit job.started."""
    commit.put(job.with_changes(recheck=commit.recheck, republished=0))
    commit.emit(JobStarted(job.id, job.lane, job.again))


def is_open_run(job: Job | None, again: int) -> bool:
    """Whether a stored job has not ended and is in its run `again`: what an older run did changes nothing."""
    return job is not None and job.state not in FINISHED_STATES and job.again == again


def finish(commit: Commit, job: Job) -> None:
    """Write a finished job, count it in its orders and emit job.finished; a no-op if this run of it has ended
    or a later one has started.

    A job whose orders were cancelled is skipped, however far it came.
    """
    was = commit.get(Job, job.id)
    if was is None or not is_open_run(was, job.again):
        return
    orders = [order for order in (commit.get(Order, id) for id in was.orders) if order]
    if is_cancelled(was, orders):
        job = as_cancelled(was, job.finished)
    # Where an alert is due, the sweep checks that it was created.
    recheck = commit.recheck if job.state == "done" and job.subscription else None
    commit.put(job.with_changes(orders=was.orders, previous=None, recheck=recheck, republished=0))
    for order in orders:
        commit.put(order.close_jobs(1, job.finished, job.state == "failed", job.state == "skipped"))
    commit.emit(JobFinished(job.id, job.lane, job.again))


def is_cancelled(job: Job, orders: Iterable[Order | None]) -> bool:
    """Whether a job is no longer needed: it has no subscription, and all of its orders are cancelled."""
    orders = list(orders)
    return (
        not job.subscription
        and bool(orders)
        and all(order is not None and order.cancelled for order in orders)
    )


def as_cancelled(job: Job, finished: datetime | None) -> Job:
    """The job, skipped because its orders were cancelled."""
    return job.with_changes(state="skipped", reason=CANCELLED_REASON, finished=finished, recheck=None)


def close_if_cancelled(backend: Backend, job: Job) -> bool:
    """Skip a job that is no longer needed before any work is done; returns whether it was skipped."""
    if not is_cancelled(job, (backend.records.get(Order, id) for id in job.orders)):
        return False
    backend.commit(partial(finish, job=as_cancelled(job, backend.now())))
    return True


def mark_extracted(commit: Commit, job: Job) -> None:
    """Write a job whose bands are stored and emit job.extracted; a no-op if it has ended meanwhile or a later
    run has started."""
    was = commit.get(Job, job.id)
    if was is None or was.state != "started" or not is_open_run(was, job.again):
        return
    commit.put(
        job.with_changes(
            orders=was.orders, alternates=_merge_alternates(job, was), recheck=commit.recheck, republished=0
        )
    )
    commit.emit(JobExtracted(job.id, job.lane, job.again))


def _merge_alternates(job: Job, stored: Job) -> tuple[Product, ...]:
    """The alternates of a job that was read from one of its sources, with those that were added meanwhile."""
    used = {(one.id, one.source) for one in job.products}
    known = (*job.alternates, *stored.alternates)
    unique = {(one.id, one.source): one for one in known if (one.id, one.source) not in used}
    return tuple(unique.values())


def store_asset(
    backend: Backend,
    job: Job,
    name: str,
    write: Callable[[Path], None],
    media_type: str,
    roles: tuple[str, ...] = ("data",),
    stac_fields: dict[str, Any] | None = None,
) -> Asset:
    """Write a file of a job and store it under a content-addressed name, so that a rerun changes nothing.

    Args:
        backend: Stores the asset.
        job: The job that the file belongs to.
        name: Key of the asset, with the file's suffix: "bands.tif".
        write: Writes the file at the path it is given.
        media_type: MIME type.
        roles: STAC roles of the asset.
        stac_fields: STAC fields that describe the asset.

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


class Raster(Protocol):
    """A raster that can be written as one file."""

    @property
    def media_type(self) -> str: ...

    @property
    def stac_fields(self) -> dict[str, Any]:
        """The STAC fields that describe the pixels."""
        ...

    def write(self, path: Path) -> None:
        """Write the file."""
        ...


def store_raster(backend: Backend, job: Job, name: str, raster: Raster, role: str) -> Asset:
    """Store a raster as the asset `name` with the roles "data" and `role`; errors as for `store_asset`."""
    return store_asset(
        backend,
        job,
        f"{name}.tif",
        raster.write,
        raster.media_type,
        ("data", role),
        raster.stac_fields,
    )


def job_folder(job_id: str) -> str:
    """The folder of a job's files, which holds no others."""
    return f"jobs/{job_id}"


def fail(event: Any, backend: Backend, reason: str, completes_event: bool = True) -> None:
    """Mark the job of an event as failed, with the reason; the failure handler of `extract` and `index`.

    If an earlier run of the job was done, its result stays, with a note: the further product added nothing.

    Args:
        event: The event of the job's current run; one of an older run changes nothing.
        backend: Holds the records.
        reason: One sentence.
        completes_event: Whether the commit completes the handling of the backend's cause.
    """
    job = backend.records.get(Job, event.job)
    if job is None or not is_open_run(job, event.again):
        return
    if job.previous:
        note = f"{_added_products(job)} could not be added: {reason}"
        ended = job.previous.with_changes(again=job.again, notes=(*job.previous.notes, note))
    else:
        ended = job.with_changes(state="failed", reason=reason, finished=backend.now())
    backend.commit(lambda commit: finish(commit, ended), completes_event=completes_event)


def _added_products(job: Job) -> str:
    before = {product.id for product in job.previous.products} if job.previous else set()
    added = [product.id for product in job.products if product.id not in before]
    return " and ".join(added or [product.id for product in job.products])
