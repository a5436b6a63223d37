"""Cancellation of orders: open jobs are skipped, except those that something else needs."""

from collections.abc import Sequence
from functools import partial

from revisit.chain.job_lifecycle import as_cancelled, is_cancelled
from revisit.domain.events import JobFinished
from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.order import Order
from revisit.errors import ConflictError
from revisit.ports.backend import Backend, Commit
from revisit.ports.batch_sizes import MAX_RECORDS_PER_COMMIT
from revisit.services.orders.create import get_order


def cancel_order(backend: Backend, id: str, owner: str = "local") -> Order:
    """Cancel an order: its open jobs are skipped, with the reason; jobs of a subscription or another order
    continue.

    The first commit marks the order, so that none of its jobs starts from then on and running ones end as
    skipped; it and the following commits close the jobs. After a crash in between, a repeat closes the rest,
    or their own handlers do. A finished order is not changed.

    Raises:
        NotFoundError: There is no order with that id, or it belongs to another owner.
        ConflictError: It is the backfill of a subscription, which needs its jobs.
    """
    found = get_order(backend, id, owner)
    if found.subscription:
        raise ConflictError(
            f"order {id} is the past of subscription {found.subscription}, which waits for its jobs; delete "
            "the subscription instead"
        )
    jobs = found.jobs
    for start in range(0, max(len(jobs), 1), MAX_RECORDS_PER_COMMIT):
        backend.commit(
            partial(_cancel_jobs, id=id, jobs=jobs[start : start + MAX_RECORDS_PER_COMMIT], backend=backend),
            completes_event=False,
        )
    return backend.get_record(Order, id)


def _cancel_jobs(commit: Commit, id: str, jobs: Sequence[str], backend: Backend) -> None:
    order = commit.get(Order, id)
    if order is None or not (order.is_active or order.cancelled):
        return
    now = backend.now()
    order = order.with_changes(cancelled=order.cancelled or now, selecting=False)
    there = {job: commit.get(Job, job) for job in jobs}
    others: dict[str, Order | None] = {id: order}
    for job in there.values():
        for other in job.orders if job else ():
            if other not in others:
                others[other] = commit.get(Order, other)
    # Planned and never written: the order was cancelled while it was being created.
    missing = {job for job, found in there.items() if found is None}
    over = [
        job
        for job in there.values()
        if job
        and job.state not in FINISHED_STATES
        and is_cancelled(job, (others[other] for other in job.orders))
    ]
    for one in others.values():
        ended = sum(one.id in job.orders for job in over) if one else 0
        if one and one.id == id:
            kept = tuple(job for job in one.jobs if job not in missing)
            commit.put(one.with_changes(jobs=kept).close_jobs(ended + len(missing), now, skipped=ended))
        elif one and ended:
            commit.put(one.close_jobs(ended, now, skipped=ended))
    for job in over:
        commit.put(as_cancelled(job, now))
        commit.emit(JobFinished(job.id, job.lane, job.again))
