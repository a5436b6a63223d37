"""Dispatch: limits for each host and each tick, what reaches the channel, and what ends a host's turn."""

import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from backends import with_settings
from revisit.adapters.local.backend import local_backend
from revisit.chain import delivery_ledger
from revisit.chain import dispatch as dispatch_module
from revisit.chain.delivery_ledger import claim, due_deliveries
from revisit.chain.dispatch import HostSlots, Network, dispatch
from revisit.delivery import webhook_client
from revisit.delivery.webhook_client import AttemptResult
from revisit.domain.delivery import Delivery, Receiver
from revisit.domain.subscription import Channel
from revisit.errors import PermanentError
from samples import NOON, alert, delivery, subscription


def test_a_host_has_no_more_slots_than_the_limit_and_another_host_has_its_own():
    slots = HostSlots(2)
    with (
        slots.take("a.org", 0),
        slots.take("a.org", 0),
        slots.take("a.org", 0.01) as third,
        slots.take("b.org", 0) as other,
    ):
        assert (third, other) == (False, True)
    with slots.take("a.org", 0) as free:
        assert free


def test_a_released_slot_goes_to_a_thread_that_waits():
    slots, waiting = HostSlots(1), threading.Event()
    results = []

    def wait():
        waiting.set()
        with slots.take("a.org", 3600) as taken:
            results.append(taken)

    thread = threading.Thread(target=wait, daemon=True)
    with slots.take("a.org", 0):
        thread.start()
        assert waiting.wait(10)
        time.sleep(0.05)
    thread.join(60)
    assert results == [True]


def test_a_host_without_sends_is_forgotten_also_after_an_error():
    slots = HostSlots(1)
    with pytest.raises(ZeroDivisionError), slots.take("a.org", 0):
        with slots.take("a.org", 0):
            pass
        raise ZeroDivisionError
    assert not slots._used


def test_a_tick_takes_the_longest_waiting_deliveries_of_each_host(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery_ledger, "MAX_DUE_PER_HOST", 3)
    backend = local_backend(tmp_path, now=lambda: NOON)
    for host, count in (("a.org", 10), ("b.org", 2)):
        for number in range(count):
            due = NOON - timedelta(seconds=number)
            backend.records.transact(
                lambda transaction, host=host, number=number, due=due: transaction.put(
                    delivery(f"{host}-{number}", host=host, due=due)
                )
            )
    later = delivery("later", host="c.org", due=NOON + timedelta(seconds=1))
    backend.records.transact(lambda transaction: transaction.put(later))
    assert [found.id for found in due_deliveries(backend)] == [
        "a.org-9",
        "a.org-8",
        "a.org-7",
        "b.org-1",
        "b.org-0",
    ]


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DELIVERED = AttemptResult("200", 200)


@dataclass
class Posts:
    """Stands for the webhook client: counts the requests to each path, all at once and at a time."""

    result: AttemptResult = DELIVERED
    barrier: threading.Barrier | None = None
    """Holds each request until that many are under way."""
    urls: list[str] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _now: int = 0
    most_at_once: int = 0

    def __call__(self, endpoint, headers, body, now, **options):
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            self.urls.append(endpoint.host)
            self.options.append(options)
        if self.barrier:
            self.barrier.wait(30)
        with self._lock:
            self._now -= 1
        return self.result


@pytest.fixture
def posts(monkeypatch):
    posts = Posts()
    monkeypatch.setattr(webhook_client, "post", posts)
    return posts


@pytest.fixture
def backend(tmp_path):
    return local_backend(tmp_path / "data", now=lambda: NOON)


def add_due(backend, *hosts: str, kind="webhook", **fields) -> list[Delivery]:
    """One due delivery to a channel of its own for each host, or each file."""
    channels = [
        Channel("webhook", f"https://{host}/{number}", SECRET, **fields)
        if kind == "webhook"
        else Channel("file", host, **fields)
        for number, host in enumerate(hosts)
    ]
    made = [
        delivery(
            f"delivery_{number}",
            alert=alert().id,
            channel=channel.id,
            target=channel.target,
            host=host if kind == "webhook" else "",
        )
        for number, (host, channel) in enumerate(zip(hosts, channels, strict=True))
    ]

    def work(transaction):
        transaction.put(alert())
        transaction.put(subscription(channels=tuple(channels)))
        for each in made:
            transaction.put(each)

    backend.records.transact(work)
    return made


def states(backend) -> list[tuple[str, int]]:
    """State and number of attempts of each delivery."""
    found = sorted(backend.records.find(Delivery), key=lambda each: each.id)
    return [(each.state, len(each.attempts)) for each in found]


def test_each_delivery_is_sent_once_with_the_resolver_and_the_time_out_of_the_network(backend, posts):
    network = Network(resolver=lambda host, port: [], timeout_s=0.25)
    dispatch(add_due(backend, "a.org", "a.org", "b.org"), backend, network)
    assert sorted(posts.urls) == ["a.org", "a.org", "b.org"]
    assert posts.options == [{"resolver": network.resolver, "timeout_s": 0.25}] * 3
    assert states(backend) == [("delivered", 1)] * 3


def test_a_dispatch_of_nothing_does_nothing(backend, posts):
    dispatch(iter(()), backend)
    assert not posts.urls


def test_four_requests_to_a_host_run_at_once_and_no_more(backend, posts):
    posts.barrier = threading.Barrier(4)
    dispatch(add_due(backend, *["a.org"] * 8), backend, Network(slots=HostSlots(100)))
    assert (len(posts.urls), posts.most_at_once) == (8, 4)


def test_hosts_are_served_at_once(backend, posts):
    posts.barrier = threading.Barrier(12)
    dispatch(add_due(backend, *(f"{number}.org" for number in range(12))), backend)
    assert len(posts.urls) == 12


def test_no_request_starts_after_the_time_of_a_dispatch(backend, posts, monkeypatch):
    monkeypatch.setattr(dispatch_module, "DISPATCH_TIMEOUT_S", 0.0)
    dispatch(add_due(backend, "a.org", "b.org"), backend)
    assert not posts.urls and states(backend) == [("due", 0)] * 2
    assert len(due_deliveries(backend)) == 2


def test_a_host_whose_slots_are_taken_waits_for_the_next_tick(backend, posts, monkeypatch):
    monkeypatch.setattr(dispatch_module, "HOST_SLOT_TIMEOUT_S", 0.01)
    network = Network(slots=HostSlots(1))
    with network.slots.take("a.org", 0):
        dispatch(add_due(backend, "a.org", "b.org"), backend, network)
    assert posts.urls == ["b.org"] and states(backend) == [("due", 0), ("delivered", 1)]


def test_a_host_that_failed_is_left_out_only_on_request(backend, posts):
    waiting = add_due(backend, "a.org", "b.org")
    failed = Receiver("a.org", 1, NOON, NOON)
    backend.records.transact(lambda transaction: transaction.put(failed))
    dispatch(waiting, backend, skip_failing_hosts=True)
    assert posts.urls == ["b.org"] and states(backend) == [("due", 0), ("delivered", 1)]
    dispatch(waiting, backend)
    assert posts.urls == ["b.org", "a.org"] and states(backend) == [("delivered", 1)] * 2


def test_a_circuit_that_opens_during_a_dispatch_ends_the_turn_of_its_host(backend, posts):
    posts.result = AttemptResult("500", 500)
    waiting = add_due(backend, *["a.org"] * 3)
    failed = Receiver("a.org", 9, NOON, NOON)
    backend.records.transact(lambda transaction: transaction.put(failed))
    dispatch(waiting, backend, Network(slots=HostSlots(1)))
    assert posts.urls == ["a.org"]
    assert sorted(states(backend)) == [("due", 0), ("due", 0), ("due", 1)]
    assert {each.claim for each in backend.records.find(Delivery)} == {0, 1}


def test_a_delivery_that_another_worker_claimed_is_passed_over(backend, posts):
    waiting = add_due(backend, "a.org", "a.org")
    assert claim(waiting[0].id, backend)
    dispatch(waiting, backend)
    assert states(backend) == [("due", 0), ("delivered", 1)]


def test_a_lane_that_finds_its_queue_emptied_ends(backend, posts, monkeypatch):
    first: set[int] = set()

    def wait_for_the_first_lane(receiver, now):
        if first <= {threading.get_ident()}:
            first.add(threading.get_ident())
        else:
            deadline = time.monotonic() + 30
            while len(posts.urls) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
        return False

    monkeypatch.setattr(dispatch_module, "circuit_open", wait_for_the_first_lane)
    dispatch(add_due(backend, "a.org", "a.org"), backend)
    assert states(backend) == [("delivered", 1)] * 2


def test_without_a_key_to_sign_with_a_host_waits_and_files_are_written(backend, posts, caplog):
    def no_key():
        raise PermanentError("no key")

    keyless = with_settings(backend, webhook_key=no_key)
    with caplog.at_level("ERROR", "revisit"):
        dispatch(add_due(backend, "a.org", generation=1), keyless)
    assert not posts.urls and states(backend) == [("due", 0)]
    assert "delivery_0 waits: no key" in caplog.text
    [written] = add_due(backend, "log", kind="file")
    dispatch([written], keyless)
    assert states(backend) == [("delivered", 1)]
    assert backend.get_record(Delivery, written.id).attempts[0].outcome == "written"
    assert len((backend.settings.channel_folder / "log.jsonl").read_text().splitlines()) == 1


def test_an_address_that_is_not_allowed_is_recorded_as_a_failed_attempt(backend, posts):
    [refused] = add_due(backend, "127.0.0.1")
    dispatch([refused], backend)
    [attempt] = backend.get_record(Delivery, refused.id).attempts
    assert not posts.urls and attempt.outcome.startswith("refused: ")


def test_an_error_of_this_deployment_reaches_the_caller(backend, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(webhook_client, "post", fail)
    with pytest.raises(ZeroDivisionError):
        dispatch(add_due(backend, "a.org"), backend)
