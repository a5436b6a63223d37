"""Events come twice, in any order, malformed, or while the clock jumps: the final state is the same."""

import hashlib
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults.deliver_worker import channel_lines, finished_job, push, watched
from profiles import examples
from raw_messages import put_raw
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.adapters.local.queue import MAX_ATTEMPTS
from revisit.domain.alert import Alert
from revisit.domain.delivery import Delivery
from revisit.domain.events import DeliveriesDue, JobFinished
from revisit.domain.subscription import Subscription
from revisit.embedded.function_host import FunctionHost
from revisit.ports.record_types import encode
from revisit.ports.system_records import DeadLetter
from samples import NOON, StoppedClock, envelope

SUBSCRIPTIONS = ("sub_0", "sub_1")
JOBS = tuple(finished_job(name, acquisition) for name in SUBSCRIPTIONS for acquisition in "abc")


def put_all(backend, *records):
    backend.records.transact(lambda transaction: [transaction.put(record) for record in records])


def test_one_event_handled_100_times_by_16_threads_has_one_effect(tmp_path):
    backend, job = local_backend(tmp_path), finished_job("sub_0", "a")
    put_all(backend, watched("sub_0"), job)
    backend.records.transact(lambda transaction: transaction.send(envelope(JobFinished(job.id))))
    [message] = local_queue(backend).lease(["deliver"])
    host = FunctionHost(backend)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: push(host, message), range(100)))
    assert backend.records.get(Subscription, "sub_0").alerts == backend.records.count(Alert) == 1
    assert backend.records.count(Delivery, state="delivered") == len(channel_lines(tmp_path)) == 1


@pytest.fixture
def emptied(memory_folder):
    """Empties a backend at each call and returns the host of its function."""
    backend = local_backend(memory_folder, now=lambda: NOON)
    host = FunctionHost(backend)

    def empty():
        with backend.records._database.transaction(durable=False) as connection:
            for name in ("record", "record_index", "mark", "queue"):
                connection.execute(f"DELETE FROM {name}")
        for file in (memory_folder / "channels").glob("*"):
            file.unlink()
        put_all(backend, *map(watched, SUBSCRIPTIONS), *JOBS)
        return backend, host

    return empty


def state_of(backend):
    """A hash of everything that does not depend on the order of events: which alert got which number does,
    that no number is missing does not."""
    alerts, find = backend.records.find(Alert), backend.records.find
    lines = [(alert.subscription, alert.acquisition, alert.id) for alert in alerts]
    numbers = [
        (
            subscription.id,
            subscription.alerts,
            sorted(alert.number for alert in alerts if alert.subscription == subscription.id),
        )
        for subscription in find(Subscription)
    ]
    deliveries = sorted(encode(delivery) for delivery in find(Delivery))
    sent = sorted(json.loads(line)["id"] for line in channel_lines(backend.settings.channel_folder.parent))
    return hashlib.sha256(repr((lines, numbers, deliveries, sent)).encode()).hexdigest()


def play(backend, host, jobs, batch_size=4):
    """Send the events in their order and work them off in batches, the last of each batch first."""
    queue = local_queue(backend)
    for first in range(0, len(jobs), batch_size):
        backend.records.transact(
            lambda transaction, first=first: [
                transaction.send(envelope(JobFinished(job.id))) for job in jobs[first : first + batch_size]
            ]
        )
        work_off(queue, host, queue.lease(["deliver"], batch_size // 2))
    while leased := queue.lease(["deliver"], batch_size):
        work_off(queue, host, leased)
    return state_of(backend)


def work_off(queue, host, leased):
    for message in reversed(leased):
        push(host, message)
    queue.ack_all(leased)


@settings(
    max_examples=examples(1000),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    order=st.permutations(JOBS),
    repeated=st.lists(st.sampled_from(JOBS), max_size=4),
    position=st.integers(0, len(JOBS)),
    batch_size=st.integers(1, 5),
)
def test_any_order_with_any_repeats_leads_to_the_same_state(emptied, order, repeated, position, batch_size):
    expected = _expected(emptied)
    assert play(*emptied(), [*order[:position], *repeated, *order[position:]], batch_size) == expected


_known: list[str] = []


def _expected(emptied):
    if not _known:
        _known.append(play(*emptied(), JOBS))
    return _known[0]


def test_the_state_differs_where_an_alert_is_lost(emptied):
    assert play(*emptied(), JOBS) != play(*emptied(), JOBS[1:])


def test_a_poison_message_becomes_a_dead_letter_after_8_attempts_while_others_flow(memory_folder):
    backend = local_backend(memory_folder)
    queue, host = local_queue(backend), FunctionHost(backend)
    jobs = [finished_job("sub_0", number) for number in range(200)]
    put_all(backend, watched("sub_0"), *jobs)
    poison = put_raw(queue, "deliver", b"poison")
    for job in jobs:
        backend.records.transact(lambda transaction, job=job: transaction.send(envelope(JobFinished(job.id))))
    leased, over = [], threading.Event()

    def work():
        while not over.is_set():
            for message in queue.lease(["deliver"]):
                leased.append(message)
                if message.body == b"poison":
                    # The production delays grow to 10 minutes, longer than a test should last.
                    queue.nack(message, "no event at all", delay_s=0.01 * message.attempt)
                    continue
                push(host, message)
                queue.ack(message)
            if not queue.depth():
                over.set()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [message.attempt for message in leased if message.id == poison] == list(range(1, MAX_ATTEMPTS + 1))
    assert backend.records.count(Alert) == backend.records.count(Delivery, state="delivered") == 200
    [letter] = backend.records.find(DeadLetter)
    assert (letter.id, letter.body, letter.attempts) == (
        poison,
        "poison",
        8,
    ) and "no event at all" in letter.reason
    last = max(number for number, message in enumerate(leased) if message.id == poison)
    assert last > 8, "others are handled between the attempts"


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Chatham", "America/St_Johns"])
def test_while_the_clock_jumps_and_workers_vanish_each_event_has_one_effect(memory_folder, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    clock, chance = StoppedClock(), random.Random(zone)
    # A leap day, and the night in which clocks are changed.
    clock.present = clock.present.replace(month=2, day=29, hour=23)
    backend = local_backend(memory_folder, now=clock)
    queue, host = local_queue(backend), FunctionHost(backend)
    jobs = [finished_job("sub_0", number) for number in range(100)]
    put_all(backend, watched("sub_0"), *jobs)
    waiting, turns = [*jobs, *chance.choices(jobs, k=30)], 0
    while waiting or queue.depth():
        clock.advance(chance.choice([-3600, -60, -1, 0, 0.5, 1, 1, 30, 130, 3600]))
        if waiting:
            event = JobFinished(waiting.pop().id)
            backend.records.transact(
                lambda transaction, event=event: transaction.send(envelope(event, clock()))
            )
        for message in queue.lease(["deliver"], 4):
            chosen = chance.random()
            if chosen < 0.1:
                continue  # its worker vanishes
            push(host, message)
            if chosen < 0.9:
                queue.ack(message)
        turns += 1
        assert turns < 5000
    # What a claim or a delay holds when the clock was set back waits for the tick.
    clock.advance(86_400)
    tick = DeliveriesDue(clock().isoformat())
    backend.records.transact(lambda transaction: transaction.send(envelope(tick, clock())))
    work_off(queue, host, queue.lease(["deliver"]))
    assert (
        backend.records.get(Subscription, "sub_0").alerts
        == backend.records.count(Alert)
        == backend.records.count(Delivery, state="delivered")
        == len(channel_lines(memory_folder))
        == 100
    )
    assert backend.records.count(DeadLetter) == 0
    monkeypatch.undo()
    time.tzset()
