"""Crashes at every step of a delivery, and several carriers at once."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from alerting import NOW, alerts, deliveries, finished, ids, lines, the_subscription, watch
from receiver import after, answer, hang, receiver
from revisit.adapters.local.backend import local_backend
from revisit.chain import dispatch
from revisit.chain.dispatch import Outside, announce, carry, claim, due, record
from revisit.delivery.webhook_client import Answer


def test_what_a_crash_left_between_commit_and_send_is_carried_by_the_tick(backend, tick, allow):
    with receiver() as told:
        allow(told)
        watch(backend, told, "alerts")
        assert len(announce(finished(backend).id, backend)) == 2
        assert not told.requests
        tick()
        tick()
        assert len(told.requests) == len(lines(backend)) == 1
    assert {delivery.state for delivery in deliveries(backend)} == {"delivered"}


def test_what_a_crash_left_between_send_and_record_is_sent_again_under_the_same_id(backend, tick, allow):
    with receiver() as told:
        allow(told)
        watch(backend, told, "alerts")
        for delivery in announce(finished(backend).id, backend):
            dispatch.send(claim(delivery.id, backend), backend, Outside())
        tick(NOW + timedelta(seconds=59))
        assert len(told.requests) == 1
        tick(NOW + timedelta(seconds=60))
        tick(NOW + timedelta(seconds=300))
        assert len(told.requests) == 2 and len(set(ids(told))) == 1
        assert told.requests[0][1] == told.requests[1][1]
    first, second = lines(backend)
    assert first == second


CARRIER = """
import sys
from pathlib import Path
from revisit.chain.dispatch import announce, carry
from revisit.adapters.local.backend import local_backend
backend = local_backend(Path(sys.argv[1]))
carry(announce(sys.argv[2], backend), backend)
"""


def test_a_carrier_killed_while_it_posts_is_followed_by_the_tick(tmp_path, allow):
    now = [datetime.now(UTC)]
    backend = local_backend(tmp_path / "data", (), lambda: now[-1])
    with receiver(hang, answer(200)) as told:
        allow(told)
        watch(backend, told)
        job = finished(backend)
        carrier = subprocess.Popen([sys.executable, "-c", CARRIER, str(tmp_path / "data"), job.id])
        while not told.requests:
            assert carrier.poll() is None
            time.sleep(0.01)
        carrier.kill()
        carrier.wait()
        (waiting,) = deliveries(backend)
        assert (waiting.state, waiting.claim, waiting.attempts) == ("due", 1, ())
        now.append(waiting.due)
        carry(due(backend), backend)
        assert len(told.requests) == 2 and set(ids(told)) == {waiting.id}
    assert deliveries(backend)[0].state == "delivered" and len(alerts(backend)) == 1


def test_of_two_carriers_at_once_one_sends(backend, allow):
    with receiver(after(0.05, answer(200))) as told:
        allow(told)
        watch(backend, told)
        waiting = [announce(finished(backend, number).id, backend)[0] for number in range(8)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: carry(waiting, backend), range(4)))
        assert told.connections == len(set(ids(told))) == 8


def test_the_record_of_an_overtaken_claim_changes_nothing(backend, clock):
    watch(backend, "alerts")
    (delivery,) = announce(finished(backend).id, backend)
    slow = claim(delivery.id, backend)
    assert claim(delivery.id, backend) is None
    clock.append(NOW + timedelta(seconds=61))
    quick = claim(delivery.id, backend)
    assert record(slow, Answer("500", 500), backend) is None
    assert record(quick, Answer("200", 200), backend).state == "delivered"
    assert record(slow, Answer("410", 410), backend) is None
    (now,) = deliveries(backend)
    assert [attempt.outcome for attempt in now.attempts] == ["200"] and the_subscription(backend).channels[0].state == "live"
