"""Orders over the past of a subscription: its backfill, and what a pause left out."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from revisit.domain.aoi import AOI
from revisit.domain.conditions import limit_fields
from revisit.domain.job import Job, job_id
from revisit.domain.order import Order
from revisit.domain.selection import PassSelection
from revisit.domain.subscription import Subscription, past_order_id
from revisit.errors import InvalidInputError
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.services.accounts.limits import limits_of
from revisit.services.orders.selection import selection_digest
from revisit.services.products.search import find_passes
from revisit.services.products.source_sync import sync_sources

MAX_PUBLICATION_DELAY = timedelta(days=10)
"""Longest time from sensing to first publication; what comes later is a reprocessing."""


def plan_backfill(backend: Backend, order: Order) -> tuple[Order, list[Job]]:
    """List the sources of a subscription's order in state `selecting`; return it with the jobs to write.

    Raises:
        InvalidInputError: It has more passes than the plan allows.
        TransientError: A source does not answer.
    """
    subscription = backend.records.get(Subscription, order.subscription)
    if subscription is None or subscription.state == "deleted":
        return order, []
    # Its conditions apply even if it was paused meanwhile: nothing else would select the past again.
    subscription = subscription.with_changes(state="active", aoi=order.aoi, recipe=order.recipe)
    sync_sources(backend, AOI.from_normalized(order.aoi), order.start, None)
    query = Query(start=order.start, end=order.end)
    return plan_past_jobs(
        order, subscription, past_passes(backend, subscription, query, order.published_since)
    )


def past_passes(
    backend: Backend, subscription: Subscription, query: Query, published_since: datetime | None = None
) -> list[PassSelection]:
    """The passes of a period whose best products meet a subscription's conditions."""
    found = find_passes(
        backend,
        AOI.from_normalized(subscription.aoi),
        query,
        subscription.level,
        subscription.recipe.resolution_m,
    )
    passes = [
        one
        for one in found.passes
        if not subscription.rejection_reason(one.product)
        and (
            published_since is None
            or any((product.published or product.sensing_time) >= published_since for product in one.products)
        )
    ]
    most = limits_of(subscription.owner).jobs
    if len(passes) > most:
        raise InvalidInputError(
            f"the backfill of {subscription.name!r} has {len(passes):,} passes,"
            f" more than the {most:,} allowed; start it later"
        )
    return passes


def backfill_order(subscription: Subscription) -> Order:
    return past_order(
        subscription, "backfill", subscription.created, subscription.backfill, subscription.created
    )


def past_order(
    subscription: Subscription, cause: str, moment: datetime, start: datetime | None, end: datetime
) -> Order:
    """An order over a part of a subscription's past."""
    return Order(
        past_order_id(subscription, cause, moment),
        subscription.aoi,
        subscription.recipe,
        end,
        owner=subscription.owner,
        start=start,
        end=end,
        subscription=subscription.id,
        failed_jobs=0,
        skipped_jobs=0,
    )


def plan_past_jobs(
    order: Order, subscription: Subscription, passes: Sequence[PassSelection]
) -> tuple[Order, list[Job]]:
    """The order with its selection, and its jobs in the backfill lane: those that live news would make."""
    return order.with_changes(selection=selection_digest(passes)), [
        Job(
            id=job_id(subscription.id, one.observed, subscription.recipe),
            product=one.product,
            pass_id=one.pass_id,
            parts=one.parts,
            alternates=one.alternates,
            aoi=subscription.aoi,
            recipe=subscription.recipe,
            created=order.created,
            owner=subscription.owner,
            subscription=subscription.id,
            orders=(order.id,),
            lane="backfill",
            **limit_fields(subscription),
        )
        for one in passes
    ]
