"""A pass in two products: in whatever order they, their repeats and slow runs come, the end is the same."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults.pass_chain import FIELD, A, B, Chain, half
from profiles import examples
from revisit.chain.job_lifecycle import fail
from revisit.chain.refresh import put_products
from revisit.domain.alert import Alert, alert_id
from revisit.domain.events import JobStarted, ProductNew
from revisit.domain.job import Cover, Job, job_id
from revisit.domain.order import Order
from revisit.services.subscriptions.results import get_job, list_jobs, list_latest_jobs
from samples import NOON, subscription


@pytest.fixture
def chain(tmp_path):
    return Chain(tmp_path)


@pytest.fixture
def emptied(memory_folder):
    chain = Chain(memory_folder)

    def empty():
        chain.empty()
        chain.put(subscription(aoi=FIELD))
        return chain

    return empty


STEPS = ("notify", "take", "end", "deliver", "A", "B")


@settings(
    max_examples=examples(300),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=24), last=st.permutations("AB"))
def test_any_order_of_two_parts_ends_with_both_and_tells_it_once(emptied, steps, last):
    chain = emptied()
    for step in (*steps, *last):
        match step:
            case "A" | "B":
                chain.announce(A if step == "A" else B)
            case "take" | "end":
                getattr(chain, step)()
            case function:
                chain.run(function)
    chain.settle()
    [job] = chain.jobs
    assert (job.state, {each.id for each in job.products}, job.cover.valid) == ("done", {A.id, B.id}, 100)
    alerts = chain.alerts
    assert [(alert.kind, alert.number, alert.updates) for alert in alerts] in (
        [("new", 1, None)],
        [("new", 1, None), ("updated", 2, 1)],
    )
    assert alerts[-1].cover.valid == 100


def test_the_part_that_comes_second_restarts_the_job_and_updates_its_alert(chain):
    chain.announce(A)
    chain.settle()
    chain.announce(B)
    chain.run("notify")
    [job] = chain.jobs
    assert (job.state, job.again, job.shown.cover.valid) == ("started", 1, 50)
    shown = get_job(chain.backend, job.id)
    assert (
        [shown] == list_jobs(chain.backend, "sub_1") == list_latest_jobs(chain.backend, "sub_1", "local", 9)
    )
    assert (shown.state, shown.products) == ("done", (A,))
    chain.settle()
    first, second = chain.alerts
    assert (first.kind, first.cover.coverage, second.kind, second.cover.coverage) == (
        "new",
        0.5,
        "updated",
        1,
    )
    assert (second.updates, second.job, second.again) == (first.number, first.job, 1)
    assert first.id == alert_id("sub_1", A.pass_id) != second.id


def test_a_slow_older_run_changes_nothing(chain):
    chain.announce(A)
    chain.run("notify")
    chain.take()
    chain.announce(B)
    chain.run("notify")
    chain.end()
    [job] = chain.jobs
    assert (job.state, job.again, job.cover) == ("started", 1, None)


def test_a_reprocessing_that_shows_no_more_starts_nothing(chain):
    chain.announce(A)
    chain.settle()
    before = chain.jobs
    chain.announce(half("20240701T000000", 9.0, 9.31, baseline="0511", published=NOON + timedelta(days=30)))
    chain.settle()
    assert chain.jobs == before and len(chain.alerts) == 1


@pytest.mark.parametrize(
    "news",
    [
        half("20240601T150000", 9.0, 9.31, published=NOON + timedelta(days=1)),
        half("20240601T150000", 9.0, 9.31, source="stac:https://example.com#s2"),
        half("20240801T150000", 9.0, 9.31, baseline="0400"),
    ],
    ids=["a new version", "another source", "another package"],
)
def test_a_failed_job_begins_again_with_what_comes_later_and_counts_in_its_order(chain, news):
    id = job_id("sub_1", A.pass_id, subscription().recipe)
    chain.announce(A)
    chain.run("notify")
    chain.put(
        chain.backend.get_record(Job, id).with_changes(orders=("order_1",)),
        Order("order_1", FIELD, subscription().recipe, NOON, jobs=(id,), open=1, failed_jobs=0),
    )
    chain.take()
    chain.end("failed", reason="B04 is missing")
    order = chain.backend.get_record(Order, "order_1")
    assert (order.state, order.failed_jobs) == ("finished", 1)
    for _ in range(2):
        chain.announce(news)
        chain.run("notify")
    [job] = chain.jobs
    order = chain.backend.get_record(Order, "order_1")
    assert (job.state, job.again, order.open, order.failed_jobs) == ("started", 1, 1, 0)
    assert {each.id for each in (*job.products, *job.alternates)} >= {news.id}
    chain.settle()
    assert [alert.kind for alert in chain.alerts] == ["new"]
    assert chain.backend.get_record(Order, "order_1").state == "finished"


def test_a_part_that_cannot_be_read_leaves_the_earlier_result_with_a_note(chain):
    chain.announce(A)
    chain.settle()
    [done] = chain.jobs
    chain.announce(B)
    chain.run("notify")
    fail(JobStarted(done.id, "live", 0), chain.backend, "an old run")
    assert chain.jobs[0].state == "started"
    fail(JobStarted(done.id, "live", 1), chain.backend, "B04 is missing")
    chain.settle()
    [job] = chain.jobs
    assert (job.state, job.cover, job.products, job.notes) == (
        "done",
        done.cover,
        (A,),
        (f"{B.id} could not be added: B04 is missing",),
    )
    assert [alert.kind for alert in chain.alerts] == ["new"]


def test_changed_files_restart_the_job_of_their_product_once(chain):
    chain.announce(A)
    chain.settle()
    for mark in ("1", "1", "2"):
        chain.announce(A, files=mark)
        chain.settle()
    [job] = chain.jobs
    assert (job.again, job.state) == (2, "done")
    assert len(chain.alerts) == 1, "the result is the same"


def test_the_job_of_an_acquisition_of_an_earlier_version_counts_as_the_pass(chain):
    old = Job(
        job_id("sub_1", A.acquisition, subscription().recipe),
        A,
        FIELD,
        subscription().recipe,
        NOON,
        subscription="sub_1",
        state="done",
        cover=Cover(100, 50, 50),
    )
    chain.put(old)
    chain.put(subscription(aoi=FIELD, alerts=1))
    chain.put(
        Alert(
            alert_id("sub_1", A.acquisition),
            "sub_1",
            1,
            old.id,
            A.acquisition,
            A.id,
            NOON,
            NOON,
            old.cover,
            {},
        )
    )
    chain.announce(A)
    chain.settle()
    assert (chain.jobs, len(chain.alerts)) == ([old], 1)
    chain.announce(B)
    chain.settle()
    [job] = chain.jobs
    assert (job.id, job.again, job.cover.valid) == (old.id, 1, 100)
    assert [(alert.kind, alert.updates) for alert in chain.alerts] == [("new", None), ("updated", 1)]


def test_products_that_are_announced_together_make_one_job_at_once(chain):
    def work(commit):
        put_products(commit, [A, B])
        for one in (A, B):
            commit.emit(ProductNew(one.id, one.version, one.source))

    chain.backend.commit(work, completes_event=False)
    chain.settle()
    [job] = chain.jobs
    assert (job.again, job.cover.valid, [alert.kind for alert in chain.alerts]) == (0, 100, ["new"])


def test_a_part_known_by_its_bounds_only_is_tried_where_the_result_has_room(chain):
    first = half("20240601T150000", 9.0, 9.36, footprint=None)
    second = half("20240601T160000", 9.25, 9.6, footprint=None, published=NOON)
    chain.announce(first)
    chain.settle()
    assert chain.jobs[0].cover.coverage == 0.5
    chain.announce(second)
    chain.settle()
    [job] = chain.jobs
    assert (job.again, {each.id for each in job.products}) == (1, {first.id, second.id})
    assert [alert.kind for alert in chain.alerts] == ["new", "updated"]


@pytest.mark.parametrize("first", [0, 1])
def test_an_older_baseline_takes_no_place_of_a_better_one_that_is_too_cloudy(chain, first):
    chain.put(subscription(aoi=FIELD, max_cloud=20.0))
    best = half("20240602T150000", 9.0, 9.4, baseline="0511", cloud_cover=25.0)
    older = half("20240601T150000", 9.0, 9.4, baseline="0510", cloud_cover=15.0)
    chain.announce((best, older)[first])
    chain.announce((older, best)[first])
    chain.settle()
    assert not chain.backend.records.find(Job)
