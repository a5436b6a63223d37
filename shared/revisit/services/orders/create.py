"""Orders: one job for each acquisition over an AOI within a period."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

from revisit.domain.aoi import AOI
from revisit.domain.events import JobStarted
from revisit.domain.ids import derive_id
from revisit.domain.job import Job, Lane, job_id
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.errors import InvalidInputError, NotFoundError
from revisit.pixels.read_estimate import Estimate, estimate_jobs, oversize_reason
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import find_all
from revisit.services.accounts.quotas import quota_exceeded_reason, reserve_jobs
from revisit.services.orders.selection import OrderRequest, select_products

MAX_LIVE_JOBS = 50
"""Orders of up to so many jobs are worked at once, larger ones behind what is live."""

MAX_JOBS_PER_COMMIT = 200
"""Jobs written in one commit."""


def order_acquisitions(
    backend: Backend,
    aoi: AOI | None,
    recipe: Recipe,
    source: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    owner: str = "local",
    **conditions: Any,
) -> Order:
    """Have every acquisition over an AOI in a period worked; `conditions` are the rest of a `Wish`."""
    return create_order(
        backend, OrderRequest(recipe, aoi, source=source, start=start, end=end, owner=owner, **conditions)
    )


def create_order(backend: Backend, request: OrderRequest, reply: str = "") -> Order:
    """Have a wish worked.

    The same order over the same products is the same record: a repeat completes it where a crash left it,
    answers with it where it
    is finished, and works it anew only where jobs of it failed or it was cancelled.

    Args:
        reply: How its results are to be answered with, where it was asked for through OGC API Processes.

    Returns:
        The order; without jobs, and so finished, where there is no product.

    Raises:
        InvalidInputError: An index or source that does not exist, a period that runs backwards, an AOI or an
            order that is too large.
        QuotaExceededError: More acquisitions than are left of the owner's day, or more orders than may run at
            once.
        TransientError: The source does not answer.
    """
    choice = select_products(backend, request)
    request, products = choice.request, choice.products
    if reason := oversize_reason(products, request.resolved_aoi.geometry, request.recipe):
        raise InvalidInputError(reason)
    expected = estimate_jobs(
        products, choice.matched_count, request.resolved_aoi.geometry, request.recipe, is_deployed(backend)
    ).record_fields
    id = _next_order_id(backend, choice.identity)
    asked = Order(
        id,
        request.resolved_aoi.geometry,
        request.recipe,
        backend.now(),
        owner=request.owner,
        start=request.start,
        end=request.end,
        source=request.source,
        level=request.level,
        max_cloud=request.max_cloud,
        min_clear=request.min_clear,
        products=request.products,
        estimate=expected,
        reply=reply,
    )
    lane: Lane = "live" if len(products) <= MAX_LIVE_JOBS else "backfill"
    return write_order(
        backend,
        asked,
        [
            Job(
                id=job_id(id, product.id if request.products else product.acquisition, request.recipe),
                product=product,
                aoi=asked.aoi,
                recipe=request.recipe,
                created=asked.created,
                owner=request.owner,
                orders=(id,),
                lane=lane,
                min_clear=request.min_clear,
            )
            for product in products
        ],
    )


def is_deployed(backend: Backend) -> bool:
    """Whether somebody is paid for the work: a home without a disk of its own is Google's."""
    return backend.channel_folder is None


def write_order(backend: Backend, order: Order, jobs: Sequence[Job]) -> Order:
    """Write an order and its jobs; a job that somebody else has begun already is left to him and taken off
    the order.

    The first commit holds the order with all its jobs counted, the others the jobs that did not fit: a crash
    in between leaves an
    order that a repeat completes.
    """
    order = replace(order, jobs=tuple(job.id for job in jobs), open=len(jobs))
    for start in range(0, max(len(jobs), 1), MAX_JOBS_PER_COMMIT):
        chunk = jobs[start : start + MAX_JOBS_PER_COMMIT]
        backend.commit(
            partial(_write_jobs, order=order, jobs=chunk, now=backend.now()), completes_event=False
        )
    return _remove_missing_jobs(backend, order.id, {job.id for job in jobs})


def _write_jobs(commit: Commit, order: Order, jobs: Sequence[Job], now: datetime) -> None:
    stored = commit.get(Order, order.id)
    if stored and stored.cancelled:
        return
    known = stored or order
    expected = set(known.jobs)
    elsewhere, new = set(), []
    for job in jobs:
        if job.id not in expected:
            continue
        there = commit.get(Job, job.id)
        if there is None:
            new.append(job)
        elif order.id not in there.orders:
            elsewhere.add(job.id)
    usage = reserve_jobs(commit, known, len(expected - elsewhere), now) if stored is None else None
    if usage:
        commit.put(usage)
    if stored is None or elsewhere or (order.reply and stored.reply != order.reply):
        commit.put(_without_jobs(replace(known, reply=order.reply or known.reply), elsewhere))
    for job in new:
        commit.put(job)
        commit.emit(JobStarted(job.id, job.lane))


def _remove_missing_jobs(backend: Backend, id: str, planned: set[str]) -> Order:
    """The order as it is now; less those of its jobs that were planned before a crash and are no longer
    wanted by anything."""
    order = backend.get_record(Order, id)
    doubtful = [job for job in order.jobs if job not in planned]
    missing = {job for job in doubtful if backend.records.get(Job, job) is None}
    if missing:
        backend.commit(
            lambda commit: commit.put(_without_jobs(commit.get(Order, id) or order, missing)),
            completes_event=False,
        )
    return backend.get_record(Order, id)


def _without_jobs(order: Order, job_ids: set[str]) -> Order:
    kept = tuple(job for job in order.jobs if job not in job_ids)
    return replace(order, jobs=kept, open=max(order.open - (len(order.jobs) - len(kept)), 0))


def _next_order_id(backend: Backend, identity: tuple[str, ...]) -> str:
    """The first id of an order like this that is unused, still worked, or has ended without a failure and
    uncancelled."""
    for attempt in count():
        id = derive_id("order", *identity, str(attempt))
        stored = backend.records.get(Order, id)
        if stored is None:
            return id
        if not stored.cancelled and (
            stored.open or not backend.records.find(Job, orders=id, state="failed", limit=1)
        ):
            return id
    raise AssertionError("count() does not end")


def get_order(backend: Backend, id: str, owner: str = "local") -> Order:
    """An order of this owner.

    Raises:
        NotFoundError: There is none of that id, or it is another's.
    """
    found = backend.records.get(Order, id)
    if found is None or found.owner != owner:
        raise NotFoundError(f"there is no order {id!r}; an order's id begins with order_")
    return found


def list_orders(backend: Backend, owner: str = "local") -> list[Order]:
    """All orders of an owner, the newest first."""
    return sorted(
        find_all(backend.records, Order, owner=owner),
        key=lambda order: (order.created, order.id),
        reverse=True,
    )


def estimate_order(backend: Backend, request: OrderRequest) -> Estimate:
    """The estimate of a wish, and why it would be refused if it would.

    Raises:
        InvalidInputError: What is asked makes no sense, as `create_order` would say; what of a day's or of
            the running orders is not left is told in `refused`.
        TransientError: The source does not answer.
    """
    choice = select_products(backend, request)
    geometry, recipe = choice.request.resolved_aoi.geometry, choice.request.recipe
    expected = estimate_jobs(choice.products, choice.matched_count, geometry, recipe, is_deployed(backend))
    refused = oversize_reason(choice.products, geometry, recipe) or quota_exceeded_reason(
        backend, request.owner, expected.jobs
    )
    return replace(expected, refused=refused or None)
