"""Carries alerts outward: at least once, on a schedule over three days, and never more than a receiver can
bear.

announce: alert, number and deliveries in one commit      due: the deliveries whose moment has come
carry:    claim -> send -> record; a record whose claim was overtaken changes nothing
"""

import hashlib
import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from threading import BoundedSemaphore

from revisit.delivery import file_channel, webhook, webhook_client
from revisit.delivery.url_guard import Endpoint, Resolver, check_url, system_resolver
from revisit.delivery.webhook_client import AttemptResult
from revisit.domain.alert import Alert, alert_id
from revisit.domain.clock import format_rfc3339
from revisit.domain.delivery import Attempt, Delivery, Receiver, delivery_id
from revisit.domain.job import Cover, Job
from revisit.domain.subscription import Channel, Subscription
from revisit.domain.webhook_secret import active_secrets
from revisit.errors import PermanentError
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import find_all_sorted

RETRY_DELAYS = tuple(
    timedelta(seconds=seconds) for seconds in (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Before each attempt; ten attempts over about 75 h 35 m."""

JITTER = 0.2
CLAIM_LEASE = timedelta(seconds=60)
"""How long a claim keeps others away: four times what one post may take."""

CIRCUIT_THRESHOLD = 10
"""Failures in a row after which a host is only probed."""

PROBE_INTERVAL = timedelta(minutes=5)
DISABLE_AFTER = timedelta(days=5)
MAX_PER_HOST = 4
MAX_THREADS = 64
DISPATCH_TIMEOUT_S = 60.0
"""No post is begun later than this after the first; what is left waits for the next tick."""

HOST_SLOT_TIMEOUT_S = 0.2
"""How long to wait for one of a host's places."""

log = logging.getLogger("revisit")

_host_slots: defaultdict[str, BoundedSemaphore] = defaultdict(lambda: BoundedSemaphore(MAX_PER_HOST))


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to try one delivery now."""

    delivery: Delivery
    subscription: Subscription
    channel: Channel


@dataclass(frozen=True, slots=True)
class Network:
    """What lies around: how names are found, how long to wait."""

    resolver: Resolver = system_resolver
    timeout_s: float = webhook_client.TIMEOUT_S


# ------------------------------------------------------------------------------------------------------------
# what is decided


def retry_delay(delivery: str, attempt: int) -> timedelta:
    """How long before the attempt of that number (1 is the first): the schedule's delay and up to a fifth
    more or less, always
    the same for the same delivery."""
    number = int.from_bytes(hashlib.sha256(f"{delivery}:{attempt}".encode()).digest()[:4])
    return RETRY_DELAYS[attempt - 1] * (1 + JITTER * (2 * number / 0xFFFFFFFF - 1))


def apply_attempt(delivery: Delivery, result: AttemptResult, now: datetime) -> Delivery:
    """The delivery after one more attempt."""
    tried = delivery.with_changes(attempts=(*delivery.attempts, Attempt(now, result.outcome)), due=None)
    if result.delivered:
        return tried.with_changes(state="delivered")
    if result.gone or len(tried.attempts) >= len(RETRY_DELAYS):
        return tried.with_changes(state="failed")
    wait = retry_delay(delivery.id, len(tried.attempts) + 1)
    return tried.with_changes(due=now + max(wait, result.retry_after or wait))


def count_failure(id: str, receiver: Receiver | None, now: datetime) -> Receiver:
    """The receiver after one more failure."""
    if receiver is None:
        return Receiver(id, 1, now, now)
    failures = receiver.failures + 1
    return replace(
        receiver, failures=failures, probe=now + PROBE_INTERVAL if failures >= CIRCUIT_THRESHOLD else now
    )


def circuit_open(receiver: Receiver | None, now: datetime) -> bool:
    """Whether a host failed so often that it is left alone for now."""
    return receiver is not None and receiver.failures >= CIRCUIT_THRESHOLD and now < receiver.probe


def disable_reason(
    delivery: Delivery, result: AttemptResult, receiver: Receiver | None, now: datetime
) -> str:
    """Why the channel of a delivery that just failed gets no more; empty if it does."""
    if result.gone:
        return f"the receiver answered 410 Gone at {format_rfc3339(now)}"
    if delivery.state == "failed" and receiver and now - receiver.since >= DISABLE_AFTER:
        return f"every delivery failed since {format_rfc3339(receiver.since)}, the last one with {result.outcome!r}"
    return ""


def undeliverable_reason(subscription: Subscription | None, channel: Channel | None) -> str:
    """Why a delivery that waits is not tried any more; empty if it is."""
    if subscription is None or subscription.state == "deleted":
        return "the subscription is deleted"
    if channel is None:
        return "the channel was removed"
    return f"the channel is disabled: {channel.reason}" if channel.state == "disabled" else ""


# ------------------------------------------------------------------------------------------------------------
# what is committed


def create_deliveries(job: str, backend: Backend) -> list[Delivery]:
    """Write the alert of a finished job and one delivery per live channel; nothing where there is none to
    give or it is there."""
    finished = backend.get_record(Job, job)
    if finished.state != "done" or not finished.subscription:
        return []
    # The alert is its own dedupe mark. With the event's, a job that finished while its subscription was
    # paused could not be
    # announced when it is resumed.
    return (
        backend.commit(partial(_create_deliveries, job=finished, now=backend.now()), completes_event=False)
        or []
    )


def _create_deliveries(commit: Commit, job: Job, now: datetime) -> list[Delivery]:
    subscription = commit.get(Subscription, job.subscription)
    id = alert_id(job.subscription, job.acquisition)
    there = commit.get(Alert, id)
    if subscription is None or subscription.state != "active" or there:
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
        )
    )
    for delivery in deliveries:
        commit.put(delivery)
    return deliveries


def claim(delivery: str, backend: Backend) -> Claim | None:
    """Take a delivery for one attempt; None where another has it, its moment has not come or it is over."""
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
    """Write down what came of an attempt; None where another claim came in between."""
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


# --------------------------------------------------------------------------------------------------------------
# what is carried


def due_deliveries(backend: Backend) -> list[Delivery]:
    """Deliveries that are due, longest overdue first; includes those that a crash left behind."""
    now = backend.now()
    waiting = find_all_sorted(backend.records, Delivery, sort="due", state="due")
    return list(takewhile(lambda delivery: delivery.due is not None and delivery.due <= now, waiting))


def dispatch(
    deliveries: Iterable[Delivery],
    backend: Backend,
    network: Network = Network(),
    skip_failing_hosts: bool = False,
) -> None:
    """Try deliveries side by side: at most 4 at one host, and no host waits for another.

    Args:
        deliveries: Whose moment has come.
        backend: Where they are recorded.
        around: Other than the world itself in tests.
        at_once: Leave hosts that fail at present to the next tick, so that the caller does not wait for them.
    """
    queues: defaultdict[str, deque[Delivery]] = defaultdict(deque)
    for delivery in deliveries:
        queues[delivery.host or delivery.target].append(delivery)
    if not queues:
        return
    lanes = [
        (name, queue) for place in range(MAX_PER_HOST) for name, queue in queues.items() if len(queue) > place
    ]
    lane = partial(
        _dispatch_host,
        backend=backend,
        network=network,
        skip_failing_hosts=skip_failing_hosts,
        deadline=time.monotonic() + DISPATCH_TIMEOUT_S,
    )
    with ThreadPoolExecutor(min(len(lanes), MAX_THREADS), "carry") as pool:
        for done in [pool.submit(lane, name, queue) for name, queue in lanes]:
            done.result()


def _dispatch_host(
    host: str,
    queue: deque[Delivery],
    backend: Backend,
    network: Network,
    skip_failing_hosts: bool,
    deadline: float,
) -> None:
    gate = _host_slots[host]
    if not gate.acquire(timeout=HOST_SLOT_TIMEOUT_S):
        return
    try:
        while queue and time.monotonic() < deadline:
            receiver = backend.records.get(Receiver, host)
            if circuit_open(receiver, backend.now()) or (skip_failing_hosts and receiver):
                return
            try:
                delivery = queue.popleft()
            except IndexError:
                return
            if claimed := claim(delivery.id, backend):
                try:
                    answer = send(claimed, backend, network)
                except PermanentError as error:
                    # It is ours to mend, and no failure of the receiver's: it is due again once the claim is
                    # over.
                    log.error("delivery %s waits: %s", delivery.id, error)
                    return
                record_attempt(claimed, answer, backend)
    finally:
        gate.release()


def send(claimed: Claim, backend: Backend, network: Network) -> AttemptResult:
    """Try once; every way it can end is an answer.

    Raises:
        PermanentError: There is no key to sign with.
    """
    delivery, channel = claimed.delivery, claimed.channel
    body = webhook.payload(
        backend.get_record(Alert, delivery.alert), claimed.subscription, backend.settings.base_url
    )
    secrets = (
        active_secrets(backend.settings.webhook_key, claimed.subscription, channel, backend.now())
        if channel.kind == "webhook"
        else []
    )
    try:
        if channel.kind == "file":
            return _append_to_file(channel, body, backend)
        endpoint: Endpoint = check_url(channel.target)
        headers = webhook.signed_headers(" ".join(secrets), delivery.id, backend.now(), body)
    except PermanentError as error:
        return AttemptResult(f"refused: {error}")
    return webhook_client.post(
        endpoint, headers, body, backend.now(), resolver=network.resolver, timeout_s=network.timeout_s
    )


def _append_to_file(channel: Channel, body: bytes, backend: Backend) -> AttemptResult:
    if backend.settings.channel_folder is None:
        return AttemptResult("refused: there is no disk to keep the file of this channel on; use a webhook")
    try:
        file_channel.append(backend.settings.channel_folder, channel.target, body)
    except OSError as error:
        return AttemptResult(f"not written: {error}")
    return AttemptResult("written", 200)


def _find_channel(subscription: Subscription | None, delivery: Delivery) -> Channel | None:
    channels = subscription.channels if subscription else ()
    return next((channel for channel in channels if channel.id == delivery.channel), None)


def _channel_host(channel: Channel) -> str:
    return (
        channel.target.partition("://")[2].partition("/")[0].lower().removesuffix(":443")
        if channel.kind == "webhook"
        else ""
    )
