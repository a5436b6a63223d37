"""Quotas of a plan, reserved in the same commit as what uses them.

Expired reservations are removed only when a slot is needed, so the end of an order needs no write.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from revisit.domain.order import Order
from revisit.domain.subscription import Subscription
from revisit.domain.usage import Usage, new_usage, usage_id
from revisit.errors import InvalidInputError, QuotaExceededError
from revisit.ports.backend import Backend, Commit
from revisit.services.accounts.limits import Limits, limits_of

RETRY_AFTER_S = 30
"""Retry-After in seconds if a running order must end first."""

type GetRecord = Callable[[type[Any], str], Any]


def reserve_jobs(
    commit: Commit, order: Order, count: int, now: datetime, extends: bool = False
) -> Usage | None:
    """The owner's usage including an order's acquisitions, to be written with it; None without a quota.

    An order that was counted today is counted again, which corrects what was reserved for it.

    Args:
        count: Acquisitions of the order, or those added to it.
        extends: Whether `count` is added to what was counted for the order today.

    Raises:
        QuotaExceededError: More acquisitions than a day has, or more orders than may run at once.
    """
    limits = limits_of(order.owner)
    if limits.jobs_a_day is None or limits.orders_running is None:
        return None
    usage = _read_usage(commit.get, order.owner, now)
    if extends or order.id not in usage.jobs:
        _check_daily_jobs(usage, count, limits.jobs_a_day, now)
    if not count:
        return usage
    total = count + (usage.jobs.get(order.id, 0) if extends else 0)
    usage = replace(usage, jobs={**usage.jobs, order.id: total})
    return usage if order.subscription else _with_running(commit, usage, order.id, limits.orders_running)


def reserve_running_order(commit: Commit, order: Order, now: datetime) -> Usage | None:
    """The owner's usage including a running order whose acquisitions are not known yet; None without a quota.

    Raises:
        QuotaExceededError: More orders than may run at once.
    """
    limits = limits_of(order.owner)
    if limits.jobs_a_day is None or limits.orders_running is None:
        return None
    return _with_running(commit, _read_usage(commit.get, order.owner, now), order.id, limits.orders_running)


def _with_running(commit: Commit, usage: Usage, id: str, limit: int) -> Usage:
    others = tuple(other for other in usage.running if other != id)
    return replace(usage, running=(*_check_running_orders(commit.get, others, limit), id))


def reserve_subscription(
    commit: Commit, subscription: Subscription, order_id: str, count: int, now: datetime
) -> Usage | None:
    """The owner's usage with a new subscription and the jobs of its backfill, to be written with them.

    Args:
        commit: The current commit.
        subscription: The new subscription.
        order_id: Id of the order of its backfill.
        count: Acquisitions of that order.
        now: Current time.

    Returns:
        The usage; None without a quota.

    Raises:
        InvalidInputError: The plan allows no more subscriptions or webhooks.
        QuotaExceededError: The backfill has more acquisitions than are left of the day.
    """
    limits = limits_of(subscription.owner)
    if limits.jobs_a_day is None:
        return None
    usage = _read_usage(commit.get, subscription.owner, now)
    webhooks = tuple(channel.id for channel in subscription.channels if channel.kind == "webhook")
    usage = replace(usage, watching={**usage.watching, subscription.id: webhooks})
    if _limit_exceeded_reason(usage, limits):
        usage = replace(
            usage,
            watching={
                id: channels
                for id, channels in usage.watching.items()
                if id == subscription.id or _is_live(commit.get(Subscription, id))
            },
        )
    if reason := _limit_exceeded_reason(usage, limits):
        raise InvalidInputError(reason)
    if order_id and count:
        _check_daily_jobs(usage, count, limits.jobs_a_day, now)
        usage = replace(usage, jobs={**usage.jobs, order_id: count})
    return usage


def reserve_key(commit: Commit, owner: str, now: datetime) -> Usage | None:
    """The owner's usage with one more key, to be written with it; None without a quota.

    Raises:
        QuotaExceededError: Too many keys were created today; each is a record, even if it is revoked.
    """
    limit = limits_of(owner).keys_a_day
    if limit is None:
        return None
    usage = _read_usage(commit.get, owner, now)
    if usage.keys >= limit:
        raise QuotaExceededError(
            f"{usage.keys} keys have been created today, the maximum ({limit}); continue after midnight UTC",
            limit,
            usage.keys,
            _seconds_to_midnight(now),
        )
    return replace(usage, keys=usage.keys + 1)


def get_usage(backend: Backend, owner: str) -> dict[str, Any]:
    """The owner's usage as shown by GET /limits; empty without a quota."""
    if limits_of(owner).jobs_a_day is None:
        return {}
    now, get = backend.now(), backend.records.get
    usage = _read_usage(get, owner, now)
    live = {id: channels for id, channels in usage.watching.items() if _is_live(get(Subscription, id))}
    return {
        "subscriptions": len(live),
        "webhooks": len(replace(usage, watching=live).webhooks),
        "jobs_a_day": usage.jobs_today,
        "keys_a_day": usage.keys,
        "orders_running": len(_open_orders(get, usage.running)),
        "day_ends": _next_midnight(now),
    }


def quota_exceeded_reason(backend: Backend, owner: str, count: int) -> str:
    """Why an order of that many acquisitions would be rejected now; empty if it would not."""
    limits, get, now = limits_of(owner), backend.records.get, backend.now()
    if limits.jobs_a_day is None or limits.orders_running is None:
        return ""
    usage = _read_usage(get, owner, now)
    try:
        _check_daily_jobs(usage, count, limits.jobs_a_day, now)
        if count:
            _check_running_orders(get, usage.running, limits.orders_running)
    except QuotaExceededError as error:
        return str(error)
    return ""


def _read_usage(get: GetRecord, owner: str, now: datetime) -> Usage:
    found = get(Usage, usage_id(owner))
    return (found or new_usage(owner, now)).for_day(now.date())


def _check_daily_jobs(usage: Usage, count: int, limit: int, now: datetime) -> None:
    if usage.jobs_today + count > limit:
        raise QuotaExceededError(
            f"this would be {count:,} acquisitions with {usage.jobs_today:,} of today's {limit:,} used; "
            "shorten the period, or continue after midnight UTC",
            limit,
            usage.jobs_today,
            _seconds_to_midnight(now),
        )


def _check_running_orders(get: GetRecord, orders: tuple[str, ...], limit: int) -> tuple[str, ...]:
    if len(orders) >= limit:
        orders = _open_orders(get, orders)
    if len(orders) >= limit:
        raise QuotaExceededError(
            f"{len(orders)} orders are running, the maximum ({limit}); ask again when one has ended",
            limit,
            len(orders),
            RETRY_AFTER_S,
        )
    return orders


def _open_orders(get: GetRecord, orders: Iterable[str]) -> tuple[str, ...]:
    return tuple(id for id in orders if (order := get(Order, id)) is not None and order.is_active)


def _limit_exceeded_reason(usage: Usage, limits: Limits) -> str:
    if len(usage.watching) > limits.subscriptions:
        return f"{len(usage.watching) - 1} subscriptions are the most allowed; delete one first"
    if limits.webhooks is not None and len(usage.webhooks) > limits.webhooks:
        return (
            f"{limits.webhooks} different webhooks are the most allowed, over all subscriptions; "
            "use one of those again, or delete one first"
        )
    return ""


def _is_live(subscription: Subscription | None) -> bool:
    return subscription is not None and subscription.state != "deleted"


def _seconds_to_midnight(now: datetime) -> int:
    """Seconds until the next day in UTC."""
    return int((_next_midnight(now) - now).total_seconds()) + 1


def _next_midnight(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
