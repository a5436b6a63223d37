"""Places that a plan has few of, taken in the same commit as what takes them (rules.md Q2, Q3).

What is over is looked for only where its place is wanted, so that nothing need be written when an order ends.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from revisit.domain.order import Order
from revisit.domain.subscription import Subscription
from revisit.domain.usage import Usage, unused, usage_id
from revisit.errors import BadInput, TooMany
from revisit.ports.backend import Backend, Commit
from revisit.services.accounts.limits import Limits, limits_of

SOON_S = 30
"""When to ask again where an order has to end first."""

type Get = Callable[[type[Any], str], Any]


def take_jobs(commit: Commit, order: Order, count: int, now: datetime) -> Usage | None:
    """The owner's usage with an order of so many acquisitions, to be put with it; None where the plan is not limited.

    An order that was counted today is counted anew, so that what was taken for it beforehand is set right.

    Raises:
        TooMany: It would be more acquisitions than a day has, or more orders than may run at once.
    """
    limits = limits_of(order.owner)
    if limits.jobs_a_day is None or limits.orders_running is None:
        return None
    usage = _read(commit.get, order.owner, now)
    if order.id not in usage.jobs:
        _check_jobs(usage, count, limits.jobs_a_day, now)
    running = usage.running
    if not order.subscription and count:
        running = _running(commit.get, tuple(id for id in running if id != order.id), limits.orders_running)
        running = (*running, order.id)
    return replace(usage, jobs={**usage.jobs, order.id: count} if count else usage.jobs, running=running)


def take_place(commit: Commit, watcher: Subscription, order: str, count: int, now: datetime) -> Usage | None:
    """The owner's usage with a new subscription and the jobs of its past, to be put with it; None where the plan is not limited.

    Args:
        order: Id of the order its past will be.
        count: Acquisitions of it.

    Raises:
        BadInput: There are as many subscriptions or webhooks as the plan allows.
        TooMany: Its past holds more acquisitions than are left of the day's.
    """
    limits = limits_of(watcher.owner)
    if limits.jobs_a_day is None:
        return None
    usage = _read(commit.get, watcher.owner, now)
    webhooks = tuple(channel.id for channel in watcher.channels if channel.kind == "webhook")
    usage = replace(usage, watching={**usage.watching, watcher.id: webhooks})
    if _too_many(usage, limits):
        usage = replace(usage, watching={id: channels for id, channels in usage.watching.items()
                                         if id == watcher.id or _lives(commit.get(Subscription, id))})
    if reason := _too_many(usage, limits):
        raise BadInput(reason)
    if order and count:
        _check_jobs(usage, count, limits.jobs_a_day, now)
        usage = replace(usage, jobs={**usage.jobs, order: count})
    return usage


def take_key(commit: Commit, owner: str, now: datetime) -> Usage | None:
    """The owner's usage with one more key, to be put with it; None where the plan is not limited.

    Raises:
        TooMany: As many have been made today as a day has: each is a record, whether or not it is revoked.
    """
    limit = limits_of(owner).keys_a_day
    if limit is None:
        return None
    usage = _read(commit.get, owner, now)
    if usage.keys >= limit:
        raise TooMany(f"{usage.keys} keys have been made today, as many as may be in a day; go on after midnight UTC", limit, usage.keys, _wait(now))
    return replace(usage, keys=usage.keys + 1)


def used(backend: Backend, owner: str) -> dict[str, Any]:
    """What GET /limits tells of the owner's usage; nothing where nothing is counted."""
    if limits_of(owner).jobs_a_day is None:
        return {}
    now, get = backend.now(), backend.records.get
    usage = _read(get, owner, now)
    live = {id: channels for id, channels in usage.watching.items() if _lives(get(Subscription, id))}
    return {"subscriptions": len(live), "webhooks": len(replace(usage, watching=live).webhooks), "jobs_a_day": usage.jobs_today, "keys_a_day": usage.keys,
            "orders_running": len(_unfinished(get, usage.running)), "day_ends": _midnight(now)}


def refusal(backend: Backend, owner: str, count: int) -> str:
    """Why one more order of so many acquisitions would not be taken now; empty where it would."""
    limits, get, now = limits_of(owner), backend.records.get, backend.now()
    if limits.jobs_a_day is None or limits.orders_running is None:
        return ""
    usage = _read(get, owner, now)
    try:
        _check_jobs(usage, count, limits.jobs_a_day, now)
        if count:
            _running(get, usage.running, limits.orders_running)
    except TooMany as error:
        return str(error)
    return ""


def _read(get: Get, owner: str, now: datetime) -> Usage:
    found = get(Usage, usage_id(owner))
    return (found or unused(owner, now)).on(now.date())


def _check_jobs(usage: Usage, count: int, limit: int, now: datetime) -> None:
    if usage.jobs_today + count > limit:
        raise TooMany(f"this would be {count:,} acquisitions with {usage.jobs_today:,} of today's {limit:,} used; shorten the period, "
                      "or go on after midnight UTC", limit, usage.jobs_today, _wait(now))


def _running(get: Get, orders: tuple[str, ...], limit: int) -> tuple[str, ...]:
    if len(orders) >= limit:
        orders = _unfinished(get, orders)
    if len(orders) >= limit:
        raise TooMany(f"{len(orders)} orders are being worked, as many as may be at once ({limit}); ask again when one has ended", limit,
                      len(orders), SOON_S)
    return orders


def _unfinished(get: Get, orders: Iterable[str]) -> tuple[str, ...]:
    return tuple(id for id in orders if (found := get(Order, id)) is not None and found.open)


def _too_many(usage: Usage, limits: Limits) -> str:
    if len(usage.watching) > limits.subscriptions:
        return f"{len(usage.watching) - 1} subscriptions are the most allowed; delete one first"
    if limits.webhooks is not None and len(usage.webhooks) > limits.webhooks:
        return f"{limits.webhooks} different webhooks are the most allowed, over all subscriptions; use one of those again, or delete one first"
    return ""


def _lives(watcher: Subscription | None) -> bool:
    return watcher is not None and watcher.state != "deleted"


def _wait(now: datetime) -> int:
    """Seconds until a new day."""
    return int((_midnight(now) - now).total_seconds()) + 1


def _midnight(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
