"""Dispatch of deliveries to their channels: at least once, in parallel, with a limit per host.

Each attempt is claimed, sent and recorded; a record whose claim was replaced changes nothing.
"""

import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Condition

from revisit.chain.delivery_ledger import Claim, claim, host_or_target, record_attempt
from revisit.chain.delivery_policy import circuit_open
from revisit.delivery import file_channel, webhook, webhook_client
from revisit.delivery.url_guard import Endpoint, Resolver, check_url, system_resolver
from revisit.delivery.webhook_client import AttemptResult
from revisit.domain.alert import Alert
from revisit.domain.delivery import Delivery, Receiver
from revisit.domain.subscription import Channel
from revisit.domain.webhook_secret import active_secrets
from revisit.errors import PermanentError
from revisit.ports.backend import Backend

MAX_PER_HOST = 4
MAX_THREADS = 64
DISPATCH_TIMEOUT_S = 60.0
"""No send starts later than this after the first; what remains waits for the next tick."""

HOST_SLOT_TIMEOUT_S = 0.2
"""Longest wait for one of a host's slots, seconds."""

log = logging.getLogger("revisit")


class HostSlots:
    """Limits the concurrent sends to each host; a host without sends takes no memory."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used: Counter[str] = Counter()
        self._released = Condition()

    @contextmanager
    def take(self, host: str, timeout_s: float) -> Iterator[bool]:
        """Hold one slot of a host for a `with` block; yields whether one was free in time."""
        with self._released:
            taken = self._released.wait_for(lambda: self._used[host] < self._limit, timeout_s)
            if taken:
                self._used[host] += 1
        try:
            yield taken
        finally:
            with self._released:
                if taken:
                    self._used[host] -= 1
                if not self._used[host]:
                    del self._used[host]
                self._released.notify_all()


HOST_SLOTS = HostSlots(MAX_PER_HOST)
"""Shared by all dispatches of a process: the limit protects the receiver, whichever thread sends."""


@dataclass(frozen=True, slots=True)
class Network:
    """How receivers are reached."""

    resolver: Resolver = system_resolver
    timeout_s: float = webhook_client.TIMEOUT_S
    slots: HostSlots = HOST_SLOTS


def dispatch(
    deliveries: Iterable[Delivery],
    backend: Backend,
    network: Network = Network(),
    skip_failing_hosts: bool = False,
) -> None:
    """Send deliveries in parallel: at most 4 to one host at a time, and no host waits for another.

    Args:
        deliveries: Deliveries that are due.
        backend: Holds their records.
        network: How receivers are reached.
        skip_failing_hosts: Leave hosts that failed last time to the next tick, so that the caller does not
            wait for them.
    """
    queues: defaultdict[str, deque[Delivery]] = defaultdict(deque)
    for delivery in deliveries:
        queues[host_or_target(delivery)].append(delivery)
    if not queues:
        return
    lanes = [
        (name, queue)
        for number in range(MAX_PER_HOST)
        for name, queue in queues.items()
        if len(queue) > number
    ]
    lane = partial(
        _dispatch_host,
        backend=backend,
        network=network,
        skip_failing_hosts=skip_failing_hosts,
        deadline=time.monotonic() + DISPATCH_TIMEOUT_S,
    )
    with ThreadPoolExecutor(min(len(lanes), MAX_THREADS), "dispatch") as pool:
        for future in [pool.submit(lane, name, queue) for name, queue in lanes]:
            future.result()


def _dispatch_host(
    host: str,
    queue: deque[Delivery],
    backend: Backend,
    network: Network,
    skip_failing_hosts: bool,
    deadline: float,
) -> None:
    with network.slots.take(host, HOST_SLOT_TIMEOUT_S) as taken:
        while taken and queue and time.monotonic() < deadline:
            receiver = backend.records.get(Receiver, host)
            if circuit_open(receiver, backend.now()) or (skip_failing_hosts and receiver):
                return
            try:
                delivery = queue.popleft()
            except IndexError:  # another lane of this host was faster
                return
            if claimed := claim(delivery.id, backend):
                try:
                    result = send(claimed, backend, network)
                except PermanentError as error:
                    # A fault of this deployment, not of the receiver: due again when the claim expires.
                    log.error("delivery %s waits: %s", delivery.id, error)
                    return
                record_attempt(claimed, result, backend)


def send(claimed: Claim, backend: Backend, network: Network) -> AttemptResult:
    """Make one attempt; every failure of the receiver is a result, not an error.

    Raises:
        PermanentError: There is no key to sign with.
    """
    delivery, channel, settings = claimed.delivery, claimed.channel, backend.settings
    alert = backend.get_record(Alert, delivery.alert)
    body = webhook.payload(alert, claimed.subscription, settings.base_url)
    secrets = (
        active_secrets(settings.webhook_key, claimed.subscription, channel, backend.now())
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
    folder = backend.settings.channel_folder
    if folder is None:
        return AttemptResult("refused: this deployment has no disk for file channels; use a webhook")
    try:
        file_channel.append(folder, channel.target, body)
    except OSError as error:
        return AttemptResult(f"not written: {error}")
    return AttemptResult("written", 200)
