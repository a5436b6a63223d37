"""Crashes at every step of a delivery, and several workers at once."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from delivery_samples import (
    NOW,
    add_finished_job,
    add_subscription,
    channel_lines,
    get_subscription,
    list_alerts,
    list_deliveries,
    webhook_ids,
)
from revisit.adapters.local.backend import local_backend
from revisit.chain import dispatch as dispatch_module
from revisit.chain.delivery_ledger import claim, create_deliveries, due_deliveries, record_attempt
from revisit.chain.dispatch import Network, dispatch
from revisit.delivery.webhook_client import AttemptResult
from webhook_receiver import answer, answer_after, hang, receiver


def test_what_a_crash_left_between_commit_and_send_is_carried_by_the_tick(backend, tick, allow):
    with receiver() as hook:
        allow(hook)
        add_subscription(backend, hook, "alerts")
        assert len(create_deliveries(add_finished_job(backend).id, backend)) == 2
        assert not hook.requests
        tick()
        tick()
        assert len(hook.requests) == len(channel_lines(backend)) == 1
    assert {delivery.state for delivery in list_deliveries(backend)} == {"delivered"}


def test_what_a_crash_left_between_send_and_record_is_sent_again_under_the_same_id(backend, tick, allow):
    with receiver() as hook:
        allow(hook)
        add_subscription(backend, hook, "alerts")
        for delivery in create_deliveries(add_finished_job(backend).id, backend):
            dispatch_module.send(claim(delivery.id, backend), backend, Network())
        tick(NOW + timedelta(seconds=59))
        assert len(hook.requests) == 1
        tick(NOW + timedelta(seconds=60))
        tick(NOW + timedelta(seconds=300))
        assert len(hook.requests) == 2 and len(set(webhook_ids(hook))) == 1
        assert hook.requests[0][1] == hook.requests[1][1]
    first, second = channel_lines(backend)
    assert first == second


CARRIER = """
import sys
from pathlib import Path
from revisit.chain.delivery_ledger import create_deliveries
from revisit.chain.dispatch import dispatch
from revisit.adapters.local.backend import local_backend
backend = local_backend(Path(sys.argv[1]))
dispatch(create_deliveries(sys.argv[2], backend), backend)
"""


def test_a_carrier_killed_while_it_posts_is_followed_by_the_tick(tmp_path, allow):
    now = [datetime.now(UTC)]
    backend = local_backend(tmp_path / "data", (), lambda: now[-1])
    with receiver(hang, answer(200)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        job = add_finished_job(backend)
        carrier = subprocess.Popen([sys.executable, "-c", CARRIER, str(tmp_path / "data"), job.id])
        while not hook.requests:
            assert carrier.poll() is None
            time.sleep(0.01)
        carrier.kill()
        carrier.wait()
        (waiting,) = list_deliveries(backend)
        assert (waiting.state, waiting.claim, waiting.attempts) == ("due", 1, ())
        now.append(waiting.due)
        dispatch(due_deliveries(backend), backend)
        assert len(hook.requests) == 2 and set(webhook_ids(hook)) == {waiting.id}
    assert list_deliveries(backend)[0].state == "delivered" and len(list_alerts(backend)) == 1


def test_of_two_carriers_at_once_one_sends(backend, allow):
    with receiver(answer_after(0.05, answer(200))) as hook:
        allow(hook)
        add_subscription(backend, hook)
        waiting = [create_deliveries(add_finished_job(backend, number).id, backend)[0] for number in range(8)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: dispatch(waiting, backend), range(4)))
        assert hook.connections == len(set(webhook_ids(hook))) == 8


def test_the_record_of_an_overtaken_claim_changes_nothing(backend, clock):
    add_subscription(backend, "alerts")
    (delivery,) = create_deliveries(add_finished_job(backend).id, backend)
    slow = claim(delivery.id, backend)
    assert claim(delivery.id, backend) is None
    clock.append(NOW + timedelta(seconds=61))
    quick = claim(delivery.id, backend)
    assert record_attempt(slow, AttemptResult("500", 500), backend) is None
    assert record_attempt(quick, AttemptResult("200", 200), backend).state == "delivered"
    assert record_attempt(slow, AttemptResult("410", 410), backend) is None
    (now,) = list_deliveries(backend)
    assert [attempt.outcome for attempt in now.attempts] == ["200"] and get_subscription(backend).channels[
        0
    ].state == "live"
