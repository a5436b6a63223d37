"""A delivery that is asked for once more."""

from datetime import timedelta

import pytest

from alerting import HOURS, NOW, SECRET, delete, deliveries, finished, ids, put, the_subscription, watch
from receiver import answer, receiver
from revisit.chain.dispatch import announce, claim, record
from revisit.delivery.webhook_client import Answer
from revisit.domain.delivery import Attempt
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Channel
from revisit.errors import Conflict, NotFound
from revisit.services import redeliver


def test_a_delivery_that_is_asked_for_again_has_the_same_id_and_its_attempts(backend, push, tick, clock, allow):
    with receiver(answer(410), answer(200)) as told:
        allow(told)
        watch(backend, told)
        finished(backend)
        assert push(JobFinished("job_sub_1_1")) == 200
        [dead] = deliveries(backend)
        assert dead.state == "failed" and the_subscription(backend).channels[0].state == "disabled"
        with pytest.raises(Conflict, match="the channel is disabled: the receiver answered 410"):
            redeliver(backend, dead.id)
        put(backend, the_subscription(backend).updated(channels=(Channel("webhook", told.url, SECRET),)))
        clock.append(NOW + timedelta(days=9))
        assert redeliver(backend, dead.id).due == clock[-1]
        tick()
        [again] = deliveries(backend)
        assert (again.state, [attempt.outcome for attempt in again.attempts]) == ("delivered", ["410", "200"])
        redeliver(backend, dead.id)  # delivered, and wanted once more all the same
        tick()
    assert ids(told) == [dead.id] * 3
    assert len({body for _, body in told.requests}) == 1


def test_one_that_used_its_schedule_up_is_tried_once_more_and_stays_failed(backend, tick, clock, allow):
    with receiver(answer(500)) as told:
        allow(told)
        watch(backend, told)
        finished(backend)
        [waiting] = announce("job_sub_1_1", backend)
        spent = waiting.updated(state="failed", due=None, attempts=tuple(Attempt(NOW, "500") for _ in HOURS))
        put(backend, spent)
        redeliver(backend, spent.id)
        tick()
        [tried] = deliveries(backend)
        assert (tried.state, len(tried.attempts), told.connections) == ("failed", len(HOURS) + 1, 1)
        put(backend, tried.updated(attempts=tried.attempts * 5))
        with pytest.raises(Conflict, match="55 times"):
            redeliver(backend, tried.id)


def test_one_that_is_under_way_is_not_sent_by_two(backend, tick, clock, allow):
    with receiver() as told:
        allow(told)
        watch(backend, told)
        finished(backend)
        [waiting] = announce("job_sub_1_1", backend)
        taken = claim(waiting.id, backend)
        assert redeliver(backend, waiting.id) == taken.delivery
        tick()
        assert told.connections == 0
        assert record(taken, Answer("200", 200), backend).state == "delivered"
        assert redeliver(backend, waiting.id).state == "due"
        assert record(taken, Answer("200", 200), backend) is None


def test_one_that_waits_for_hours_is_tried_at_the_next_tick_and_goes_on_where_its_schedule_stood(backend, push, tick, clock, allow):
    with receiver(answer(500)) as told:
        allow(told)
        watch(backend, told)
        finished(backend)
        push(JobFinished("job_sub_1_1"))
        [waiting] = deliveries(backend)
        put(backend, waiting.updated(due=NOW + timedelta(hours=5), attempts=waiting.attempts * 5))
        tick(NOW + timedelta(minutes=10))
        assert told.connections == 1
        redeliver(backend, waiting.id)
        tick()
        [tried] = deliveries(backend)
        assert (told.connections, len(tried.attempts)) == (2, 6)
        assert timedelta(hours=8) <= tried.due - clock[-1] <= timedelta(hours=12)  # before the seventh


def test_nobody_asks_for_a_delivery_of_anothers_or_of_what_is_deleted(backend):
    watch(backend, "log", owner="ann")
    finished(backend)
    [waiting] = announce("job_sub_1_1", backend)
    for owner, id in (("bob", waiting.id), ("ann", "delivery_none"), ("local", waiting.id)):
        with pytest.raises(NotFound, match="there is no delivery"):
            redeliver(backend, id, owner)
    assert redeliver(backend, waiting.id, "ann").id == waiting.id
    delete(backend, "sub_1")
    with pytest.raises(NotFound):
        redeliver(backend, waiting.id, "ann")
