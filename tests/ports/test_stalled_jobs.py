"""Jobs and orders whose message the bus lost: the sweep publishes their event again, on every backend."""

from datetime import timedelta

import pytest

from backends import with_settings
from products import FIELD, product
from revisit.chain import outbox_sweep
from revisit.chain.delivery_ledger import create_deliveries
from revisit.chain.job_lifecycle import finish, start_jobs
from revisit.chain.outbox_sweep import MAX_REPUBLISHED, recheck_jobs, recheck_orders
from revisit.domain.events import JobExtracted, JobFinished, JobStarted, OrderCreated
from revisit.domain.job import FINISHED_STATES, STALL_AFTER, Cover, Job
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.ports.topology import TRIGGER_TOPICS
from samples import NOON, subscription

STALL_S = 30


@pytest.fixture
def backend(backend):
    return with_settings(backend, stall_after=timedelta(seconds=STALL_S))


def job(id: str = "job_1", **fields) -> Job:
    return Job(
        **{
            "id": id,
            "product": product(1),
            "aoi": FIELD,
            "recipe": Recipe(indices=("NDVI",)),
            "created": NOON,
        }
        | fields
    )


@pytest.fixture
def lose(backend, queued):
    """Takes what is on its way and handles none of it; returns the events about jobs."""

    def lose():
        events = {envelope.id: envelope.event for envelope in queued()}
        if hasattr(backend.bus, "lease"):
            backend.bus.ack_all(backend.bus.lease(tuple(TRIGGER_TOPICS), 1000))
        return list(events.values())

    return lose


def test_the_event_of_a_job_that_does_not_advance_is_published_again_with_longer_waits(backend, clock, lose):
    start_jobs(backend, [job()], completes_event=False)
    assert lose() == [JobStarted("job_1")]
    found, counted = [], 0
    for second in range(0, 16 * STALL_S, STALL_S):
        recheck_jobs(backend)
        if (republished := backend.get_record(Job, "job_1").republished) != counted:
            found, counted = [*found, second], republished
            assert set(lose()) == {JobStarted("job_1")}
        clock.advance(STALL_S)
    assert found == [STALL_S * number for number in (1, 3, 7, 15)]


def test_a_job_that_never_advances_is_failed_with_the_reason_or_keeps_its_earlier_result(
    backend, clock, lose
):
    done = job("job_2", state="done", cover=Cover(10, 5, 5), finished=NOON)
    stalled = [
        job(state="extracted", republished=MAX_REPUBLISHED, recheck=NOON),
        done.restarted(parts=(product(2),), republished=MAX_REPUBLISHED, recheck=NOON),
    ]
    backend.commit(lambda commit: [commit.put(one) for one in stalled], completes_event=False)
    recheck_jobs(backend)
    failed, kept = backend.records.find(Job)
    assert failed.state == "failed" and "job.extracted was published 7 times" in failed.reason
    assert (kept.state, kept.cover, kept.parts) == ("done", done.cover, ()) and kept.notes


def test_jobs_that_ended_or_advance_and_those_of_an_earlier_version_are_left_in_time(backend, clock, lose):
    ended = [job(f"job_{state}", state=state) for state in FINISHED_STATES]
    backend.commit(
        lambda commit: [
            *(commit.put(one) for one in ended),
            commit.put(job("job_new", state="extracted", recheck=clock() + timedelta(seconds=1))),
            commit.put(job("job_old", created=NOON)),
        ],
        completes_event=False,
    )
    recheck_jobs(backend)
    assert lose() == []
    clock.advance(STALL_AFTER.total_seconds())
    recheck_jobs(backend)
    assert sorted(event.job for event in lose()) == ["job_new", "job_old"]


def test_one_tick_checks_a_bounded_number_of_jobs(backend, clock, lose, monkeypatch):
    monkeypatch.setattr(outbox_sweep, "MAX_RECHECKED", 3)
    start_jobs(backend, [job(f"job_{number}") for number in range(4)], completes_event=False)
    lose()
    clock.advance(STALL_S)
    for count in (3, 4, 4):
        recheck_jobs(backend)
        lose()
        assert sum(one.republished for one in backend.records.find(Job)) == count


def test_an_extracted_job_is_resumed_where_it_was(backend, clock, lose):
    backend.commit(
        lambda commit: commit.put(job(state="extracted", again=2, recheck=NOON)), completes_event=False
    )
    recheck_jobs(backend)
    assert lose() == [JobExtracted("job_1", "live", 2)]


def test_a_finished_job_without_its_alert_is_published_again_until_it_has_one(backend, clock, lose):
    watched = subscription(aoi=FIELD)
    backend.commit(lambda commit: commit.put(watched), completes_event=False)
    ended = {"state": "done", "cover": Cover(10, 5, 5), "finished": NOON}
    jobs = [job("job_a", subscription=watched.id), job("job_b")]
    start_jobs(backend, jobs, completes_event=False)
    for one in jobs:
        backend.commit(
            lambda commit, one=one: finish(commit, one.with_changes(**ended)), completes_event=False
        )
    for counts in ([0, 0], [1, 0]):
        lose()
        recheck_jobs(backend)
        assert [one.republished for one in backend.records.find(Job)] == counts
        clock.advance(STALL_S)
    assert JobFinished("job_a") in lose()
    create_deliveries("job_a", backend)
    clock.advance(100 * STALL_S)
    recheck_jobs(backend)
    assert [(one.recheck_at, one.republished) for one in backend.records.find(Job)] == [(None, 0), (None, 0)]


def test_a_finished_job_whose_event_is_never_handled_is_checked_no_longer(backend, clock, lose):
    stuck = job(state="done", subscription="sub_1", recheck=NOON, republished=MAX_REPUBLISHED)
    backend.commit(lambda commit: commit.put(stuck), completes_event=False)
    recheck_jobs(backend)
    assert lose() == [] and backend.records.find(Job) == [stuck.with_changes(recheck=None)]


def test_the_event_of_an_order_that_is_still_selecting_is_published_again(backend, clock, lose):
    selecting = Order("order_1", FIELD, Recipe(indices=("NDVI",)), NOON, selecting=True, selections=2)
    selected = Order("order_2", FIELD, Recipe(indices=("NDVI",)), NOON)
    backend.commit(lambda commit: (commit.put(selecting), commit.put(selected)), completes_event=False)
    recheck_orders(backend)
    assert lose() == []
    clock.advance(STALL_AFTER.total_seconds())
    for _ in range(2):
        recheck_orders(backend)
    assert lose() == [OrderCreated("order_1", 2)]
    for number in range(2, MAX_REPUBLISHED + 4):
        clock.advance(STALL_S * 2**MAX_REPUBLISHED)
        recheck_orders(backend)
        assert lose() == [OrderCreated("order_1", 2)]
        assert backend.get_record(Order, "order_1").republished == min(number, MAX_REPUBLISHED)
