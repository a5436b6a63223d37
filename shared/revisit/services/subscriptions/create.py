"""Create, pause, resume and delete subscriptions, and order their backfill."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType

from revisit.domain.aoi import AOI
from revisit.domain.conditions import DEFAULT_MIN_COVERAGE
from revisit.domain.events import OrderCreated
from revisit.domain.job import ClearBase
from revisit.domain.order import Order
from revisit.domain.product import Level
from revisit.domain.recipe import Recipe
from revisit.domain.selection import PassSelection
from revisit.domain.subscription import (
    Channel,
    Subscription,
    backfill_order_id,
    subscription_id,
)
from revisit.errors import ConflictError, InvalidInputError
from revisit.ports.backend import Backend, Commit
from revisit.ports.catalog import Query
from revisit.services.accounts.limits import check_area, check_period, limits_of
from revisit.services.accounts.quotas import reserve_subscription
from revisit.services.orders.create import write_order
from revisit.services.orders.resolve_recipe import resolve_recipe
from revisit.services.products.source_sync import needs_listing, sync_sources
from revisit.services.subscriptions.backfill import backfill_order, past_passes, plan_past_jobs
from revisit.services.subscriptions.records import list_subscriptions


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
    *,
    min_coverage: float | UnsetType | None = UNSET,
    min_clear_of: ClearBase | UnsetType = UNSET,
) -> Subscription:
    """Create a subscription, and order its backfill where `backfill` is given.

    The same owner, name, AOI and recipe are the same subscription: a repeat with the same conditions returns
    it, and completes a backfill that a crash left undone. A deleted one becomes active again and continues
    its alert log. One that started like this and was changed since is another subscription.

    Args:
        max_cloud: Maximum cloud cover of the whole product, percent.
        min_clear: Minimum clear share in percent, of what `min_clear_of` says.
        channels: Where alerts are delivered; `webhook_secrets` returns the secrets of webhooks.
        backfill: Start of the backfill, by sensing time.
        defer_listing: Ask no source here. Where one has to be listed first, the backfill is an order in state
            `selecting`, whose products the chain selects.
        min_coverage: Minimum coverage of the AOI, percent; None accepts any. UNSET takes 50, and what a
            stored subscription has where this is a repeat of its request.
        min_clear_of: What `min_clear` is a percentage of. UNSET takes the AOI, or what is stored.

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
        **new_limits(min_clear, min_coverage, min_clear_of),
        channels=tuple(prepare_channel(channel) for channel in channels),
        backfill=backfill,
        feed_token=new_feed_token(id),
    )
    stated = {"min_coverage": min_coverage, "min_clear_of": min_clear_of}
    defaults = {name for name, value in stated.items() if value is UNSET}
    if len(requested.channels) > limits.channels:
        raise InvalidInputError(
            f"a subscription has at most {limits.channels} channels, not {len(requested.channels)}"
        )
    if any(channel.kind == "webhook" for channel in requested.channels):
        backend.settings.webhook_key()  # refuses before anything is written where there is none
    if limits.jobs_a_day is None:
        _check_subscription_limit(backend, requested, limits.subscriptions)
    defers = backfill is not None and defer_listing and needs_listing(backend)
    passes: list[PassSelection] = []
    if backfill is not None and not defers:
        sync_sources(backend, aoi, backfill, None)
        passes = past_passes(backend, requested, Query(start=backfill, end=requested.created))
    created = (
        backend.commit(
            lambda commit: _write_subscription(commit, requested, len(passes), defers, defaults),
            completes_event=False,
        )
        or requested
    )
    if created.backfill is not None and not defers:
        order = backfill_order(created)
        if created != requested:
            passes = past_passes(backend, created, Query(start=order.start, end=order.end))
        write_order(backend, *plan_past_jobs(order, created, passes))
    return created


def new_limits(
    min_clear: float | None,
    min_coverage: float | UnsetType | None = UNSET,
    min_clear_of: ClearBase | UnsetType = UNSET,
) -> dict[str, Any]:
    """Limits of a new subscription that pixels decide, with the defaults of those that are not stated."""
    return {
        "min_clear": min_clear,
        "min_coverage": DEFAULT_MIN_COVERAGE if isinstance(min_coverage, UnsetType) else min_coverage,
        "min_clear_of": "aoi" if isinstance(min_clear_of, UnsetType) else min_clear_of,
    }


def new_feed_token(id: str) -> str:
    """The secret part of a feed's address: the subscription's id and a random token."""
    return f"{id}-{secrets.token_urlsafe(24)}"


def _write_subscription(
    commit: Commit,
    subscription: Subscription,
    backfill_count: int,
    defers_backfill: bool,
    defaults: Collection[str],
) -> Subscription:
    """Write a subscription, or return the one that exists; with it its backfill where that is deferred.

    Args:
        defaults: Limits that were not stated: a stored subscription may have others.
    """
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
        _check_same_conditions(existing, subscription, defaults)
        created, usage = existing, None
    else:
        created = subscription if existing is None else _revived(subscription, existing)
        usage = reserve_subscription(
            commit, created, backfill_order_id(created) or "", backfill_count, created.created
        )
    order = backfill_order(created) if defers_backfill else None
    if order is not None and commit.get(Order, order.id) is not None:
        order = None
    if usage:
        commit.put(usage)
    if created != existing:
        commit.put(created)
    if order is not None:
        commit.put(order.with_changes(selecting=True, selections=1, recheck=commit.recheck))
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


def _check_same_conditions(
    existing: Subscription, requested: Subscription, defaults: Collection[str]
) -> None:
    fields = ["level", "max_cloud", "min_clear", "min_coverage", "backfill"]
    if requested.min_clear is not None:
        fields.append("min_clear_of")
    differing = [
        field
        for field in fields
        if field not in defaults and getattr(existing, field) != getattr(requested, field)
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
