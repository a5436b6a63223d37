"""Redelivery at the user's request."""

from datetime import timedelta

import pytest

from delivery_samples import (
    NOW,
    RETRY_HOURS,
    SECRET,
    add_finished_job,
    add_subscription,
    delete_subscription,
    get_subscription,
    list_deliveries,
    put_records,
    webhook_ids,
)
from revisit.chain.delivery_ledger import claim, create_deliveries, record_attempt
from revisit.delivery.webhook_client import AttemptResult
from revisit.domain.delivery import Attempt
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Channel
from revisit.errors import ConflictError, NotFoundError
from revisit.services.subscriptions.redeliver import redeliver
from webhook_receiver import answer, receiver


def test_a_redelivery_has_the_same_id_and_keeps_its_attempts(backend, push, tick, clock, allow):
    with receiver(answer(410), answer(200)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        add_finished_job(backend)
        assert push(JobFinished("job_sub_1_1")) == 200
        [dead] = list_deliveries(backend)
        assert dead.state == "failed" and get_subscription(backend).channels[0].state == "disabled"
        with pytest.raises(ConflictError, match="the channel is disabled: the receiver answered 410"):
            redeliver(backend, dead.id)
        put_records(
            backend, get_subscription(backend).with_changes(channels=(Channel("webhook", hook.url, SECRET),))
        )
        clock.append(NOW + timedelta(days=9))
        assert redeliver(backend, dead.id).due == clock[-1]
        tick()
        [again] = list_deliveries(backend)
        assert (again.state, [attempt.outcome for attempt in again.attempts]) == ("delivered", ["410", "200"])
        redeliver(backend, dead.id)  # delivered, and wanted once more all the same
        tick()
    assert webhook_ids(hook) == [dead.id] * 3
    assert len({body for _, body in hook.requests}) == 1


def test_one_that_used_its_schedule_up_is_tried_once_more_and_stays_failed(backend, tick, clock, allow):
    with receiver(answer(500)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        add_finished_job(backend)
        [waiting] = create_deliveries("job_sub_1_1", backend)
        spent = waiting.with_changes(
            state="failed", due=None, attempts=tuple(Attempt(NOW, "500") for _ in RETRY_HOURS)
        )
        put_records(backend, spent)
        redeliver(backend, spent.id)
        tick()
        [tried] = list_deliveries(backend)
        assert (tried.state, len(tried.attempts), hook.connections) == ("failed", len(RETRY_HOURS) + 1, 1)
        put_records(backend, tried.with_changes(attempts=tried.attempts * 5))
        with pytest.raises(ConflictError, match="55 times"):
            redeliver(backend, tried.id)


def test_one_that_is_under_way_is_not_sent_by_two(backend, tick, clock, allow):
    with receiver() as hook:
        allow(hook)
        add_subscription(backend, hook)
        add_finished_job(backend)
        [waiting] = create_deliveries("job_sub_1_1", backend)
        taken = claim(waiting.id, backend)
        assert redeliver(backend, waiting.id) == taken.delivery
        tick()
        assert hook.connections == 0
        assert record_attempt(taken, AttemptResult("200", 200), backend).state == "delivered"
        assert redeliver(backend, waiting.id).state == "due"
        assert record_attempt(taken, AttemptResult("200", 200), backend) is None


def test_one_that_waits_for_hours_is_tried_at_the_next_tick_and_goes_on_where_its_schedule_stood(
    backend, push, tick, clock, allow
):
    with receiver(answer(500)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        add_finished_job(backend)
        push(JobFinished("job_sub_1_1"))
        [waiting] = list_deliveries(backend)
        put_records(
            backend, waiting.with_changes(due=NOW + timedelta(hours=5), attempts=waiting.attempts * 5)
        )
        tick(NOW + timedelta(minutes=10))
        assert hook.connections == 1
        redeliver(backend, waiting.id)
        tick()
        [tried] = list_deliveries(backend)
        assert (hook.connections, len(tried.attempts)) == (2, 6)
        assert timedelta(hours=8) <= tried.due - clock[-1] <= timedelta(hours=12)  # before the seventh


def test_nobody_asks_for_a_delivery_of_anothers_or_of_what_is_deleted(backend):
    add_subscription(backend, "log", owner="ann")
    add_finished_job(backend)
    [waiting] = create_deliveries("job_sub_1_1", backend)
    for owner, id in (("bob", waiting.id), ("ann", "delivery_none"), ("local", waiting.id)):
        with pytest.raises(NotFoundError, match="there is no delivery"):
            redeliver(backend, id, owner)
    assert redeliver(backend, waiting.id, "ann").id == waiting.id
    delete_subscription(backend, "sub_1")
    with pytest.raises(NotFoundError):
        redeliver(backend, waiting.id, "ann")
