"""Create, pause, resume and delete subscriptions, and order their backfill."""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256

from revisit.domain.alert import Alert, alert_id
from revisit.domain.aoi import AOI
from revisit.domain.events import JobFinished, OrderCreated
from revisit.domain.job import Job, job_id
from revisit.domain.order import Order
from revisit.domain.product import Level, Product, select_best_products
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import (
    Channel,
    Subscription,
    backfill_order_id,
    past_order_id,
    subscription_id,
)
from revisit.errors import ConflictError, InvalidInputError, NotFoundError, PreconditionFailedError
from revisit.ports.backend import Backend, Commit
from revisit.ports.catalog import Query
from revisit.ports.pagination import find_all
from revisit.ports.record_types import encode
from revisit.services.accounts.limits import check_area, check_period, limits_of
from revisit.services.accounts.quotas import reserve_subscription
from revisit.services.orders.create import write_order
from revisit.services.orders.resolve_recipe import resolve_recipe
from revisit.services.orders.selection import selection_digest
from revisit.services.products.backfill import needs_listing, sync_sources
from revisit.services.products.search import products_over

MAX_PUBLICATION_DELAY = timedelta(days=10)
"""Longest time from sensing to first publication; what comes later is a reprocessing."""


def create_subscription(
    backend: Backend,
    aoi: AOI,
    name: str,
    recipe: Recipe,
    level: Level = "L2A",
    max_cloud: float | None = None,
    min_clear: float | None = None,
    channels: Sequence[Channel] = (),
    backfill: datetime | None = None,
    owner: str = "local",
    defer_listing: bool = False,
) -> Subscription:
    """Create a subscription, and order its backfill where `backfill` is given.

    The same owner, name, AOI and recipe are the same subscription: a repeat with the same conditions returns
    it, and completes a backfill that a crash left undone. A deleted one becomes active again and continues
    its alert log. One that started like this and was changed since is another subscription.

    Args:
        max_cloud: Maximum cloud cover of the whole product, percent.
        min_clear: Minimum share of the AOI's valid pixels that must be clear, percent.
        channels: Where alerts are delivered; `webhook_secrets` returns the secrets of webhooks.
        backfill: Start of the backfill, by sensing time.
        defer_listing: Ask no source here. Where one has to be listed first, the backfill is an order in state
            `selecting`, whose products the chain selects.

    Raises:
        InvalidInputError: A name, index, percentage, address, period or AOI is invalid, or exceeds the plan.
        ConflictError: It exists with other conditions.
        QuotaExceededError: The backfill holds more acquisitions than are left of the owner's day.
        PermanentError: There is no key to sign webhooks with.
        TransientError: A source does not answer; nothing has been written.
    """
    limits = limits_of(owner)
    recipe = resolve_recipe(recipe)
    check_area(aoi, limits)
    check_period(backfill, None, backend.now(), limits)
    id = subscription_id(owner, name.strip(), aoi, recipe)
    requested = Subscription(
        id=id,
        name=name.strip(),
        aoi=aoi.geometry,
        tiles=tuple(aoi.tiles),
        recipe=recipe,
        created=backend.now(),
        owner=owner,
        level=level,
        max_cloud=max_cloud,
        min_clear=min_clear,
        channels=tuple(prepare_channel(channel) for channel in channels),
        backfill=backfill,
        feed_token=new_feed_token(id),
    )
    if len(requested.channels) > limits.channels:
        raise InvalidInputError(
            f"a subscription has at most {limits.channels} channels, not {len(requested.channels)}"
        )
    if any(channel.kind == "webhook" for channel in requested.channels):
        backend.settings.webhook_key()  # refuses before anything is written where there is none
    if limits.jobs_a_day is None:
        _check_subscription_limit(backend, requested, limits.subscriptions)
    defers = backfill is not None and defer_listing and needs_listing(backend)
    products: list[Product] = []
    if backfill is not None and not defers:
        sync_sources(backend, aoi, backfill, None)
        products = _past_products(backend, requested, Query(start=backfill, end=requested.created))
    created = (
        backend.commit(
            lambda commit: _write_subscription(commit, requested, len(products), defers),
            completes_event=False,
        )
        or requested
    )
    if created.backfill is not None and not defers:
        order = _backfill_order(created)
        if created != requested:
            products = _past_products(backend, created, Query(start=order.start, end=order.end))
        write_order(backend, *_plan(order, created, products))
    return created


def new_feed_token(id: str) -> str:
    """The secret part of a feed's address: the subscription's id and a random token."""
    return f"{id}-{secrets.token_urlsafe(24)}"


def _write_subscription(
    commit: Commit, subscription: Subscription, backfill_count: int, defers_backfill: bool
) -> Subscription:
    """Write a subscription, or return the one that exists; with it its backfill where that is deferred."""
    existing = commit.get(Subscription, subscription.id)
    attempt = 0
    while existing is not None and not existing.has_same_definition(subscription):
        attempt += 1
        id = subscription_id(
            subscription.owner,
            subscription.name,
            AOI.from_normalized(subscription.aoi),
            subscription.recipe,
            attempt,
        )
        subscription = subscription.with_changes(id=id, feed_token=new_feed_token(id))
        existing = commit.get(Subscription, id)
    if existing is not None and existing.state != "deleted":
        _check_same_conditions(existing, subscription)
        created, usage = existing, None
    else:
        created = subscription if existing is None else _revived(subscription, existing)
        usage = reserve_subscription(
            commit, created, backfill_order_id(created) or "", backfill_count, created.created
        )
    order = _backfill_order(created) if defers_backfill else None
    if order is not None and commit.get(Order, order.id) is not None:
        order = None
    if usage:
        commit.put(usage)
    if created != existing:
        commit.put(created)
    if order is not None:
        commit.put(order.with_changes(selecting=True, selections=1))
        commit.emit(OrderCreated(order.id, 1))
    return created


def _revived(subscription: Subscription, deleted: Subscription) -> Subscription:
    """A subscription that continues the alert log and the feed of a deleted one."""
    return subscription.with_changes(
        alerts=deleted.alerts,
        last_sensing=deleted.last_sensing,
        last_alert=deleted.last_alert,
        feed_token=deleted.feed_token or subscription.feed_token,
    )


def _check_same_conditions(existing: Subscription, requested: Subscription) -> None:
    differing = [
        field
        for field in ("level", "max_cloud", "min_clear", "backfill")
        if getattr(existing, field) != getattr(requested, field)
    ]
    if differing:
        raise ConflictError(
            f"subscription {requested.name!r} over this AOI exists with another {differing[0]} "
            f"({getattr(existing, differing[0])}); delete it first or choose another name"
        )
    if {channel.id for channel in existing.channels} != {channel.id for channel in requested.channels}:
        raise ConflictError(
            f"subscription {requested.name!r} over this AOI exists with other channels;"
            " delete it first or choose another name"
        )


def _check_subscription_limit(backend: Backend, subscription: Subscription, limit: int) -> None:
    if backend.records.count(Subscription, owner=subscription.owner) < limit:
        return
    others = [
        there for there in list_subscriptions(backend, subscription.owner) if there.id != subscription.id
    ]
    if len(others) >= limit:
        raise InvalidInputError(f"{len(others)} subscriptions are the most allowed; delete one first")


def prepare_channel(channel: Channel) -> Channel:
    """A validated channel; a webhook with its first secret.

    Raises:
        InvalidInputError: The address is private or malformed, or the file's name is none.
    """
    if channel.kind == "file":
        from revisit.delivery.file_channel import check_name

        check_name(channel.target)
        return channel
    from revisit.delivery.url_guard import check_url

    check_url(channel.target)
    return channel if channel.secret else replace(channel, generation=max(channel.generation, 1))


def get_subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """A subscription of this owner by its id, or by its name where that is the only one.

    Raises:
        NotFoundError: There is none, it is deleted, or it is another's.
    """
    found = backend.records.get(Subscription, id)
    if found is not None and found.owner == owner and found.state != "deleted":
        return found
    named = [there for there in list_subscriptions(backend, owner) if there.name == id]
    if len(named) == 1:
        return named[0]
    several = (
        f"; {len(named)} have that name, so give the id" if named else "; see `revisit subscriptions list`"
    )
    raise NotFoundError(f"there is no subscription {id!r}{several}")


def list_subscriptions(backend: Backend, owner: str = "local") -> list[Subscription]:
    """The subscriptions of an owner that are not deleted, the oldest first."""
    there = find_all(backend.records, Subscription, owner=owner)
    return sorted((one for one in there if one.state != "deleted"), key=lambda one: (one.created, one.id))


def pause_subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Pause a subscription: it starts no jobs until it is resumed; running ones finish."""
    return update_subscription_record(backend, id, owner, lambda _, there: there.pause(backend.now()))


def resume_subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Resume a subscription and process what was published meanwhile."""
    return catch_up(
        backend,
        update_subscription_record(backend, id, owner, lambda _, there: there.with_changes(state="active")),
    )


def catch_up(backend: Backend, subscription: Subscription) -> Subscription:
    """Process what was published while a subscription that is active again was paused."""
    if subscription.paused is None:
        return subscription
    since, now = subscription.paused, backend.now()
    _republish_finished_jobs(backend, subscription, since)
    start = since - MAX_PUBLICATION_DELAY
    order = _past_order(subscription, "resume", since, start, now).with_changes(published_since=since)
    products = _past_products(backend, subscription, Query(start=start, end=now), since)
    write_order(backend, *_plan(order, subscription, products))
    # Paused again meanwhile: what was published since the first pause still has to be processed.
    return update_subscription_record(
        backend,
        subscription.id,
        subscription.owner,
        lambda _, current: current.with_changes(paused=None) if current.state == "active" else current,
    )


def _republish_finished_jobs(backend: Backend, subscription: Subscription, since: datetime) -> None:
    """Emit the end of jobs again that ended while the subscription was paused, so that they make alerts."""
    for job in find_all(backend.records, Job, subscription=subscription.id, state="done"):
        # Jobs that ended well before the pause have made their alerts.
        if (
            job.finished
            and job.finished >= since - MAX_PUBLICATION_DELAY
            and backend.records.get(Alert, alert_id(subscription.id, job.acquisition)) is None
        ):
            backend.commit(
                partial(Commit.emit, event=JobFinished(job.id, job.lane, job.again)), completes_event=False
            )


def delete_subscription(
    backend: Backend, id: str, owner: str = "local", expected_revisions: Collection[str] | None = None
) -> Subscription:
    """Delete a subscription: it starts no jobs, and makes no alerts and deliveries.

    Args:
        backend: The backend.
        id: Id or name of the subscription.
        owner: Id of the owner.
        expected_revisions: As for `update_subscription_record`.
    """
    return update_subscription_record(
        backend,
        id,
        owner,
        lambda _, there: there.with_changes(state="deleted", paused=None),
        expected_revisions,
    )


def update_subscription_record(
    backend: Backend,
    id: str,
    owner: str,
    change: Callable[[Commit, Subscription], Subscription],
    expected_revisions: Collection[str] | None = None,
) -> Subscription:
    """Change a stored subscription in one commit.

    Args:
        change: Gives the changed one from the present one; it reads first, and may then put what goes with
            it.
        expected_revisions: Revisions, one of which it must have; None takes any.

    Raises:
        NotFoundError: There is none, or it is another's.
        PreconditionFailedError: It has another revision.
    """
    found = get_subscription(backend, id, owner)

    def work(commit: Commit) -> Subscription:
        there = commit.get(Subscription, found.id)
        if there is None or there.state == "deleted":
            raise NotFoundError(f"subscription {id!r} has been deleted meanwhile")
        if expected_revisions is not None and revision(there) not in expected_revisions:
            raise PreconditionFailedError(
                f"subscription {there.name!r} has been changed since it was read; read it again, and then "
                "say what is to be different"
            )
        changed = change(commit, there)
        if changed != there:
            commit.put(changed)
        return changed

    return backend.commit(work, completes_event=False) or found


def revision(subscription: Subscription) -> str:
    """Revision of a subscription: it changes with every field that can be changed, not with new alerts."""
    return sha256(
        encode(subscription.with_changes(alerts=0, last_sensing=None, last_alert=None))
    ).hexdigest()[:16]


def plan_backfill(backend: Backend, order: Order) -> tuple[Order, list[Job]]:
    """List the sources of a subscription's order in state `selecting`; return it with the jobs to write.

    Raises:
        InvalidInputError: It has more acquisitions than the plan allows.
        TransientError: A source does not answer.
    """
    subscription = backend.records.get(Subscription, order.subscription)
    if subscription is None or subscription.state == "deleted":
        return order, []
    # Its conditions apply even if it was paused meanwhile: nothing else would select the past again.
    subscription = subscription.with_changes(state="active", aoi=order.aoi, recipe=order.recipe)
    sync_sources(backend, AOI.from_normalized(order.aoi), order.start, None)
    query = Query(start=order.start, end=order.end)
    return _plan(order, subscription, _past_products(backend, subscription, query, order.published_since))


def _past_products(
    backend: Backend, subscription: Subscription, query: Query, published_since: datetime | None = None
) -> list[Product]:
    """The best products of a period that meet a subscription's conditions."""
    matching = products_over(
        backend,
        AOI.from_normalized(subscription.aoi),
        replace(query, level=subscription.level, max_cloud=subscription.max_cloud),
    )
    products = [
        product
        for product in select_best_products(matching, subscription.level)
        if (published_since is None or (product.published or product.sensing_time) >= published_since)
        and not subscription.rejection_reason(product)
    ]
    most = limits_of(subscription.owner).jobs
    if len(products) > most:
        raise InvalidInputError(
            f"the backfill of {subscription.name!r} has {len(products):,} acquisitions,"
            f" more than the {most:,} allowed; start it later"
        )
    return products


def _backfill_order(subscription: Subscription) -> Order:
    return _past_order(
        subscription, "backfill", subscription.created, subscription.backfill, subscription.created
    )


def _past_order(
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
    )


def _plan(order: Order, subscription: Subscription, products: Sequence[Product]) -> tuple[Order, list[Job]]:
    """The order with its selection, and its jobs in the backfill lane: those that live news would make."""
    return order.with_changes(selection=selection_digest(products)), [
        Job(
            id=job_id(subscription.id, product.acquisition, subscription.recipe),
            product=product,
            aoi=subscription.aoi,
            recipe=subscription.recipe,
            created=order.created,
            owner=subscription.owner,
            subscription=subscription.id,
            orders=(order.id,),
            lane="backfill",
            min_clear=subscription.min_clear,
        )
        for product in products
    ]
