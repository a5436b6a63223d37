"""Events come twice, in any order, poisoned, or while the clock jumps: what is there in the end is the
same."""

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults.event_handlers import deliver, pair_job_id
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.adapters.local.queue import MAX_ATTEMPTS
from revisit.domain.alert import Alert
from revisit.domain.delivery import Delivery
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Subscription
from revisit.ports.cloudevents import decode
from revisit.ports.record_types import encode
from revisit.ports.system_records import DeadLetter
from samples import StoppedClock, envelope, subscription

WISHES = ("sub_0", "sub_1")
JOBS = tuple(pair_job_id(wish, acquisition) for wish in WISHES for acquisition in "abc")


def test_one_event_handled_100_times_by_16_threads_has_one_effect(tmp_path):
    backend = local_backend(tmp_path)
    backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
    cause = envelope(JobFinished(pair_job_id("sub_0", "a")))
    with ThreadPoolExecutor(16) as threads:
        written = list(threads.map(lambda _: deliver(backend.with_cause(cause, "deliver")), range(100)))
    assert sorted(map(bool, written)) == [False] * 99 + [True]
    assert backend.records.get(Subscription, "sub_0").alerts == backend.records.count(Alert) == 1
    assert len(local_queue(backend).lease(["deliver"], 9)) == 1, "one event follows"


@pytest.fixture
def emptied(memory_folder):
    """A backend that is emptied by each call."""
    backend = local_backend(memory_folder)

    def empty():
        with backend.records._database.transaction(durable=False) as connection:
            for name in ("record", "record_index", "mark", "queue"):
                connection.execute(f"DELETE FROM {name}")
        backend.records.transact(lambda transaction: [transaction.put(subscription(wish)) for wish in WISHES])
        return backend

    return empty


def state_of(backend):
    """A hash of all that does not depend on which event came first: which alert got which number does, that
    none is left out does not."""
    alerts, find = backend.records.find(Alert), backend.records.find
    lines = [(line.subscription, line.acquisition, line.id) for line in alerts]
    numbers = [
        (wish.id, wish.alerts, sorted(line.number for line in alerts if line.subscription == wish.id))
        for wish in find(Subscription)
    ]
    deliveries = sorted(encode(carried) for carried in find(Delivery))
    return hashlib.sha256(repr((lines, numbers, deliveries)).encode()).hexdigest()


def play(backend, jobs, at_once=4):
    """Send the events in their order and work them off, so many at once and of these the last one first."""
    queue = local_queue(backend)
    for first in range(0, len(jobs), at_once):
        backend.records.transact(
            lambda transaction, first=first: [
                transaction.send(envelope(JobFinished(name))) for name in jobs[first : first + at_once]
            ]
        )
        work_off(backend, queue.lease(["deliver"], at_once // 2))
    while leased := queue.lease(["deliver"], at_once):
        work_off(backend, leased)
    return state_of(backend)


def work_off(backend, leased):
    for message in reversed(leased):
        deliver(backend.with_cause(decode(message.body), "deliver"))
    local_queue(backend).ack_all(leased)


@settings(
    max_examples=1000,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    order=st.permutations(JOBS),
    again=st.lists(st.sampled_from(JOBS), max_size=4),
    where=st.integers(0, len(JOBS)),
    at_once=st.integers(1, 5),
)
def test_any_order_with_any_repeats_leads_to_the_same_state(emptied, order, again, where, at_once):
    expected = _expected(emptied)
    assert play(emptied(), [*order[:where], *again, *order[where:]], at_once) == expected


_known: list[str] = []


def _expected(emptied):
    if not _known:
        _known.append(play(emptied(), JOBS))
    return _known[0]


def test_the_state_tells_a_lost_alert_from_a_found_one(emptied):
    assert play(emptied(), JOBS) != play(emptied(), JOBS[1:])


def test_a_poison_message_becomes_a_dead_letter_after_8_attempts_while_others_flow(memory_folder):
    backend = local_backend(memory_folder)
    queue = local_queue(backend)
    backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
    poison = queue.put_raw("deliver", b"poison")
    for number in range(200):
        backend.records.transact(
            lambda transaction, number=number: transaction.send(
                envelope(JobFinished(pair_job_id("sub_0", f"{number}")))
            )
        )
    seen, over = [], threading.Event()

    def work():
        while not over.is_set():
            for message in queue.lease(["deliver"]):
                seen.append(message)
                if message.body == b"poison":
                    # Every attempt but the first would have to wait for longer than a test should last.
                    queue.nack(message, "no event at all", delay_s=0.01 * message.attempt)
                    continue
                deliver(backend.with_cause(decode(message.body), "deliver"))
                queue.ack(message)
            if not queue.depth():
                over.set()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [message.attempt for message in seen if message.id == poison] == list(range(1, MAX_ATTEMPTS + 1))
    assert backend.records.count(Alert) == backend.records.count(Delivery) == 200
    [letter] = backend.records.find(DeadLetter)
    assert (letter.id, letter.body, letter.attempts) == (
        poison,
        "poison",
        8,
    ) and "no event at all" in letter.reason
    last = max(number for number, message in enumerate(seen) if message.id == poison)
    assert last > 8, "others are handled between the attempts"


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Chatham", "America/St_Johns"])
def test_while_the_clock_jumps_and_workers_vanish_each_event_has_its_one_effect(memory_folder, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    clock, chance = StoppedClock(), random.Random(zone)
    # A leap day, and the night in which clocks are changed.
    clock.present = clock.present.replace(month=2, day=29, hour=23)
    backend = local_backend(memory_folder, now=clock)
    queue = local_queue(backend)
    backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
    names = [pair_job_id("sub_0", f"{number}") for number in range(100)]
    waiting, idle = [*names, *chance.choices(names, k=30)], 0
    while waiting or queue.depth():
        clock.advance(chance.choice([-3600, -60, -1, 0, 0.5, 1, 1, 30, 130, 3600]))
        if waiting:
            name = waiting.pop()
            backend.records.transact(
                lambda transaction, name=name: transaction.send(envelope(JobFinished(name), clock()))
            )
        for message in queue.lease(["deliver"], 4):
            fate = chance.random()
            if fate < 0.1:
                continue  # its worker vanishes
            deliver(backend.with_cause(decode(message.body), "deliver"))
            if fate < 0.9:
                queue.ack(message)
        idle += 1
        assert idle < 5000
    assert (
        backend.records.get(Subscription, "sub_0").alerts
        == backend.records.count(Alert)
        == backend.records.count(Delivery)
        == 100
    )
    assert backend.records.count(DeadLetter) == 0
    monkeypatch.undo()
    time.tzset()
