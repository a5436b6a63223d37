"""Orders: one job for each acquisition over an AOI within a period."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count

from revisit.aoi import AOI
from revisit.backend import Backend, Commit
from revisit.clock import rfc3339
from revisit.commands.limits import check_area, check_beginning, check_period, limits_of
from revisit.commands.quotas import take_jobs
from revisit.commands.recalling import recall
from revisit.commands.recipes import resolved
from revisit.commands.searching import products_over
from revisit.errors import BadInput, NotFound
from revisit.events import JobStarted
from revisit.ids import derived
from revisit.job import Job, Lane, job_id
from revisit.order import Order
from revisit.paging import every
from revisit.ports import Query
from revisit.product import best
from revisit.recipe import Recipe

SMALL = 50
"""Orders of up to so many jobs are worked at once, larger ones behind what is live."""

AT_ONCE = 200
"""Jobs written in one commit."""


def order(backend: Backend, aoi: AOI, recipe: Recipe, source: str = "", start: datetime | None = None, end: datetime | None = None,
          owner: str = "local") -> Order:
    """Have every acquisition over an AOI in a period worked.

    The same order over the same products is the same record: a repeat completes it where a crash left it, answers with it where it
    is finished, and works it anew only where jobs of it failed.

    Args:
        source: SPEC of the only source to take products from; what it has over the AOI is brought into the catalog first.
        start: Sensed at or after.
        end: Sensed at or before.

    Returns:
        The order; without jobs, and so finished, where there is no product.

    Raises:
        BadInput: An index or source that does not exist, a period that runs backwards, an AOI or an order that is too large.
        TooMany: More acquisitions than are left of the owner's day, or more orders than may run at once.
        Retry: The source does not answer.
    """
    limits = limits_of(owner)
    recipe = resolved(recipe)
    check_area(aoi, limits)
    check_period(start, end, backend.now(), limits)
    check_beginning(start, limits)
    source = recall(backend, aoi, start, end, source)
    products = best(products_over(backend, aoi, Query(start=start, end=end, source=source)))
    if len(products) > limits.jobs:
        raise BadInput(f"the order means {len(products):,} acquisitions, more than the {limits.jobs:,} allowed; shorten the period")
    identity = (owner, aoi.id, recipe.id, source, _text(start), _text(end), *(f"{product.id} {product.version}" for product in products))
    id = _unspoiled(backend, identity)
    asked = Order(id, aoi.geometry, recipe, backend.now(), owner=owner, start=start, end=end, source=source)
    lane: Lane = "live" if len(products) <= SMALL else "backfill"
    return place(backend, asked, [
        Job(id=job_id(id, product.acquisition, recipe), product=product, aoi=asked.aoi, recipe=recipe, created=asked.created,
            owner=owner, orders=(id,), lane=lane)
        for product in products
    ])


def place(backend: Backend, asked: Order, jobs: Sequence[Job]) -> Order:
    """Write an order and its jobs; a job that somebody else has begun already is left to him and taken off the order.

    The first commit holds the order with all its jobs counted, the others the jobs that did not fit: a crash in between leaves an
    order that a repeat completes.
    """
    asked = replace(asked, jobs=tuple(job.id for job in jobs), open=len(jobs))
    for start in range(0, max(len(jobs), 1), AT_ONCE):
        chunk = jobs[start:start + AT_ONCE]
        backend.commit(partial(_place, asked=asked, jobs=chunk, now=backend.now()), last=False)
    return _without_orphans(backend, asked.id, {job.id for job in jobs})


def _place(commit: Commit, asked: Order, jobs: Sequence[Job], now: datetime) -> None:
    stored = commit.get(Order, asked.id)
    known = stored or asked
    expected = set(known.jobs)
    elsewhere, new = set(), []
    for job in jobs:
        if job.id not in expected:
            continue
        there = commit.get(Job, job.id)
        if there is None:
            new.append(job)
        elif asked.id not in there.orders:
            elsewhere.add(job.id)
    usage = take_jobs(commit, known, len(expected - elsewhere), now) if stored is None else None
    if usage:
        commit.put(usage)
    if stored is None or elsewhere:
        commit.put(_less(known, elsewhere))
    for job in new:
        commit.put(job)
        commit.emit(JobStarted(job.id, job.lane))


def _without_orphans(backend: Backend, id: str, planned: set[str]) -> Order:
    """The order as it is now; less those of its jobs that were planned before a crash and are no longer wanted by anything."""
    order = backend.record(Order, id)
    doubtful = [job for job in order.jobs if job not in planned]
    missing = {job for job in doubtful if backend.records.get(Job, job) is None}
    if missing:
        backend.commit(lambda commit: commit.put(_less(commit.get(Order, id) or order, missing)), last=False)
    return backend.record(Order, id)


def _less(order: Order, jobs: set[str]) -> Order:
    kept = tuple(job for job in order.jobs if job not in jobs)
    return replace(order, jobs=kept, open=max(order.open - (len(order.jobs) - len(kept)), 0))


def _unspoiled(backend: Backend, identity: tuple[str, ...]) -> str:
    """The first id of an order like this that is unused, still worked, or has ended without a failure."""
    for attempt in count():
        id = derived("order", *identity, str(attempt))
        stored = backend.records.get(Order, id)
        if stored is None or stored.open or not backend.records.find(Job, orders=id, state="failed", limit=1):
            return id
    raise AssertionError("count() does not end")


def order_of(backend: Backend, id: str, owner: str = "local") -> Order:
    """An order of this owner.

    Raises:
        NotFound: There is none of that id, or it is another's.
    """
    found = backend.records.get(Order, id)
    if found is None or found.owner != owner:
        raise NotFound(f"there is no order {id!r}; an order's id begins with order_")
    return found


def orders(backend: Backend, owner: str = "local") -> list[Order]:
    """All orders of an owner, the newest first."""
    return sorted(every(backend.records, Order, owner=owner), key=lambda order: (order.created, order.id), reverse=True)


def _text(moment: datetime | None) -> str:
    return rfc3339(moment) if moment else ""
