"""The local queue delivers messages in order, to one worker at a time, until they are handled."""

import subprocess
import sys
import threading
import time

import pytest

from raw_messages import put_raw
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.adapters.local.queue import MAX_ATTEMPTS
from revisit.domain.events import DeliveriesDue, JobExtracted, JobStarted
from revisit.ports.cloudevents import decode
from revisit.ports.event_bus import QueueDepth
from revisit.ports.system_records import DeadLetter
from samples import StoppedClock, envelope


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def backend(tmp_path, clock):
    return local_backend(tmp_path / "data", now=clock)


@pytest.fixture
def queue(backend):
    return local_queue(backend)


@pytest.fixture
def send(backend):
    def put(*events):
        backend.records.transact(
            lambda transaction: [transaction.send(envelope(event, backend.now())) for event in events]
        )

    return put


def subjects(messages):
    return [decode(message.body).event.subject for message in messages]


def test_a_message_goes_to_each_function_subscribed_to_its_event_and_to_no_other(send, queue):
    send(JobStarted("j"), DeliveriesDue("t"))
    assert [message.function for message in queue.lease(["extract", "index", "notify", "refresh"], 9)] == [
        "extract"
    ]
    [tick] = queue.lease(["deliver"], 9)
    assert decode(tick.body).event == DeliveriesDue("t")
    assert (tick.function, tick.attempt, tick.lane) == ("deliver", 1, "live")


def test_the_function_named_first_goes_first_and_its_oldest_before_others(send, queue, clock):
    send(JobStarted("a"))
    clock.advance(-3600)
    send(JobExtracted("b"), JobStarted("c"))
    clock.advance(7200)
    send(JobExtracted("d"))
    assert subjects(queue.lease(["index", "extract"], 3)) == ["b", "d", "a"]
    assert subjects(queue.lease(["index", "extract"], 3)) == ["c"]


def test_live_messages_go_before_any_of_a_backfill(send, queue):
    send(*(JobStarted(f"past {number}", "backfill") for number in range(5)))
    send(JobStarted("today"), JobExtracted("today too"))
    assert subjects(queue.lease(["extract"], 2)) == ["today", "past 0"]
    send(JobStarted("just now"))
    assert subjects(queue.lease(["extract", "index"], 3)) == ["just now", "today too", "past 1"]


def test_a_leased_message_is_delivered_to_nobody_else_until_its_lease_expires(send, queue, clock):
    send(JobStarted("a"))
    [first] = queue.lease(["extract"], lease_s=120)
    clock.advance(119)
    assert queue.lease(["extract"]) == []
    clock.advance(2)
    [second] = queue.lease(["extract"])
    assert (first.id, first.attempt, second.attempt) == (second.id, 1, 2)


def test_a_lease_that_is_extended_lasts(send, queue, clock):
    send(JobStarted("a"))
    [message] = queue.lease(["extract"], lease_s=120)
    for _ in range(5):
        clock.advance(100)
        assert queue.extend(message, 120)
        assert queue.lease(["extract"]) == []


def test_a_worker_whose_lease_went_to_another_can_change_nothing(send, queue, clock):
    send(JobStarted("a"))
    [slow] = queue.lease(["extract"], lease_s=10)
    clock.advance(11)
    [quick] = queue.lease(["extract"], lease_s=10)
    assert not queue.ack(slow)
    assert not queue.nack(slow, "late")
    assert not queue.dead_letter(slow, "late")
    assert not queue.extend(slow)
    assert queue.ack(quick)
    assert not queue.ack(slow) and not queue.ack(quick)
    assert queue.depth() == []


def test_a_late_worker_may_acknowledge_while_no_other_holds_the_message(send, queue, clock):
    send(JobStarted("a"), JobStarted("b"))
    late = queue.lease(["extract"], 2, lease_s=10)
    clock.advance(3600)
    assert queue.lease(["index"]) == []
    assert queue.ack(late[0])
    assert queue.nack(late[1], "not yet", 0)
    assert [message.attempt for message in queue.lease(["extract"], 2)] == [2]


def test_many_are_acknowledged_at_once(send, queue):
    send(*(JobStarted(f"{number}") for number in range(20)))
    leased = queue.lease(["extract"], 15)
    assert queue.ack_all(leased) == 15
    assert queue.ack_all(leased) == 0
    assert len(queue.lease(["extract"], 15)) == 5


def test_a_failed_attempt_is_retried_with_delays_that_outlast_a_quarter_of_an_hour(send, queue, clock):
    send(JobStarted("a"))
    for attempt, expected in enumerate((0.2, 0.8, 3.2, 12.8, 51.2, 204.8, 600), 1):
        [message] = queue.lease(["extract"])
        assert message.attempt == attempt
        assert queue.nack(message, "no answer")
        clock.advance(expected * 0.79)
        assert queue.lease(["extract"]) == []
        clock.advance(expected * 0.42)
    assert attempt == MAX_ATTEMPTS - 1
    assert len(queue.lease(["extract"])) == 1


def test_the_delay_can_be_named(send, queue, clock):
    send(JobStarted("a"))
    [message] = queue.lease(["extract"])
    queue.nack(message, "Retry-After: 30", 30)
    clock.advance(29)
    assert queue.lease(["extract"]) == []
    clock.advance(2)
    assert len(queue.lease(["extract"])) == 1


def test_the_eighth_failure_makes_a_dead_letter_with_its_error_and_its_event(send, queue, backend):
    send(JobStarted("poison"), JobStarted("fine"))
    [poison, fine] = queue.lease(["extract"], 2)
    queue.ack(fine)
    for _ in range(MAX_ATTEMPTS - 1):
        queue.nack(poison, "no such band", 0)
        [poison] = queue.lease(["extract"])
    assert poison.attempt == 8
    assert queue.nack(poison, "no such band", 0)
    assert queue.lease(["extract"]) == [] and queue.depth() == []
    [letter] = backend.records.find(DeadLetter, function="extract")
    assert (letter.id, letter.topic, letter.attempts) == (poison.id, "job.started", 8)
    assert "no such band" in letter.reason and "8 attempts" in letter.reason
    assert decode(letter.body.encode()).event == JobStarted("poison")


def test_a_message_that_kills_each_worker_is_delivered_once_more_and_becomes_a_dead_letter(
    send, queue, backend, clock
):
    send(JobStarted("bomb"))
    attempts = []
    for _ in range(20):
        attempts += [message.attempt for message in queue.lease(["extract"], lease_s=10)]
        clock.advance(11)
    assert attempts == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert "worker died" in backend.records.find(DeadLetter)[0].reason


def test_bytes_that_are_not_an_event_become_a_dead_letter_unchanged(queue, backend):
    text, noise = put_raw(queue, "extract", b"hello"), put_raw(queue, "extract", b"\xff\x00")
    for message in queue.lease(["extract"], 2):
        assert queue.dead_letter(message, "the message is not a CloudEvent of ours")
    assert {letter.id: letter.body for letter in backend.records.find(DeadLetter)} == {
        text: "hello",
        noise: "/wA=",
    }


def test_depth_counts_messages_by_function_and_lane(send, queue, clock):
    assert queue.depth() == []
    send(JobStarted("a"), JobStarted("b"), JobStarted("c"), JobStarted("d", "backfill"))
    clock.advance(5)
    send(JobExtracted("e"))
    leased = queue.lease(["extract"], 2)
    queue.nack(leased[0], "later", 60)
    clock.advance(5)
    assert queue.depth() == [
        QueueDepth("extract", "live", 1, 1, 1, 10.0),
        QueueDepth("extract", "backfill", 1, 0, 0, 10.0),
        QueueDepth("index", "live", 1, 0, 0, 5.0),
    ]


def test_there_is_nothing_to_publish_after_a_commit(send, queue):
    send(JobStarted("a"))
    assert queue.publish_pending() == 0


def test_a_thread_that_waits_is_woken_by_another_one(send, queue):
    woken = threading.Event()
    thread = threading.Thread(target=lambda: queue.wait(30, ["extract"]) and woken.set())
    thread.start()
    assert not woken.wait(0.1)
    send(JobExtracted("not for extract"))
    assert not woken.wait(0.1)
    send(JobStarted("a"))
    assert woken.wait(10)
    thread.join()


def test_waiting_ends_with_its_time_and_with_a_message_that_is_there(send, queue):
    assert not queue.wait(0.01, ["extract"])
    send(JobStarted("a"))
    assert queue.wait(30, ["extract"])
    assert queue.wait(30)
    queue.lease(["index"])
    assert not queue.wait(0.01), "a thread waits for what it last asked to lease"


def test_a_process_that_waits_is_woken_by_another_one(tmp_path):
    code = (
        "import sys, pathlib; from revisit.adapters.local.backend import local_backend, local_queue\n"
        "queue = local_queue(local_backend(pathlib.Path(sys.argv[1]))); print('ready', flush=True)\n"
        "print(queue.wait(30, ['extract']), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stdout.readline() == "ready\n"
        backend = local_backend(tmp_path / "data")
        backend.records.transact(lambda transaction: transaction.send(envelope(JobStarted("a"))))
        assert waiting.stdout.readline() == "True\n"


def test_leases_of_a_dead_process_are_released_when_the_next_one_starts(tmp_path):
    data = tmp_path / "data"
    queue = local_queue(local_backend(data))
    for job in ("a", "b"):
        local_backend(data).records.transact(
            lambda transaction, job=job: transaction.send(envelope(JobStarted(job)))
        )
    [own] = queue.lease(["extract"])
    code = (
        "import os, sys, pathlib; from revisit.adapters.local.backend import local_backend, local_queue\n"
        "queue = local_queue(local_backend(pathlib.Path(sys.argv[1]))); print(len(queue.lease(['extract'], "
        "9)), flush=True); os._exit(9)"
    )
    dead = subprocess.run([sys.executable, "-c", code, str(data)], stdout=subprocess.PIPE, text=True)
    assert (dead.returncode, dead.stdout) == (9, "1\n")
    [freed] = local_queue(local_backend(data)).lease(["extract"], 9)
    assert (decode(freed.body).event.subject, freed.attempt) == ("b", 2)
    assert queue.ack(own)


def test_a_backlog_of_others_does_not_slow_a_function_down(send, queue):
    send(*(JobStarted(f"{number}") for number in range(3000)))
    send(JobExtracted("mine"))
    plan = (
        queue._database.connection()
        .execute(
            "EXPLAIN QUERY PLAN SELECT key FROM queue WHERE function = ? AND due = 0 ORDER BY lane, key "
            "LIMIT 1",
            ("index",),
        )
        .fetchall()
    )
    assert "queue_ready" in plan[0][3] and len(plan) == 1
    assert subjects(queue.lease(["index"])) == ["mine"]


def test_16_threads_take_each_message_once(send, queue, backend):
    send(*(JobStarted(f"{number}") for number in range(200)))
    taken, lock = [], threading.Lock()

    def work():
        while leased := queue.lease(["extract"], 3):
            with lock:
                taken.extend(message.id for message in leased)
            queue.ack_all(leased)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 200
    assert queue.depth() == []


def test_a_forked_process_has_a_connection_of_its_own(tmp_path):
    # In a process of its own, which has no other threads.
    code = """
import os, pathlib, sys
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.domain.events import JobStarted
from revisit.ports.cloudevents import Envelope
backend = local_backend(pathlib.Path(sys.argv[1]))
queue = local_queue(backend)
backend.records.transact(lambda transaction: [transaction.send(Envelope(JobStarted(job), backend.now())) for
job in "ab"])
parent = queue._database.connection()
child = os.fork()
if not child:
    os._exit(0 if queue._database.connection() is not parent and len(queue.lease(["extract"])) == 1 else 1)
print(os.waitpid(child, 0)[1], len(queue.lease(["extract"], 9)))
"""
    assert subprocess.check_output([sys.executable, "-c", code, str(tmp_path / "data")], text=True) == "0 1\n"


def test_a_clock_that_is_set_back_neither_loses_nor_hides_a_message(send, queue, clock):
    send(JobStarted("a"))
    queue.lease(["extract"], lease_s=120)
    clock.advance(-3600)
    send(JobStarted("b"))
    assert subjects(queue.lease(["extract"], 9)) == ["a", "b"]


def test_a_clock_set_forward_redelivers_a_leased_message_and_fences_the_first_worker(send, queue, clock):
    send(JobStarted("a"))
    [first] = queue.lease(["extract"], lease_s=120)
    clock.advance(3600)
    [second] = queue.lease(["extract"], lease_s=120)
    assert not queue.ack(first)
    assert queue.ack(second)


def test_waiting_goes_by_a_clock_that_never_jumps(queue, clock):
    begun = time.monotonic()
    clock.advance(-86_400)
    assert not queue.wait(0.05, ["extract"])
    assert time.monotonic() - begun < 20


def test_an_event_that_is_still_queued_is_not_doubled(send, queue):
    for _ in range(3):
        send(JobStarted("job_1"))
    assert len(queue.lease(["extract"], 9)) == 1
