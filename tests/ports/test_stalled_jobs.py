"""Jobs whose message the bus lost: the sweep publishes their event again, on every backend."""

from datetime import timedelta

import pytest

from backends import with_settings
from products import FIELD, product
from revisit.chain import outbox_sweep
from revisit.chain.job_lifecycle import start_jobs
from revisit.chain.outbox_sweep import MAX_REPUBLISHED, recheck_jobs
from revisit.domain.events import JobExtracted, JobStarted
from revisit.domain.job import FINISHED_STATES, STALL_AFTER, Cover, Job
from revisit.domain.recipe import Recipe
from samples import NOON

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
            backend.bus.ack_all(backend.bus.lease(("extract", "index", "deliver"), 1000))
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
