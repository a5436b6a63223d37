"""What users ask for, on the local backend: validated first, written once, completed by a repeat."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from order_samples import order_acquisitions
from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.adapters.local.backend import local_backend
from revisit.domain.alert import Alert, alert_id
from revisit.domain.aoi import AOI
from revisit.domain.events import JobExtracted, JobStarted
from revisit.domain.job import Cover, Job, Statistics, job_id
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription
from revisit.errors import ConflictError, InvalidInputError, NotFoundError, TransientError
from revisit.ports.catalog import Query
from revisit.ports.catalog_schema import to_table
from revisit.ports.cloudevents import Envelope
from revisit.ports.sources import Listing
from revisit.ports.system_records import DeadLetter
from revisit.presenters import documents
from revisit.services.operations.dead_letters import list_dead_letters, replay_dead_letter
from revisit.services.orders.create import create_order, estimate_order
from revisit.services.orders.selection import OrderRequest
from revisit.services.products.search import search_products
from revisit.services.subscriptions import lifecycle
from revisit.services.subscriptions.create import create_subscription
from revisit.services.subscriptions.lifecycle import (
    delete_subscription,
    pause_subscription,
    resume_subscription,
)
from revisit.services.subscriptions.preview import preview_subscription
from revisit.services.subscriptions.records import get_subscription, list_subscriptions
from revisit.services.subscriptions.results import get_series, list_alerts, list_jobs

NDVI = Recipe(indices=("NDVI",))


@pytest.fixture
def clock():
    """A list whose last moment is now."""
    return [NOW]


@pytest.fixture
def backend(tmp_path, clock):
    return local_backend(tmp_path / "data", (), lambda: clock[-1])


@pytest.fixture
def field():
    return AOI.from_normalized(FIELD)


def count(backend, kind) -> int:
    return len(backend.records.find(kind))


def test_an_order_makes_one_job_per_pass_and_mixes_levels_on_request_only(backend, field):
    add_to_catalog(backend, product(1), product(1, "L1C"), product(4, "L1C"), product(9, tile="33TXX"))

    def levels(placed):
        jobs = list_jobs(backend, placed.id)
        assert (placed.open, placed.state, placed.jobs) == (
            len(jobs),
            "running",
            tuple(job.id for job in jobs),
        )
        return [(job.product.sensing_time.day, job.product.level, job.lane) for job in jobs]

    placed = order_acquisitions(backend, field, NDVI)
    assert levels(placed) == [(1, "L2A", "live")]
    assert placed.notes == ("1 pass is left out, known as L1C only; level L1C or any takes L1C",)
    assert estimate_order(backend, OrderRequest(NDVI, field)).notes == placed.notes
    mixed = order_acquisitions(backend, field, NDVI, level="any")
    assert levels(mixed) == [(1, "L2A", "live"), (4, "L1C", "live")] and not mixed.notes
    later = order_acquisitions(backend, field, NDVI, start=datetime(2024, 6, 2, tzinfo=UTC))
    assert levels(later) == [(4, "L1C", "live")] and not later.notes


def test_an_order_its_estimate_and_a_preview_say_why_they_found_nothing_and_what_is_known(backend, field):
    add_to_catalog(backend, product(1, cloud=40), product(4, cloud=34.5), product(2, "L1C"))
    june = datetime(2024, 6, 10, tzinfo=UTC), datetime(2024, 6, 20, tzinfo=UTC)

    def notes(**conditions):
        request = OrderRequest(NDVI, field, **conditions)
        placed = create_order(backend, request)
        assert (placed.jobs, placed.state) == ((), "finished")
        assert estimate_order(backend, request).notes == placed.notes
        return placed.notes

    assert notes(level="L2A", max_cloud=20) == (
        "none of 2 passes meets the conditions: 2 with more than 20 % cloud, the least 34.5 % on 2024-06-04",
    )
    assert notes(start=june[0], end=june[1]) == (
        "no product over the area is known in the period, but 3 products of 2024-06-01 to 2024-06-04",
    )
    second = datetime(2024, 6, 2, tzinfo=UTC), datetime(2024, 6, 3, tzinfo=UTC)
    assert notes(start=second[0], end=second[1], level="L2A") == (
        "no L2A product is known in the period, but 1 pass is as L1C",
    )
    preview = preview_subscription(
        backend,
        field,
        Subscription("sub", "s", field.geometry, field.tiles, NDVI, june[0], max_cloud=20),
        datetime(2024, 6, 1, tzinfo=UTC),
    )
    assert preview.note == notes(level="L2A", max_cloud=20)[0]
    elsewhere = AOI.from_normalized(
        {"type": "Polygon", "coordinates": [[[30, 10], [30.1, 10], [30.1, 10.1], [30, 10]]]}
    )
    assert create_order(backend, OrderRequest(NDVI, elsewhere)).notes == (
        "no product over the area is known, of any date",
    )


def test_an_order_takes_its_period_with_both_ends(backend, field):
    add_to_catalog(backend, product(1), product(2), product(3))
    placed = order_acquisitions(
        backend,
        field,
        NDVI,
        start=datetime(2024, 6, 2, tzinfo=UTC),
        end=datetime(2024, 6, 2, 10, 16, tzinfo=UTC),
    )
    assert [job.product.sensing_time.day for job in list_jobs(backend, placed.id)] == [2]


def test_an_order_over_nothing_is_finished_and_empty(backend, field):
    placed = order_acquisitions(backend, field, NDVI)
    assert (placed.jobs, placed.state) == ((), "finished")


def test_the_same_order_is_the_same_record_until_there_is_more_to_work(backend, field):
    add_to_catalog(backend, product(1))
    first = order_acquisitions(backend, field, NDVI)
    assert order_acquisitions(backend, field, NDVI).id == first.id and count(backend, Job) == 1
    end_job(backend, list_jobs(backend, first.id)[0])
    assert order_acquisitions(backend, field, NDVI).id == first.id
    add_to_catalog(backend, product(2))
    assert order_acquisitions(backend, field, NDVI).id != first.id


def test_an_order_with_a_failed_job_is_processed_again_when_repeated(backend, field):
    add_to_catalog(backend, product(1))
    first = order_acquisitions(backend, field, NDVI)
    end_job(backend, list_jobs(backend, first.id)[0], "failed", reason="B04.tif ends in the middle")
    again = order_acquisitions(backend, field, NDVI)
    assert again.id != first.id and again.open == 1


def test_a_repeat_completes_an_order_that_a_crash_cut_short(backend, field, monkeypatch):
    monkeypatch.setattr("revisit.services.orders.create.MAX_RECORDS_PER_COMMIT", 2)
    add_to_catalog(backend, *(product(day) for day in range(1, 8)))
    commits = []

    class CutError(Exception):
        pass

    def commit(self, work, completes_event=True, whole=type(backend).commit):
        commits.append(work)
        if len(commits) == 3:
            raise CutError
        return whole(self, work, completes_event)

    monkeypatch.setattr(type(backend), "commit", commit)
    with pytest.raises(CutError):
        order_acquisitions(backend, field, NDVI)
    cut = backend.records.find(Order)[0]
    assert (cut.open, len(cut.jobs), count(backend, Job)) == (7, 7, 4)
    whole = order_acquisitions(backend, field, NDVI)
    assert (whole.id, whole.open, count(backend, Job), count(backend, Order)) == (cut.id, 7, 7, 1)


class Past:
    """A source that lists the past of a place, as a STAC API does."""

    spec = "stac:https://stac.example/v1#sentinel-2-l2a"
    announces_all = False

    def __init__(self) -> None:
        self.asked: list[Query] = []

    def history(self, query, unseen):
        self.asked.append(query)
        there = [product(2, source=self.spec)]
        return Listing(iter([to_table(there).filter(pa.array(unseen([one.id for one in there])))]))


def test_a_source_with_a_history_is_queried_by_area_and_period(backend, field):
    past = Past()
    backend = replace(backend, source=lambda spec: past, sources=(past.spec,))
    start = datetime(2024, 6, 1, tzinfo=UTC)
    placed = order_acquisitions(backend, field, NDVI, source=past.spec, start=start)
    assert order_acquisitions(backend, field, NDVI, start=start).jobs and [
        job.product.source for job in list_jobs(backend, placed.id)
    ] == [past.spec]
    made = create_subscription(backend, field, "field", NDVI, backfill=start)
    assert [job.product.sensing_time.day for job in list_jobs(backend, made.id)] == [2]
    assert [(query.tiles, query.bounds, query.start) for query in past.asked] == [
        (("32TNR",), field.bounds, start)
    ] * 3


def test_a_source_that_does_not_answer_leaves_nothing_written(backend, field):
    def silent(spec):
        raise TransientError("stac.example does not answer")

    backend = replace(backend, source=silent, sources=("stac:https://stac.example/v1#s",))
    for asked in (
        lambda: order_acquisitions(backend, field, NDVI),
        lambda: create_subscription(backend, field, "field", NDVI, backfill=datetime(2024, 6, 1, tzinfo=UTC)),
    ):
        with pytest.raises(TransientError):
            asked()
    assert count(backend, Order) == count(backend, Job) == count(backend, Subscription) == 0


def test_aliases_and_spellings_of_an_index_make_the_same_order(backend, field):
    add_to_catalog(backend, product(1))
    assert (
        order_acquisitions(backend, field, Recipe(indices=("ndwigao",))).id
        == order_acquisitions(backend, field, Recipe(indices=("NDMI",))).id
    )


def test_large_orders_wait_behind_live_work(backend, field, monkeypatch):
    monkeypatch.setattr("revisit.services.orders.create.MAX_LIVE_JOBS", 1)
    add_to_catalog(backend, product(1), product(2))
    assert {job.lane for job in list_jobs(backend, order_acquisitions(backend, field, NDVI).id)} == {
        "backfill"
    }


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"recipe": Recipe(indices=("NDVY",))}, "no spectral index 'NDVY'; did you mean NDVI"),
        (
            {"start": datetime(2024, 6, 2, tzinfo=UTC), "end": datetime(2024, 6, 1, tzinfo=UTC)},
            "ends .2024-06-01. before it begins",
        ),
        ({"start": datetime(2031, 1, 1, tzinfo=UTC)}, "has not come yet"),
        ({"source": "carrier-pigeon:here"}, "carrier-pigeon"),
    ],
)
def test_an_invalid_order_writes_nothing(backend, field, asked, sentence):
    add_to_catalog(backend, product(1))
    with pytest.raises(InvalidInputError, match=sentence):
        order_acquisitions(backend, **{"aoi": field, "recipe": NDVI, **asked})
    assert count(backend, Order) == count(backend, Job) == 0


def test_a_subscription_without_backfill_starts_with_what_comes(backend, field):
    add_to_catalog(backend, product(1))
    made = create_subscription(backend, field, "field", NDVI)
    assert (made.state, made.tiles, count(backend, Job)) == ("active", ("32TNR",), 0)
    assert made.feed_token.startswith(made.id) and len(made.feed_token) > len(made.id) + 30


def test_backfill_works_the_past_once_behind_live_work_and_under_its_conditions(backend, field):
    add_to_catalog(
        backend,
        product(1),
        product(2, cloud=90.0),
        product(3, "L1C"),
        product(4, cloud=None),
        product(20, month=5),
    )
    made = create_subscription(
        backend, field, "field", NDVI, max_cloud=50, min_clear=30, backfill=datetime(2024, 6, 1, tzinfo=UTC)
    )
    jobs = list_jobs(backend, made.id)
    assert [(job.product.sensing_time.day, job.lane, job.min_clear) for job in jobs] == [
        (1, "backfill", 30),
        (4, "backfill", 30),
    ]
    assert [job.id for job in jobs] == [job_id(made.id, job.pass_id, NDVI) for job in jobs]
    assert backend.records.find(Order)[0].open == 2


def test_backfill_leaves_a_job_that_live_news_has_begun_to_it(backend, field):
    add_to_catalog(backend, product(1), product(2))
    made = create_subscription(backend, field, "field", NDVI)
    live = Job(
        job_id(made.id, product(1).acquisition, NDVI), product(1), made.aoi, NDVI, NOW, subscription=made.id
    )
    backend.commit(lambda commit: commit.put(live), completes_event=False)
    delete_subscription(backend, made.id)
    create_subscription(backend, field, "field", NDVI, backfill=datetime(2024, 6, 1, tzinfo=UTC))
    past = backend.records.find(Order)[0]
    assert (past.open, len(past.jobs), count(backend, Job)) == (1, 1, 2)
    assert backend.get_record(Job, live.id) == live


def test_subscribing_twice_is_one_subscription_with_one_backfill(backend, field, clock):
    add_to_catalog(backend, product(1))
    first = create_subscription(
        backend,
        field,
        "field",
        NDVI,
        channels=[Channel("file", "a.jsonl")],
        backfill=datetime(2024, 6, 1, tzinfo=UTC),
    )
    clock.append(NOW + timedelta(hours=1))
    again = create_subscription(
        backend,
        field,
        "field",
        NDVI,
        channels=[Channel("file", "a.jsonl")],
        backfill=datetime(2024, 6, 1, tzinfo=UTC),
    )
    assert again == first and count(backend, Order) == count(backend, Job) == 1


def test_other_conditions_under_the_same_name_are_a_conflict(backend, field):
    create_subscription(backend, field, "field", NDVI, min_clear=30)
    with pytest.raises(ConflictError, match="exists with another min_clear"):
        create_subscription(backend, field, "field", NDVI, min_clear=60)


def test_a_subscription_requires_half_of_the_area_seen_unless_it_says_otherwise(backend, field):
    add_to_catalog(backend, product(1))
    since = datetime(2024, 6, 1, tzinfo=UTC)
    made = create_subscription(backend, field, "field", NDVI, min_clear=30, backfill=since)
    assert (made.min_coverage, made.min_clear_of) == (50, "aoi")
    (job,) = list_jobs(backend, made.id)
    assert (job.min_coverage, job.min_clear, job.min_clear_of) == (50, 30, "aoi")
    other = create_subscription(backend, field, "any", NDVI, min_coverage=None, min_clear_of="seen")
    assert (other.min_coverage, other.min_clear_of) == (None, "seen")
    for stated in ({"min_coverage": 60.0}, {"min_clear_of": "seen"}):
        with pytest.raises(ConflictError, match=f"exists with another {next(iter(stated))}"):
            create_subscription(backend, field, "field", NDVI, min_clear=30, backfill=since, **stated)


def test_an_order_has_no_minimum_coverage_unless_it_is_given_and_keeps_its_id(backend, field):
    """An order by the clear share of the seen part has the id that earlier versions gave it."""
    add_to_catalog(backend, product(1))
    plain = OrderRequest(NDVI, field)
    assert (plain.min_coverage, plain.min_clear_of) == (None, "aoi")
    seen, clear = replace(plain, min_clear=30, min_clear_of="seen"), replace(plain, min_clear=30)
    assert seen.identity == (*plain.identity, "min_clear=30")
    orders = [
        create_order(backend, request)
        for request in (plain, seen, clear, replace(clear, min_coverage=20), replace(plain, min_coverage=0))
    ]
    assert len({order.id for order in orders}) == 4 and orders[4].id == orders[0].id
    (job,) = list_jobs(backend, orders[3].id)
    assert (job.min_coverage, job.min_clear, job.min_clear_of) == (20, 30, "aoi")


def test_a_webhook_gets_its_first_secret_and_keeps_it(backend, field):
    made = create_subscription(
        backend, field, "field", NDVI, channels=[Channel("webhook", "https://hooks.example.com/in")]
    )
    assert (made.channels[0].generation, made.channels[0].secret) == (1, "")
    again = create_subscription(
        backend, field, "field", NDVI, channels=[Channel("webhook", "https://hooks.example.com/in")]
    )
    assert again.channels == made.channels


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"name": "  "}, "1 to 200 characters"),
        ({"name": "a\x1fb"}, "control character"),
        ({"name": "a\udcff"}, "half a character"),
        ({"min_clear": 130.0}, "percentage from 0 to 100"),
        ({"min_coverage": float("nan")}, "min_coverage is a percentage from 0 to 100"),
        ({"min_clear_of": "tile"}, "choose aoi or seen"),
        ({"level": "L3"}, "level 'L3' does not exist"),
        ({"recipe": Recipe(indices=("FOO",))}, "no spectral index 'FOO'"),
        ({"channels": [Channel("webhook", "http://127.0.0.1:9/x")]}, "127.0.0.1"),
        ({"channels": [Channel("webhook", "https://169.254.169.254/x")]}, "169.254.169.254"),
        ({"channels": [Channel("file", "../../etc/passwd")]}, "not a file channel's name"),
        ({"backfill": datetime(2030, 1, 1, tzinfo=UTC)}, "has not come yet"),
    ],
)
def test_an_invalid_subscription_writes_nothing(backend, field, asked, sentence):
    with pytest.raises(InvalidInputError, match=sentence):
        create_subscription(backend, **{"aoi": field, "name": "field", "recipe": NDVI, **asked})
    assert count(backend, Subscription) == 0


def test_a_guest_has_the_limits_of_his_plan(backend, field):
    for number in range(20):
        create_subscription(backend, field, f"field {number}", NDVI, owner="guest")
    with pytest.raises(InvalidInputError, match="20 subscriptions are the most"):
        create_subscription(backend, field, "one too many", NDVI, owner="guest")


def test_resuming_works_what_was_published_during_the_pause(backend, field, clock):
    made = create_subscription(backend, field, "field", NDVI)
    add_to_catalog(backend, product(20))
    clock.append(datetime(2024, 6, 22, tzinfo=UTC))
    assert pause_subscription(backend, made.id).state == "paused"
    add_to_catalog(
        backend, product(21, published=datetime(2024, 6, 23, tzinfo=UTC)), product(25), product(25, "L1C")
    )
    clock.append(datetime(2024, 6, 28, tzinfo=UTC))
    active = resume_subscription(backend, made.id)
    assert (active.state, active.paused) == ("active", None)
    assert [job.product.sensing_time.day for job in list_jobs(backend, made.id)] == [21, 25]
    assert resume_subscription(backend, made.id) == active and count(backend, Job) == 2


def test_jobs_that_ended_long_before_a_pause_make_no_new_alerts(backend, field, clock):
    made, other = (
        create_subscription(backend, field, "field", NDVI),
        create_subscription(backend, field, "other", NDVI),
    )
    ends = {1: NOW - timedelta(days=11), 2: NOW - timedelta(days=9), 3: NOW + timedelta(hours=1)}
    jobs = [
        Job(
            job_id(made.id, seen.acquisition, NDVI),
            seen,
            FIELD,
            NDVI,
            NOW,
            subscription=made.id,
            state="done",
            finished=ends[day],
        )
        for day in ends
        for seen in [product(day)]
    ]
    foreign = Job(
        "job_other", product(4), FIELD, NDVI, NOW, subscription=other.id, state="done", finished=NOW
    )
    backend.commit(lambda commit: [commit.put(job) for job in (*jobs, foreign)], completes_event=False)
    pause_subscription(backend, made.id)
    clock.append(NOW + timedelta(days=1))
    resume_subscription(backend, made.id)
    assert sum(depth.ready for depth in backend.bus.depth() if depth.function == "deliver") == 2


def test_a_pause_during_the_catching_up_of_the_pause_before_forgets_nothing(
    backend, field, clock, monkeypatch
):
    made = create_subscription(backend, field, "field", NDVI)
    first = pause_subscription(backend, made.id).paused
    clock.append(NOW + timedelta(days=1))
    place = lifecycle.write_order

    def interrupted(*given):
        pause_subscription(backend, made.id)
        return place(*given)

    monkeypatch.setattr(lifecycle, "write_order", interrupted)
    resume_subscription(backend, made.id)
    assert (get_subscription(backend, made.id).state, get_subscription(backend, made.id).paused) == (
        "paused",
        first,
    )


def test_a_deleted_subscription_is_not_there_any_more_and_its_log_goes_on_when_it_is_made_again(
    backend, field
):
    made = create_subscription(backend, field, "field", NDVI)
    backend.commit(lambda commit: commit.put(made.with_changes(alerts=3)), completes_event=False)
    assert delete_subscription(backend, "field").state == "deleted"
    assert list_subscriptions(backend) == []
    with pytest.raises(NotFoundError, match="no subscription 'field'"):
        get_subscription(backend, "field")
    again = create_subscription(backend, field, "field", NDVI)
    assert (again.id, again.alerts, again.feed_token) == (made.id, 3, made.feed_token)


def test_what_belongs_to_another_is_not_found(backend, field):
    add_to_catalog(backend, product(1))
    theirs, order_of_theirs = (
        create_subscription(backend, field, "field", NDVI, owner="guest"),
        order_acquisitions(backend, field, NDVI, start=NOW - timedelta(days=60), owner="guest"),
    )
    for id in (theirs.id, order_of_theirs.id, order_of_theirs.jobs[0]):
        with pytest.raises(NotFoundError):
            list_jobs(backend, id)


def test_a_search_finds_what_truly_touches_the_aoi(backend, field):
    away = {
        "type": "Polygon",
        "coordinates": [[[9.5, 44.6], [10.3, 44.6], [10.3, 45.5], [9.5, 45.5], [9.5, 44.6]]],
    }
    add_to_catalog(backend, product(1), product(2, footprint=away), product(3, cloud=80.0), product(4, "L1C"))
    there = product(
        1, source="stac:https://example.org#s2", sensing_time=product(1).sensing_time - timedelta(minutes=9)
    )
    add_to_catalog(backend, there)

    def days(**where):
        return [one.product.sensing_time.day for one in search_products(backend, **where)]

    assert days(aoi=field) == [1, 3, 4]
    assert days(aoi=field, max_cloud=50, level="L2A") == [1]
    assert days(tile="T32TNR", limit=2) == [1, 2]
    assert days(aoi=field, limit=1) == [1]
    [first] = search_products(backend, tile="T32TNR", limit=1)
    assert (first.product.source, first.sources) == ("folder:/archive", ("folder:/archive", there.source))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"tile": "99ZZZ"},
        {"tile": "32TNR", "level": "L3"},
        {"tile": "32TNR", "max_cloud": 101.0},
        {"tile": "32TNR", "limit": 0},
    ],
)
def test_an_invalid_search_is_rejected(backend, asked):
    with pytest.raises(InvalidInputError):
        search_products(backend, **asked)


def test_a_series_holds_the_clear_dates_of_an_index(backend, field):
    add_to_catalog(backend, product(2), product(1), product(3))
    placed = order_acquisitions(backend, field, NDVI)
    cloudy, clear, failed = (
        next(job for job in list_jobs(backend, placed.id) if job.product.sensing_time.day == day)
        for day in (1, 2, 3)
    )
    end_job(backend, cloudy, cover=Cover(10, 10, 0), indices={"NDVI": Statistics(0)})
    end_job(backend, clear, cover=Cover(10, 8, 4), indices={"NDVI": Statistics(4, 0.5, 0.1, 0.4, 0.6, 0.5)})
    end_job(backend, failed, "failed", reason="gone")
    observed = get_series(backend, placed.id, "ndvi")
    assert [(one.sensing_time.day, one.clear_fraction, one.statistics.mean) for one in observed] == [
        (2, 0.5, 0.5)
    ]
    row = documents.observation(observed[0])
    assert {name: row[name] for name in ("level", "baseline", "platform", "tiles", "mask", "count")} == {
        "level": "L2A",
        "baseline": "0510",
        "platform": "S2A",
        "tiles": ["32TNR"],
        "mask": "SCL",
        "count": 4,
    }
    assert (row["product"], row["coverage"], row["clear_of_aoi"]) == (clear.product.id, 0.8, 0.4)
    with pytest.raises(InvalidInputError, match="has no EVI; its recipe holds NDVI"):
        get_series(backend, placed.id, "EVI")
    assert backend.get_record(Order, placed.id).state == "finished"


def test_alerts_come_by_number_and_after_the_one_last_seen(backend, field):
    made = create_subscription(backend, field, "field", NDVI)
    for number, day in ((1, 3), (2, 1), (10, 2)):
        seen = product(day)
        backend.commit(
            lambda commit, number=number, seen=seen: commit.put(
                Alert(
                    alert_id(made.id, seen.acquisition),
                    made.id,
                    number,
                    "job_x",
                    seen.acquisition,
                    seen.id,
                    seen.sensing_time,
                    NOW,
                    Cover(1, 1, 1),
                    {},
                )
            ),
            completes_event=False,
        )
    assert [alert.number for alert in list_alerts(backend, made.id)] == [1, 2, 10]
    assert [alert.number for alert in list_alerts(backend, "field", after=1)] == [2, 10]


def test_a_replayed_dead_letter_is_sent_once_and_put_away(backend):
    envelope = Envelope(JobStarted("job_1"), NOW - timedelta(days=3), hops=9)
    letter = DeadLetter("letter", "extract", "job.started", "no memory", NOW, 8, envelope.encode().decode())
    unreadable = DeadLetter("odd", "extract", "", "not ours", NOW, 1, "{}")
    backend.commit(lambda commit: [commit.put(letter), commit.put(unreadable)], completes_event=False)
    assert [one.id for one in list_dead_letters(backend)] == ["letter", "odd"]
    replay_dead_letter(backend, "letter")
    assert [one.id for one in list_dead_letters(backend)] == ["odd"]
    with pytest.raises(NotFoundError):
        replay_dead_letter(backend, "letter")
    with pytest.raises(ConflictError, match="cannot be replayed"):
        replay_dead_letter(backend, "odd")


def test_replaying_a_dead_letter_restarts_a_failed_job(backend, field):
    add_to_catalog(backend, product(1))
    placed = order_acquisitions(backend, field, NDVI)
    job = list_jobs(backend, placed.id)[0]
    end_job(backend, job, "failed", reason="gave up after 8 attempts: the source does not answer")
    for event in (JobStarted(job.id), JobExtracted(job.id)):
        letter = DeadLetter(
            event.id, "extract", event.topic, "gave up", NOW, 8, Envelope(event, NOW).encode().decode()
        )
        backend.commit(lambda commit, letter=letter: commit.put(letter), completes_event=False)
    replay_dead_letter(backend, JobStarted(job.id).id)
    again = backend.get_record(Job, job.id)
    assert (again.state, again.reason, again.again, backend.get_record(Order, placed.id).open) == (
        "started",
        "",
        1,
        1,
    )
    assert JobStarted(job.id, again=1).id != JobStarted(job.id).id
    replay_dead_letter(backend, JobExtracted(job.id).id)
    assert backend.get_record(Job, job.id) == again and backend.get_record(Order, placed.id).open == 1
    end_job(backend, again)
    assert backend.get_record(Order, placed.id).state == "finished"
