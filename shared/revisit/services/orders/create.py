"""Creation of orders: one job for each pass over an AOI within a period."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import batched, count

from revisit.domain.conditions import limit_fields
from revisit.domain.events import JobStarted, OrderCreated
from revisit.domain.ids import derive_id
from revisit.domain.job import Job, Lane, former_job_ids, job_id
from revisit.domain.order import Order
from revisit.domain.selection import PassSelection
from revisit.errors import InvalidInputError, NotFoundError
from revisit.pixels.read_estimate import Estimate, estimate_jobs, oversize_reason
from revisit.ports.backend import Backend, Commit
from revisit.ports.batch_sizes import MAX_RECORDS_PER_COMMIT
from revisit.ports.pagination import Page, find_all_sorted, find_page
from revisit.services.accounts.quotas import quota_exceeded_reason, reserve_jobs, reserve_running_order
from revisit.services.orders.selection import (
    OrderRequest,
    ProductSelection,
    select_products,
    validate_request,
)
from revisit.services.products.source_sync import needs_listing

MAX_LIVE_JOBS = 50
"""Jobs up to which an order runs in the live lane; larger orders run behind live work."""


def create_order(
    backend: Backend, request: OrderRequest, reply: str = "", defer_listing: bool = False
) -> Order:
    """Create an order and start its jobs.

    The same request over the same products is the same order: a repeat completes what a crash left undone,
    returns a finished order as it is, and makes a new one only after a job failed or the order was cancelled.

    Args:
        reply: Form of the results where it was requested through OGC API Processes.
        defer_listing: Ask no source here. Where one has to be listed first, the order is returned in state
            `selecting`, and the chain selects its products.

    Returns:
        The order; finished and without jobs where there is no product.

    Raises:
        InvalidInputError: An index, source, period or AOI is invalid, or the order exceeds the plan.
        QuotaExceededError: More acquisitions than are left of the owner's day, or too many orders running.
        TransientError: The source does not answer.
    """
    request = validate_request(backend, request)
    names_products_only = bool(request.products) and not request.source
    if defer_listing and not names_products_only and needs_listing(backend, request.source):
        return _defer_selection(backend, request, reply)
    selection = select_products(backend, request)
    planned = _new_order(backend, selection.request, _next_order_id(backend, selection), reply)
    return write_order(backend, *plan_jobs(backend, planned, selection))


def plan_jobs(backend: Backend, order: Order, selection: ProductSelection) -> tuple[Order, list[Job]]:
    """The order with its estimate and selection, and the jobs to write for it.

    Raises:
        InvalidInputError: A job would be too large for one function.
    """
    aoi, passes = selection.request.resolved_aoi, selection.passes
    products = [one.products for one in passes]
    if reason := oversize_reason(products, aoi.geometry, order.recipe):
        raise InvalidInputError(reason)
    estimate = estimate_jobs(
        products, selection.matched_count, aoi.geometry, order.recipe, backend.settings.on_google_cloud
    )
    planned = order.with_changes(
        source=selection.request.source,
        estimate=estimate.record_fields,
        selection=selection.digest,
        notes=selection.notes,
    )
    return planned, [_job(planned, one, len(passes)) for one in passes]


def _job(order: Order, observed: PassSelection, job_count: int) -> Job:
    lane: Lane = "live" if job_count <= MAX_LIVE_JOBS else "backfill"
    named = observed.product.id if order.products else observed.observed
    return Job(
        id=job_id(order.id, named, order.recipe),
        product=observed.product,
        pass_id=observed.pass_id,
        parts=observed.parts,
        alternates=observed.alternates,
        aoi=order.aoi,
        recipe=order.recipe,
        created=order.created,
        owner=order.owner,
        orders=(order.id,),
        lane=lane,
        **limit_fields(order),
    )


def _new_order(backend: Backend, request: OrderRequest, id: str, reply: str) -> Order:
    return Order(
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
        **limit_fields(request),
        products=request.products,
        reply=reply,
        tile=request.tile,
        failed_jobs=0,
        skipped_jobs=0,
        per_tile=request.per_tile,
    )


def _defer_selection(backend: Backend, request: OrderRequest, reply: str) -> Order:
    """Write the order in state `selecting` and leave the rest to the chain.

    A repeat returns an order that is selecting or running, and selects again for one that has finished.
    """
    if request.source:
        request = replace(request, source=backend.source(request.source).spec)
    id = next(
        id
        for id in _deferred_ids(request)
        if (stored := backend.records.get(Order, id)) is None or _is_reusable(backend, stored)
    )
    new = _new_order(backend, request, id, reply)
    return backend.commit(partial(_request_selection, new=new), completes_event=False) or new


def _request_selection(commit: Commit, new: Order) -> Order:
    stored = commit.get(Order, new.id)
    if stored is not None and (stored.is_active or stored.cancelled):
        return stored
    order = stored or new
    order = order.with_changes(
        selecting=True,
        selections=order.selections + 1,
        reply=new.reply,
        recheck=commit.recheck,
        republished=0,
    )
    usage = reserve_running_order(commit, order, new.created)
    if usage:
        commit.put(usage)
    commit.put(order)
    commit.emit(OrderCreated(order.id, order.selections))
    return order


def _deferred_ids(request: OrderRequest) -> Iterator[str]:
    return (derive_id("order", *request.identity, "selecting", str(attempt)) for attempt in count())


def write_order(backend: Backend, order: Order, jobs: Sequence[Job], completes_event: bool = False) -> Order:
    """Write an order and its jobs; a job that exists for another reason is left to it.

    The first commit counts all jobs in the order, later ones write the jobs that did not fit. After a crash
    in between, a repeat completes the order: jobs that were counted and are no longer selected are dropped.

    Args:
        completes_event: Whether the last commit completes the handling of the backend's cause.
    """
    order = replace(order, jobs=tuple(job.id for job in jobs), open=len(jobs))
    batches: list[tuple[Job, ...]] = list(batched(jobs, MAX_RECORDS_PER_COMMIT)) or [()]
    for number, batch in enumerate(batches, 1):
        is_last = number == len(batches)
        dropped = unwritten_jobs(backend, order.id, set(order.jobs)) if is_last else frozenset()
        backend.commit(
            partial(
                _write_batch,
                planned=order,
                jobs=batch,
                dropped=dropped,
                closes=is_last,
                now=backend.now(),
            ),
            completes_event=completes_event and is_last,
        )
    return backend.get_record(Order, order.id)


def _write_batch(
    commit: Commit,
    planned: Order,
    jobs: Sequence[Job],
    dropped: frozenset[str],
    closes: bool,
    now: datetime,
) -> None:
    stored = commit.get(Order, planned.id)
    if stored and stored.cancelled:
        return
    is_new_plan = stored is None or (stored.selecting and _differs(stored, planned))
    order = planned if stored is None else stored.extend(planned) if is_new_plan else stored
    expected = set(order.jobs)
    elsewhere, new = set(), []
    for job in jobs:
        if job.id not in expected:
            continue
        existing = commit.get(Job, job.id)
        if existing is None and (job.subscription or stored):
            existing = _former_job(commit, job)
        if existing is None:
            new.append(job)
        elif existing.id != job.id or order.id not in existing.orders:
            elsewhere.add(job.id)
    usage = None
    if is_new_plan:
        known = set(stored.jobs) if stored else set()
        added = len(set(planned.jobs) - known - elsewhere)
        usage = reserve_jobs(commit, order, added, now, extends=bool(known))
    order = without_jobs(replace(order, reply=planned.reply or order.reply), elsewhere | dropped)
    if closes and order.selecting:
        ended = order.finished or (now if order.jobs and not order.open else None)
        order = order.with_changes(selecting=False, finished=ended)
    if usage:
        commit.put(usage)
    if order != stored:
        commit.put(order)
    for job in new:
        commit.put(job)
        commit.emit(JobStarted(job.id, job.lane))


def _differs(stored: Order, planned: Order) -> bool:
    """Whether other products are planned, or jobs of passes where an earlier version planned acquisitions."""
    replaces_all = bool(stored.jobs and planned.jobs) and set(stored.jobs).isdisjoint(planned.jobs)
    return stored.selection != planned.selection or replaces_all


def _former_job(commit: Commit, job: Job) -> Job | None:
    """The job that an earlier version made of an acquisition of the job's pass."""
    return next((old for id in former_job_ids(job) if (old := commit.get(Job, id))), None)


def unwritten_jobs(backend: Backend, id: str, planned: set[str]) -> frozenset[str]:
    """Jobs that an order counts, that were never written, and that are not planned any more."""
    order = backend.records.get(Order, id)
    counted = (job for job in (order.jobs if order else ()) if job not in planned)
    return frozenset(job for job in counted if backend.records.get(Job, job) is None)


def without_jobs(order: Order, job_ids: set[str] | frozenset[str]) -> Order:
    """The order without these jobs, which were counted as open."""
    kept = tuple(job for job in order.jobs if job not in job_ids)
    return replace(order, jobs=kept, open=max(order.open - (len(order.jobs) - len(kept)), 0))


def _next_order_id(backend: Backend, selection: ProductSelection) -> str:
    """Id of the order of this selection that can be reused, else the first unused one."""
    for id in _deferred_ids(selection.request):
        stored = backend.records.get(Order, id)
        if stored is None:
            break
        if stored.selection == selection.digest and _is_reusable(backend, stored):
            return id
    for attempt in count():
        id = derive_id("order", *selection.identity, str(attempt))
        stored = backend.records.get(Order, id)
        if stored is None or _is_reusable(backend, stored):
            return id
    raise AssertionError("count() does not end")


def _is_reusable(backend: Backend, order: Order) -> bool:
    """Whether an order is active, or has ended without a failure and uncancelled."""
    if order.state in ("cancelled", "failed"):
        return False
    return order.is_active or not backend.records.find(Job, orders=order.id, state="failed", limit=1)


def get_order(backend: Backend, id: str, owner: str = "local") -> Order:
    """An order of this owner.

    Raises:
        NotFoundError: There is none with that id, or it is another owner's.
    """
    order = backend.records.get(Order, id)
    if order is None or order.owner != owner:
        raise NotFoundError(f"there is no order {id!r}; an order's id begins with order_")
    return order


def list_orders(backend: Backend, owner: str = "local") -> list[Order]:
    """All orders of an owner, newest first."""
    return list(find_all_sorted(backend.records, Order, sort="created", descending=True, owner=owner))


def list_order_page(backend: Backend, owner: str, limit: int, after: str = "") -> Page[Order]:
    """A page of an owner's orders, newest first, after the order with the id `after`.

    Raises:
        InvalidInputError: `after` is not an order of this owner.
    """
    return find_page(
        backend.records, Order, sort="created", descending=True, after=after, limit=limit, owner=owner
    )


def list_own_orders(backend: Backend, owner: str, after: str = "", page_size: int = 100) -> Iterator[Order]:
    """An owner's orders without backfills, newest first, after the order with the id `after`.

    Args:
        page_size: Orders read at once.

    Raises:
        InvalidInputError: `after` is not such an order.
    """
    while True:
        page = find_page(
            backend.records,
            Order,
            sort="created",
            descending=True,
            after=after,
            limit=page_size,
            owner=owner,
            subscription="",
        )
        yield from page.items
        if not page.next:
            return
        after = page.next


def estimate_order(backend: Backend, request: OrderRequest) -> Estimate:
    """The estimate of an order request, with the reason in `refused` where it would be refused.

    Raises:
        InvalidInputError: The request is invalid; what exceeds today's quota is stated in `refused`.
        TransientError: The source does not answer.
    """
    selection = select_products(backend, validate_request(backend, request))
    geometry, recipe = selection.request.resolved_aoi.geometry, selection.request.recipe
    products = [one.products for one in selection.passes]
    estimate = estimate_jobs(
        products, selection.matched_count, geometry, recipe, backend.settings.on_google_cloud
    )
    refused = oversize_reason(products, geometry, recipe) or quota_exceeded_reason(
        backend, request.owner, estimate.jobs
    )
    return replace(estimate, refused=refused or None, notes=selection.notes)
