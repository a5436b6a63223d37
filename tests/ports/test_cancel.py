"""An order cancelled before, while and after its jobs run: no job restarts, no event is lost or doubled."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from products import FIELD, product
from revisit.chain.job_lifecycle import CANCELLED_REASON, close_if_cancelled, fail, finish, mark_extracted
from revisit.domain.events import JobExtracted, JobFinished, JobStarted
from revisit.domain.job import Cover, Job, job_id
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.errors import ConflictError, NotFoundError
from revisit.services.orders import cancel as cancelling
from revisit.services.orders import create
from revisit.services.orders.cancel import cancel_order
from revisit.services.orders.create import write_order as put_order

NDVI = Recipe(indices=("NDVI",))


def placed(backend, count: int, name: str = "a", **changes) -> tuple[Order, list[Job]]:
    """An order of so many acquisitions, and its jobs."""
    asked = Order(f"order_{name}", FIELD, NDVI, backend.now(), owner="local", failed_jobs=0, skipped_jobs=0)
    jobs = [
        Job(
            job_id(asked.id, seen.acquisition, NDVI),
            seen,
            FIELD,
            NDVI,
            backend.now(),
            orders=(asked.id,),
            **changes,
        )
        for seen in (product(day) for day in range(1, count + 1))
    ]
    return put_order(backend, asked, jobs), jobs


def done(job: Job, backend) -> Job:
    return job.with_changes(state="done", finished=backend.now(), cover=Cover(1, 1, 1))


def ends(backend, job: Job) -> None:
    backend.commit(lambda commit: finish(commit, done(job, backend)), completes_event=False)


def states(backend, jobs: list[Job]) -> list[str]:
    return [backend.get_record(Job, job.id).state for job in jobs]


def events(queued) -> Counter[tuple[type, str]]:
    return Counter((type(envelope.event), envelope.event.subject) for envelope in queued())


def test_before_they_begin_all_jobs_are_skipped_with_the_reason_and_said_to_have_ended_once(backend, queued):
    order, jobs = placed(backend, 3)
    for _ in range(2):
        over = cancel_order(backend, order.id)
    assert (over.state, over.open, len(over.jobs), over.cancelled) == ("cancelled", 0, 3, backend.now())
    assert {
        (job.state, job.reason, job.finished) for job in (backend.get_record(Job, job.id) for job in jobs)
    } == {("skipped", CANCELLED_REASON, backend.now())}
    assert events(queued) == {(kind, job.id): 1 for job in jobs for kind in (JobStarted, JobFinished)}


def test_what_is_under_way_does_not_rise_again(backend, queued):
    """Handlers that hold the jobs as they were before: one has cut out the bands, one is done, one fails
    for good."""
    order, (cut, worked, failing) = placed(backend, 3)
    cancel_order(backend, order.id)
    backend.commit(
        lambda commit: mark_extracted(commit, cut.with_changes(state="extracted")), completes_event=False
    )
    ends(backend, worked)
    fail(JobStarted(failing.id), backend, "B04 cannot be read")
    assert states(backend, [cut, worked, failing]) == ["skipped"] * 3
    assert backend.get_record(Order, order.id).open == 0
    assert events(queued) == {
        (kind, job.id): 1 for job in (cut, worked, failing) for kind in (JobStarted, JobFinished)
    }


def test_what_had_ended_stays_and_an_order_that_had_finished_too(backend, queued):
    order, jobs = placed(backend, 2)
    ends(backend, jobs[0])
    assert cancel_order(backend, order.id).state == "cancelled" and states(backend, jobs) == [
        "done",
        "skipped",
    ]
    whole, only = placed(backend, 1, "b")
    ends(backend, only[0])
    assert cancel_order(backend, whole.id).state == "finished" and states(backend, only) == ["done"]
    assert set(events(queued).values()) == {1}


def test_jobs_that_another_order_or_a_subscription_waits_for_go_on(backend):
    one, (shared, alone) = placed(backend, 2, "a")
    other = Order("order_b", FIELD, NDVI, backend.now(), jobs=(shared.id,), open=1)
    watched, (kept,) = placed(backend, 1, "c", subscription="subscription_1")
    backend.commit(
        lambda commit: [commit.put(other), commit.put(shared.with_changes(orders=(one.id, other.id)))],
        completes_event=False,
    )
    cancel_order(backend, one.id)
    assert (
        states(backend, [shared, alone]) == ["started", "skipped"]
        and backend.get_record(Order, one.id).open == 1
    )
    cancel_order(backend, other.id)
    assert states(backend, [shared]) == ["skipped"]
    assert [backend.get_record(Order, id).open for id in (one.id, other.id)] == [0, 0]
    cancel_order(backend, watched.id)
    ends(backend, backend.get_record(Job, kept.id))
    assert states(backend, [kept]) == ["done"] and backend.get_record(Order, watched.id).open == 0


def test_handlers_that_end_jobs_while_they_are_cancelled_count_each_once(backend_factory, queued):
    count = {"local": 24, "gcp": 6}[backend_factory.name]
    backend = backend_factory.open()
    order, jobs = placed(backend, count)
    with ThreadPoolExecutor(4) as pool:
        cancelled = pool.submit(cancel_order, backend_factory.open(), order.id)
        for job in jobs:
            pool.submit(ends, backend, job)
    assert cancelled.result().state in ("cancelled", "finished")
    ended = states(backend, jobs)
    counted = backend.get_record(Order, order.id)
    assert set(ended) <= {"done", "skipped"} and counted.open == 0
    assert (counted.done_jobs, counted.skipped_jobs) == (ended.count("done"), ended.count("skipped"))
    assert events(queued) == {(kind, job.id): 1 for job in jobs for kind in (JobStarted, JobFinished)}


def test_a_crash_in_the_middle_leaves_jobs_that_their_handlers_close_or_a_repeat(
    backend, queued, monkeypatch
):
    monkeypatch.setattr(cancelling, "MAX_RECORDS_PER_COMMIT", 1)
    order, jobs = placed(backend, 3)
    commits = iter([type(backend).commit])

    def cut(self, work, completes_event=True):
        return next(commits)(self, work, completes_event)

    with monkeypatch.context() as patch, pytest.raises(StopIteration):
        patch.setattr(type(backend), "commit", cut)
        cancel_order(backend, order.id)
    assert (
        states(backend, jobs) == ["skipped", "started", "started"]
        and backend.get_record(Order, order.id).state == "cancelled"
    )
    assert close_if_cancelled(backend, jobs[1]) and states(backend, jobs[1:]) == ["skipped", "started"]
    ends(backend, jobs[2])
    assert states(backend, jobs[2:]) == ["skipped"], (
        "what was under way when its order was marked is not done"
    )
    assert cancel_order(backend, order.id).open == 0
    assert events(queued) == {(kind, job.id): 1 for job in jobs for kind in (JobStarted, JobFinished)}


def test_an_order_that_is_cancelled_while_it_is_placed_begins_nothing_more(backend, queued, monkeypatch):
    monkeypatch.setattr(create, "MAX_RECORDS_PER_COMMIT", 1)
    whole, between = type(backend).commit, []

    def commit(self, work, completes_event=True):
        came = whole(self, work, completes_event)
        if not between:
            between.append(True)
            cancel_order(self, "order_a")
        return came

    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "commit", commit)
        order, jobs = placed(backend, 3)
    assert (order.state, order.open, order.jobs) == ("cancelled", 0, (jobs[0].id,))
    assert [backend.records.get(Job, job.id) is not None for job in jobs] == [True, False, False]
    assert events(queued) == {(JobStarted, jobs[0].id): 1, (JobFinished, jobs[0].id): 1}


def test_what_goes_on_says_so_once_and_what_is_anothers_is_not_there(backend, queued):
    order, (job,) = placed(backend, 1)
    for _ in range(2):
        backend.commit(
            lambda commit: mark_extracted(commit, job.with_changes(state="extracted")), completes_event=False
        )
    assert not close_if_cancelled(backend, job) and states(backend, [job]) == ["extracted"]
    assert events(queued) == {(JobStarted, job.id): 1, (JobExtracted, job.id): 1}
    with pytest.raises(NotFoundError):
        cancel_order(backend, order.id, "bob")
    past = Order("order_past", FIELD, NDVI, backend.now(), subscription="subscription_1", open=1)
    backend.commit(lambda commit: commit.put(past), completes_event=False)
    with pytest.raises(ConflictError, match="delete the subscription instead"):
        cancel_order(backend, past.id)
