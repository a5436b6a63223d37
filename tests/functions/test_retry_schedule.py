"""Retries of a delivery: the schedule, its jitter, and Retry-After."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from standardwebhooks import Webhook

from delivery_samples import (
    NOW,
    RETRY_HOURS,
    SECRET,
    add_finished_job,
    add_subscription,
    list_alerts,
    list_deliveries,
    webhook_ids,
)
from revisit.chain.delivery_ledger import create_deliveries, due_deliveries
from revisit.chain.delivery_policy import retry_delay
from revisit.chain.dispatch import Network, dispatch
from revisit.domain.events import JobFinished
from webhook_receiver import answer, hang, receiver, reset


def test_ten_attempts_are_made_at_the_times_of_the_schedule(backend, push, tick, clock, allow):
    with receiver(answer(500)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        push(JobFinished(add_finished_job(backend).id))
        while next_due := list_deliveries(backend)[0].due:
            tick(next_due - timedelta(seconds=1))
            seen = len(hook.requests)
            tick(next_due)
            assert len(hook.requests) == seen + 1
        tick(clock[-1] + timedelta(days=30))
        assert len(hook.requests) == 10 and len(set(webhook_ids(hook))) == 1
    (delivery,) = list_deliveries(backend)
    times = [attempt.at for attempt in delivery.attempts]
    assert delivery.state == "failed" and times[0] == NOW
    for (before, then), hours in zip(pairwise(times), RETRY_HOURS[1:], strict=True):
        assert 0.8 * hours <= (then - before).total_seconds() / 3600 <= 1.2 * hours
    assert 0.8 * 75.58 <= (times[-1] - NOW).total_seconds() / 3600 <= 1.2 * 75.59


def test_the_jitter_spreads_over_a_fifth_and_is_the_same_after_a_crash():
    waits = [retry_delay(f"delivery_{number}", 4) / timedelta(minutes=30) for number in range(2000)]
    assert waits == [retry_delay(f"delivery_{number}", 4) / timedelta(minutes=30) for number in range(2000)]
    assert 0.8 <= min(waits) < 0.81 and 1.19 < max(waits) <= 1.2 and abs(sum(waits) / 2000 - 1) < 0.01
    assert retry_delay("delivery_1", 1) == timedelta(0)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu"])
def test_the_schedule_and_the_signature_know_no_zone(backend, allow, clock, zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        clock.append(datetime(2024, 3, 10, 6, 59, 58, tzinfo=UTC))  # New York leaps forward two seconds later
        with receiver(answer(500)) as hook:
            allow(hook)
            add_subscription(backend, hook)
            (delivery,) = create_deliveries(add_finished_job(backend).id, backend)
            dispatch([delivery], backend)
            ((headers, body),) = hook.requests
        wait = list_deliveries(backend)[0].due - clock[-1]
        assert timedelta(seconds=4) <= wait <= timedelta(seconds=6)
        assert headers["webhook-timestamp"] == "1710053998"
        assert Webhook(SECRET).sign(delivery.id, clock[-1], body.decode()) == headers["webhook-signature"]
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


@pytest.mark.parametrize(
    "jump", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=1), timedelta(days=-1)], ids=str
)
def test_a_clock_that_jumps_loses_and_doubles_nothing(backend, push, tick, allow, jump):
    with receiver(answer(500), answer(200)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        push(JobFinished(add_finished_job(backend).id))
        tick(NOW + jump)
        tick(NOW + jump + timedelta(seconds=30))
        tick(NOW + timedelta(seconds=30))
        tick(NOW + timedelta(days=2))
        assert len(hook.requests) == 2
    assert list_deliveries(backend)[0].state == "delivered" and len(list_alerts(backend)) == 1


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        ("3600", 3600),
        ("999999", 86_400),
        ("Thu, 29 Feb 2024 00:30:00 GMT", 7200),
        ("1", 5),
        ("rubbish", 5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_time_gets_it(backend, push, allow, status, asked, waits):
    with receiver(answer(status, Retry_After=asked)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        push(JobFinished(add_finished_job(backend).id))
    wait = (list_deliveries(backend)[0].due - NOW).total_seconds()
    assert wait == waits if waits > 5 else 4 <= wait <= 6


@pytest.mark.parametrize(
    "act",
    [answer(500), answer(302, Location="/"), reset, hang, answer(404)],
    ids=["500", "redirect", "reset", "hang", "404"],
)
def test_every_failure_is_retried(backend, allow, act, clock):
    with receiver(act, answer(200)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        dispatch(create_deliveries(add_finished_job(backend).id, backend), backend, Network(timeout_s=0.3))
        (delivery,) = list_deliveries(backend)
        assert delivery.state == "due" and len(delivery.attempts) == 1
        clock.append(delivery.due)
        dispatch(due_deliveries(backend), backend)
    (delivery,) = list_deliveries(backend)
    assert delivery.state == "delivered" and len(set(webhook_ids(hook))) == 1
