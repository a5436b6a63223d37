"""Delivery policy at its bounds: retry schedule, circuit breaker, and when a channel is disabled."""

from datetime import timedelta

import pytest

from revisit.chain.delivery_policy import (
    RETRY_DELAYS,
    apply_attempt,
    circuit_open,
    count_failure,
    disable_reason,
    retry_delay,
    undeliverable_reason,
)
from revisit.delivery.webhook_client import AttemptResult
from revisit.domain.delivery import Attempt, Receiver
from revisit.domain.subscription import Channel
from samples import NOON, delivery, subscription

SECOND = timedelta(seconds=1)
FAILED = AttemptResult("500", 500)
DELIVERED = AttemptResult("204", 204)
GONE = AttemptResult("410", 410)


def delivery_tried(times: int, **fields):
    return delivery(attempts=tuple(Attempt(NOON - SECOND, "500") for _ in range(times)), **fields)


def receiver(failures: int = 1, since=NOON, probe=NOON) -> Receiver:
    return Receiver("hooks.example.com", failures, since, probe)


def test_the_schedule_has_ten_delays():
    hour = 3600
    assert [delay.total_seconds() for delay in RETRY_DELAYS] == [
        0,
        5,
        300,
        1800,
        2 * hour,
        5 * hour,
        10 * hour,
        14 * hour,
        20 * hour,
        24 * hour,
    ]


def test_the_jitter_of_an_attempt_stays_the_same_in_every_release():
    # Computed apart from the code: sha256("delivery_1:4") begins with bb42cde4.
    share = 0xBB42CDE4 / 0xFFFFFFFF
    expected = timedelta(minutes=30) * (0.8 + 0.4 * share)
    assert abs(retry_delay("delivery_1", 4) - expected) < timedelta(milliseconds=1)


def test_a_delivered_attempt_ends_the_delivery():
    tried = apply_attempt(delivery_tried(2), DELIVERED, NOON)
    assert (tried.state, tried.due, len(tried.attempts)) == ("delivered", None, 3)
    assert tried.attempts[-1] == Attempt(NOON, "204")


@pytest.mark.parametrize("failures", range(1, 10))
def test_a_failed_attempt_waits_for_the_next_delay_of_the_schedule(failures):
    tried = apply_attempt(delivery_tried(failures - 1), FAILED, NOON)
    assert (tried.state, tried.due) == ("due", NOON + retry_delay("delivery_1", failures + 1))


@pytest.mark.parametrize("failures", [10, 11, 55])
def test_the_tenth_failure_and_each_later_one_ends_the_delivery(failures):
    tried = apply_attempt(delivery_tried(failures - 1), FAILED, NOON)
    assert (tried.state, tried.due, len(tried.attempts)) == ("failed", None, failures)


def test_a_receiver_that_is_gone_ends_the_delivery_at_once():
    tried = apply_attempt(delivery(), GONE, NOON)
    assert (tried.state, tried.due) == ("failed", None)


def test_the_longer_of_retry_after_and_the_schedule_applies():
    for retry_after in (timedelta(0), SECOND):
        asks = AttemptResult("429", 429, retry_after)
        assert apply_attempt(delivery(), asks, NOON).due == NOON + retry_delay("delivery_1", 2)
    asks = AttemptResult("429", 429, timedelta(hours=1))
    assert apply_attempt(delivery(), asks, NOON).due == NOON + timedelta(hours=1)


def test_the_tenth_failure_of_a_host_opens_its_circuit_for_five_minutes():
    first = count_failure("hooks.example.com", None, NOON)
    assert first == receiver(1)
    later = NOON + SECOND
    assert count_failure(first.id, receiver(8), later) == receiver(9, probe=later)
    for failures in (10, 11):
        assert count_failure(first.id, receiver(failures - 1), later) == receiver(
            failures, probe=later + timedelta(minutes=5)
        )


def test_an_open_circuit_closes_for_a_probe_at_its_time():
    assert circuit_open(receiver(10, probe=NOON + SECOND), NOON)
    assert circuit_open(receiver(11, probe=NOON + SECOND), NOON)
    assert not circuit_open(receiver(10, probe=NOON), NOON)
    assert not circuit_open(receiver(9, probe=NOON + SECOND), NOON)
    assert not circuit_open(None, NOON)


def test_a_channel_is_disabled_by_a_final_failure_after_five_days_of_failures():
    failed, days = delivery(state="failed"), timedelta(days=5)
    assert (
        disable_reason(failed, FAILED, receiver(since=NOON - days), NOON)
        == "every delivery failed since 2024-05-27T12:00:00Z, the last one with '500'"
    )
    assert not disable_reason(failed, FAILED, receiver(since=NOON - days + SECOND), NOON)
    assert not disable_reason(failed, FAILED, None, NOON)
    assert not disable_reason(delivery(), FAILED, receiver(since=NOON - days), NOON)


def test_a_channel_whose_receiver_is_gone_is_disabled_at_once():
    assert disable_reason(delivery(state="failed"), GONE, receiver(), NOON) == (
        "the receiver answered 410 Gone at 2024-06-01T12:00:00Z"
    )


def test_a_delivery_needs_its_subscription_and_a_live_channel():
    live = Channel("file", "log")
    disabled = Channel("file", "log", state="disabled", reason="the receiver answered 410 Gone")
    assert undeliverable_reason(subscription(), live) == ""
    assert undeliverable_reason(subscription(state="paused"), live) == ""
    assert undeliverable_reason(None, live) == "the subscription is deleted"
    assert undeliverable_reason(subscription(state="deleted"), live) == "the subscription is deleted"
    assert undeliverable_reason(subscription(), None) == "the channel was removed"
    assert (
        undeliverable_reason(subscription(), disabled)
        == "the channel is disabled: the receiver answered 410 Gone"
    )
