"""Delivery records: alerts with their deliveries, claims, and the results of attempts, each in one commit."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from revisit.chain.delivery_policy import (
    CIRCUIT_THRESHOLD,
    PROBE_INTERVAL,
    apply_attempt,
    circuit_open,
    count_failure,
    disable_reason,
    undeliverable_reason,
)
from revisit.delivery.webhook_client import AttemptResult
from revisit.domain.alert import Alert, alert_id
from revisit.domain.delivery import Attempt, Delivery, Receiver, delivery_id
from revisit.domain.job import Cover, Job
from revisit.domain.subscription import Channel, Subscription
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import find_all_sorted

CLAIM_LEASE = timedelta(seconds=60)
"""How long a claim keeps a delivery from other workers: four times the time-out of one POST request."""

MAX_DUE_PER_HOST = 1000
"""Due deliveries of one host that one tick takes; the rest waits for the next tick."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to try one delivery now. The number in `delivery.claim` is its fencing token."""

    delivery: Delivery
    subscription: Subscription
    channel: Channel


def create_deliveries(job: str, backend: Backend) -> list[Delivery]:
    """Create the alert of a finished job and one delivery per live channel.

    The first result of a pass gives an alert of kind "new"; a later run of the job that changes the result
    gives one of kind "updated", with a number of its own and the number of the first.

    Returns:
        The deliveries; empty if the job gives no alert, or its alerts have its result already.

    Raises:
        NotFoundError: There is no such job.
    """
    finished = backend.get_record(Job, job)
    if finished.state != "done" or not finished.subscription:
        return []
    # The alert's derived id is the dedupe key. With the event's own, a job that finished while its
    # subscription was paused could give no alert after the subscription is resumed.
    return (
        backend.commit(partial(_create_deliveries, job=finished, now=backend.now()), completes_event=False)
        or []
    )


def _create_deliveries(commit: Commit, job: Job, now: datetime) -> list[Delivery]:
    stored = commit.get(Job, job.id)
    subscription = commit.get(Subscription, job.subscription)
    first = commit.get(Alert, alert_id(job.subscription, job.observed))
    id = alert_id(job.subscription, job.observed, job.again if first else 0)
    is_alerted = _is_alerted(commit, job, first)
    if stored and stored.recheck and (stored.state, stored.again) == (job.state, job.again):
        commit.put(stored.with_changes(recheck=None, republished=0))
    if subscription is None or subscription.state != "active" or is_alerted:
        return []
    number = subscription.alerts + 1
    deliveries = [
        Delivery(
            delivery_id(id, channel.id),
            id,
            subscription.id,
            channel.id,
            channel.target,
            now,
            now,
            host=_channel_host(channel),
            owner=subscription.owner,
        )
        for channel in subscription.channels
        if channel.state == "live"
    ]
    commit.put(
        subscription.with_changes(alerts=number, last_sensing=job.product.sensing_time, last_alert=now)
    )
    commit.put(
        Alert(
            id,
            subscription.id,
            number,
            job.id,
            job.acquisition,
            job.product.id,
            job.product.sensing_time,
            now,
            job.cover or Cover(0, 0, 0, mask="none"),
            job.indices,
            job.lane == "backfill",
            job.reason,
            subscription.owner,
            kind="updated" if first else "new",
            updates=first.number if first else None,
            again=job.again,
        )
    )
    for delivery in deliveries:
        commit.put(delivery)
    return deliveries


def _is_alerted(commit: Commit, job: Job, first: Alert | None) -> bool:
    """Whether the pass's alerts have the job's result already: an alert of this run or a later one exists, or
    the latest one has the same result."""
    if first is None:
        return False
    latest = first
    for again in range(first.again + 1, job.again + 1):
        latest = commit.get(Alert, alert_id(job.subscription, job.observed, again)) or latest
    return latest.again >= job.again or (latest.cover, latest.indices) == (job.cover, job.indices)


def claim(delivery: str, backend: Backend) -> Claim | None:
    """Claim a delivery for one attempt; None if it is claimed by another worker, not due, or finished."""
    return backend.commit(partial(_claim, id=delivery, now=backend.now()), completes_event=False)


def _claim(commit: Commit, id: str, now: datetime) -> Claim | None:
    delivery = commit.get(Delivery, id)
    if delivery is None or delivery.state != "due" or delivery.due is None or delivery.due > now:
        return None
    subscription = commit.get(Subscription, delivery.subscription)
    receiver = commit.get(Receiver, delivery.host) if delivery.host else None
    channel = _find_channel(subscription, delivery)
    if subscription is None or channel is None or undeliverable_reason(subscription, channel):
        ended = Attempt(now, f"not sent: {undeliverable_reason(subscription, channel)}")
        commit.put(delivery.with_changes(state="failed", due=None, attempts=(*delivery.attempts, ended)))
        return None
    if circuit_open(receiver, now):
        return None
    if receiver and receiver.failures >= CIRCUIT_THRESHOLD:
        commit.put(replace(receiver, probe=now + PROBE_INTERVAL))
    claimed = delivery.with_changes(claim=delivery.claim + 1, due=now + CLAIM_LEASE)
    commit.put(claimed)
    return Claim(claimed, subscription, channel)


def record_attempt(claimed: Claim, result: AttemptResult, backend: Backend) -> Delivery | None:
    """Record the result of an attempt; None if a later claim has replaced this one (fencing token)."""
    return backend.commit(
        partial(_record_attempt, claimed=claimed.delivery, result=result, now=backend.now()),
        completes_event=False,
    )


def _record_attempt(
    commit: Commit, claimed: Delivery, result: AttemptResult, now: datetime
) -> Delivery | None:
    delivery = commit.get(Delivery, claimed.id)
    if delivery is None or delivery.claim != claimed.claim or delivery.state != "due":
        return None
    subscription = commit.get(Subscription, delivery.subscription)
    receivers = {id: commit.get(Receiver, id) for id in (delivery.host, delivery.channel) if id}
    tried = apply_attempt(delivery, result, now)
    commit.put(tried)
    for id, receiver in receivers.items():
        if not result.delivered:
            commit.put(count_failure(id, receiver, now))
        elif receiver:
            commit.delete(Receiver, id)
    reason = "" if result.delivered else disable_reason(tried, result, receivers[delivery.channel], now)
    if reason and subscription:
        commit.put(
            subscription.with_changes(
                channels=tuple(
                    replace(channel, state="disabled", reason=reason)
                    if channel.id == delivery.channel
                    else channel
                    for channel in subscription.channels
                )
            )
        )
    return tried


def due_deliveries(backend: Backend) -> list[Delivery]:
    """Deliveries that are due, longest overdue first; at most `MAX_DUE_PER_HOST` of one host.

    Includes deliveries whose worker crashed. The records are read page by page up to the first that is not
    due, and a host with a long backlog does not crowd out the others.
    """
    now, by_host = backend.now(), Counter[str]()
    found = []
    for delivery in find_all_sorted(backend.records, Delivery, sort="due", state="due"):
        if delivery.due is None or delivery.due > now:
            break
        host = host_or_target(delivery)
        if by_host[host] < MAX_DUE_PER_HOST:
            by_host[host] += 1
            found.append(delivery)
    return found


def host_or_target(delivery: Delivery) -> str:
    """What shares the limit of concurrent sends: the receiving host, or the file."""
    return delivery.host or delivery.target


def _find_channel(subscription: Subscription | None, delivery: Delivery) -> Channel | None:
    channels = subscription.channels if subscription else ()
    return next((channel for channel in channels if channel.id == delivery.channel), None)


def _channel_host(channel: Channel) -> str:
    return (
        channel.target.partition("://")[2].partition("/")[0].lower().removesuffix(":443")
        if channel.kind == "webhook"
        else ""
    )
