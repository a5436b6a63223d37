"""Delivery policy: retry schedule, circuit breaker, and when a channel is disabled. Pure functions."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from revisit.delivery.webhook_client import AttemptResult
from revisit.domain.clock import format_rfc3339
from revisit.domain.delivery import Attempt, Delivery, Receiver
from revisit.domain.subscription import Channel, Subscription

RETRY_DELAYS = tuple(
    timedelta(seconds=seconds) for seconds in (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Delay before each attempt: ten attempts over about 75 h 35 min."""

JITTER = 0.2
"""Share by which a delay varies either way."""

CIRCUIT_THRESHOLD = 10
"""Consecutive failures of a host that open its circuit breaker."""

PROBE_INTERVAL = timedelta(minutes=5)
"""Time between two probes of a host while its circuit breaker is open."""

DISABLE_AFTER = timedelta(days=5)
"""A channel is disabled when a delivery fails for good and no attempt on it has succeeded for so long."""


def retry_delay(delivery_id: str, attempt: int) -> timedelta:
    """The delay before an attempt (1 is the first), with a jitter that is fixed for each delivery."""
    digest = hashlib.sha256(f"{delivery_id}:{attempt}".encode()).digest()
    share = int.from_bytes(digest[:4]) / 0xFFFFFFFF
    return RETRY_DELAYS[attempt - 1] * (1 + JITTER * (2 * share - 1))


def apply_attempt(delivery: Delivery, result: AttemptResult, now: datetime) -> Delivery:
    """The delivery after one more attempt."""
    tried = delivery.with_changes(attempts=(*delivery.attempts, Attempt(now, result.outcome)), due=None)
    if result.delivered:
        return tried.with_changes(state="delivered")
    if result.gone or len(tried.attempts) >= len(RETRY_DELAYS):
        return tried.with_changes(state="failed")
    delay = retry_delay(delivery.id, len(tried.attempts) + 1)
    return tried.with_changes(due=now + max(delay, result.retry_after or delay))


def count_failure(id: str, receiver: Receiver | None, now: datetime) -> Receiver:
    """The receiver after one more failure; None stands for a receiver without failures."""
    if receiver is None:
        return Receiver(id, 1, now, now)
    failures = receiver.failures + 1
    return replace(
        receiver, failures=failures, probe=now + PROBE_INTERVAL if failures >= CIRCUIT_THRESHOLD else now
    )


def circuit_open(receiver: Receiver | None, now: datetime) -> bool:
    """Whether the circuit breaker of a host is open: it failed too often, and its next probe is not due."""
    return receiver is not None and receiver.failures >= CIRCUIT_THRESHOLD and now < receiver.probe


def disable_reason(
    delivery: Delivery, result: AttemptResult, receiver: Receiver | None, now: datetime
) -> str:
    """Why the channel of a delivery that just failed is to be disabled; empty if it is not."""
    if result.gone:
        return f"the receiver answered 410 Gone at {format_rfc3339(now)}"
    if delivery.state == "failed" and receiver and now - receiver.since >= DISABLE_AFTER:
        since = format_rfc3339(receiver.since)
        return f"every delivery failed since {since}, the last one with {result.outcome!r}"
    return ""


def undeliverable_reason(subscription: Subscription | None, channel: Channel | None) -> str:
    """Why a delivery that is due is not to be sent; empty if it is."""
    if subscription is None or subscription.state == "deleted":
        return "the subscription is deleted"
    if channel is None:
        return "the channel was removed"
    return f"the channel is disabled: {channel.reason}" if channel.state == "disabled" else ""
