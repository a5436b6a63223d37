"""Orders: one job for each acquisition over an AOI within a period."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

from revisit.domain.aoi import AOI
from revisit.domain.events import JobStarted
from revisit.domain.ids import derived
from revisit.domain.job import Job, Lane, job_id
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.errors import BadInput, NotFound
from revisit.pixels.read_estimate import Estimate, estimate, too_many_pixels
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import every
from revisit.services.accounts.quotas import refusal, take_jobs
from revisit.services.orders.selection import Wish, choose

SMALL = 50
"""Orders of up to so many jobs are worked at once, larger ones behind what is live."""

AT_ONCE = 200
"""Jobs written in one commit."""


def order(backend: Backend, aoi: AOI | None, recipe: Recipe, source: str = "", start: datetime | None = None, end: datetime | None = None,
          owner: str = "local", **conditions: Any) -> Order:
    """Have every acquisition over an AOI in a period worked; `conditions` are the rest of a `Wish`."""
    return fulfil(backend, Wish(recipe, aoi, source=source, start=start, end=end, owner=owner, **conditions))


def fulfil(backend: Backend, wish: Wish, reply: str = "") -> Order:
    """Have a wish worked.

    The same order over the same products is the same record: a repeat completes it where a crash left it, answers with it where it
    is finished, and works it anew only where jobs of it failed or it was cancelled.

    Args:
        reply: How its results are to be answered with, where it was asked for through OGC API Processes.

    Returns:
        The order; without jobs, and so finished, where there is no product.

    Raises:
        BadInput: An index or source that does not exist, a period that runs backwards, an AOI or an order that is too large.
        TooMany: More acquisitions than are left of the owner's day, or more orders than may run at once.
        Retry: The source does not answer.
    """
    choice = choose(backend, wish)
    wish, products = choice.wish, choice.products
    if reason := too_many_pixels(products, wish.place.geometry, wish.recipe):
        raise BadInput(reason)
    expected = estimate(products, choice.known, wish.place.geometry, wish.recipe, deployed(backend)).kept
    id = _unspoiled(backend, choice.identity)
    asked = Order(id, wish.place.geometry, wish.recipe, backend.now(), owner=wish.owner, start=wish.start, end=wish.end, source=wish.source,
                  level=wish.level, max_cloud=wish.max_cloud, min_clear=wish.min_clear, products=wish.products, estimate=expected, reply=reply)
    lane: Lane = "live" if len(products) <= SMALL else "backfill"
    return place(backend, asked, [
        Job(id=job_id(id, product.id if wish.products else product.acquisition, wish.recipe), product=product, aoi=asked.aoi,
            recipe=wish.recipe, created=asked.created, owner=wish.owner, orders=(id,), lane=lane, min_clear=wish.min_clear)
        for product in products
    ])


def deployed(backend: Backend) -> bool:
    """Whether somebody is paid for the work: a home without a disk of its own is Google's."""
    return backend.channels is None


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
    if stored and stored.cancelled:
        return
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
    if stored is None or elsewhere or (asked.reply and stored.reply != asked.reply):
        commit.put(_less(replace(known, reply=asked.reply or known.reply), elsewhere))
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
    """The first id of an order like this that is unused, still worked, or has ended without a failure and uncancelled."""
    for attempt in count():
        id = derived("order", *identity, str(attempt))
        stored = backend.records.get(Order, id)
        if stored is None:
            return id
        if not stored.cancelled and (stored.open or not backend.records.find(Job, orders=id, state="failed", limit=1)):
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


def foresee(backend: Backend, wish: Wish) -> Estimate:
    """The estimate of a wish, and why it would be refused if it would.

    Raises:
        BadInput: What is asked makes no sense, as `fulfil` would say; what of a day's or of the running orders is not left is told in `refused`.
        Retry: The source does not answer.
    """
    choice = choose(backend, wish)
    geometry, recipe = choice.wish.place.geometry, choice.wish.recipe
    expected = estimate(choice.products, choice.known, geometry, recipe, deployed(backend))
    refused = too_many_pixels(choice.products, geometry, recipe) or refusal(backend, wish.owner, expected.jobs)
    return replace(expected, refused=refused or None)
