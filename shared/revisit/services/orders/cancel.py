"""Orders taken back: what of them has not ended is not worked, and what others wait for is."""

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
    """End an order: its open jobs are skipped, with the reason; jobs that a subscription or another order
    waits for go on.

    The first commit marks the order, so that from then on none of its jobs begins, and what is under way ends
    as skipped; it and those
    that follow close the jobs. A crash in between leaves jobs that a repeat closes, or their own handlers. An
    order that has finished
    stays as it is.

    Raises:
        NotFoundError: There is none of that id, or it is another's.
        ConflictError: It is the past of a subscription, which is what waits for its jobs.
    """
    found = get_order(backend, id, owner)
    if found.subscription:
        raise ConflictError(
            f"order {id} is the past of subscription {found.subscription}, which waits for its jobs; delete the subscription instead"
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
    # Planned, and never written: it was cancelled while it was being placed.
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
            commit.put(one.with_changes(jobs=kept).close_jobs(ended + len(missing), now))
        elif one and ended:
            commit.put(one.close_jobs(ended, now))
    for job in over:
        commit.put(as_cancelled(job, now))
        commit.emit(JobFinished(job.id, job.lane, job.again))
