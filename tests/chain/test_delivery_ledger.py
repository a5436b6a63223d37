"""Delivery records: what one commit of a claim, an attempt or an alert writes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from products import FIELD, product
from revisit.adapters.local.backend import local_backend
from revisit.chain.delivery_ledger import (
    MAX_DUE_PER_HOST,
    claim,
    create_deliveries,
    due_deliveries,
    host_or_target,
    record_attempt,
)
from revisit.delivery.webhook_client import AttemptResult
from revisit.domain.alert import Alert
from revisit.domain.delivery import Attempt, Delivery, Receiver
from revisit.domain.events import DeliveriesDue
from revisit.domain.job import Cover, Job
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription
from revisit.ports.cloudevents import Envelope
from samples import NOON, StoppedClock, delivery, subscription

HOST = "hooks.example.com"
HOOK = Channel("webhook", f"https://{HOST}/a", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER_HOOK = Channel("webhook", f"https://{HOST}/b", HOOK.secret)
FILE = Channel("file", "log")
SECOND = timedelta(seconds=1)
DELIVERED = AttemptResult("200", 200)
FAILED = AttemptResult("500", 500)
GONE = AttemptResult("410", 410)


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def backend(tmp_path, clock):
    return local_backend(tmp_path / "data", now=clock)


def put(backend, *records):
    def work(transaction):
        for record in records:
            transaction.put(record)

    backend.records.transact(work)


def watch(backend, *channels, **fields) -> Subscription:
    watched = subscription(channels=channels or (HOOK,), **fields)
    put(backend, watched)
    return watched


def due(backend, channel=HOOK, **fields) -> Delivery:
    """A delivery to a channel that is due now."""
    host = HOST if channel.kind == "webhook" else ""
    waiting = delivery(**{"channel": channel.id, "target": channel.target, "host": host, **fields})
    put(backend, waiting)
    return waiting


def stored(backend, id="delivery_1") -> Delivery:
    return backend.get_record(Delivery, id)


def receivers(backend) -> dict[str, int]:
    """Failures by host and channel."""
    return {found.id: found.failures for found in backend.records.find(Receiver)}


def failing(failures: int, probe=NOON, id=HOST) -> Receiver:
    return Receiver(id, failures, NOON - timedelta(days=1), probe)


def finished_job(backend, **fields) -> Job:
    job = Job(
        **{
            "id": "job_1",
            "product": product(1),
            "aoi": FIELD,
            "recipe": Recipe(indices=("NDVI",)),
            "created": NOON,
            "state": "done",
            "subscription": "sub_1",
            "cover": Cover(400, 300, 225),
            **fields,
        }
    )
    put(backend, job)
    return job


def test_a_claim_takes_a_delivery_from_other_workers_for_one_minute(backend, clock):
    watch(backend)
    due(backend)
    first = claim("delivery_1", backend)
    assert first and (first.delivery.claim, first.delivery.due) == (1, NOON + timedelta(minutes=1))
    assert (first.subscription.id, first.channel) == ("sub_1", HOOK)
    assert stored(backend) == first.delivery
    clock.advance(59)
    assert claim("delivery_1", backend) is None
    clock.advance(1)
    second = claim("delivery_1", backend)
    assert second and second.delivery.claim == 2


def test_a_delivery_is_claimed_at_its_time_and_not_before(backend):
    watch(backend)
    due(backend, due=NOON + timedelta(microseconds=1))
    assert claim("delivery_1", backend) is None and stored(backend).claim == 0
    due(backend, due=NOON)
    assert claim("delivery_1", backend)


@pytest.mark.parametrize("fields", [{"state": "delivered"}, {"state": "failed"}, {"due": None}], ids=str)
def test_a_finished_delivery_is_not_claimed(backend, fields):
    watch(backend)
    before = due(backend, **fields)
    assert claim("delivery_1", backend) is None and stored(backend) == before
    assert claim("delivery_unknown", backend) is None


def test_a_delivery_without_subscription_or_channel_ends_and_says_why(backend):
    due(backend)
    assert claim("delivery_1", backend) is None
    watch(backend, FILE)
    due(backend, id="delivery_2")
    assert claim("delivery_2", backend) is None
    for id, reason in (
        ("delivery_1", "the subscription is deleted"),
        ("delivery_2", "the channel was removed"),
    ):
        ended = stored(backend, id)
        assert (ended.state, ended.due) == ("failed", None)
        assert [(each.at, each.outcome) for each in ended.attempts] == [(NOON, f"not sent: {reason}")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "deleted"}, "the subscription is deleted"),
        (
            {"channels": (replace(HOOK, state="disabled", reason="410 Gone"),)},
            "the channel is disabled: 410 Gone",
        ),
    ],
    ids=["deleted", "disabled"],
)
def test_a_delivery_of_a_deleted_subscription_or_a_disabled_channel_ends(backend, changes, reason):
    put(backend, watch(backend).with_changes(**changes))
    due(backend)
    assert claim("delivery_1", backend) is None
    ended = stored(backend)
    assert (ended.state, ended.due, ended.attempts[-1].outcome) == ("failed", None, f"not sent: {reason}")


def test_an_open_circuit_lets_one_probe_through_every_five_minutes(backend, clock):
    watch(backend)
    due(backend)
    due(backend, id="delivery_2")
    put(backend, failing(10, NOON + SECOND))
    assert claim("delivery_1", backend) is None and stored(backend).claim == 0
    clock.advance(1)
    assert claim("delivery_1", backend)
    assert backend.get_record(Receiver, HOST) == failing(10, NOON + SECOND + timedelta(minutes=5))
    assert claim("delivery_2", backend) is None


def test_a_closed_circuit_is_not_probed(backend):
    watch(backend)
    due(backend)
    due(backend, id="delivery_2")
    put(backend, failing(9))
    assert claim("delivery_1", backend) and claim("delivery_2", backend)
    assert backend.get_record(Receiver, HOST) == failing(9)


def test_a_file_has_no_circuit(backend):
    watch(backend, FILE)
    due(backend, FILE)
    assert claim("delivery_1", backend)


def test_a_replaced_claim_records_nothing(backend, clock):
    watch(backend)
    due(backend)
    first = claim("delivery_1", backend)
    clock.advance(60)
    second = claim("delivery_1", backend)
    assert record_attempt(first, GONE, backend) is None
    assert stored(backend) == second.delivery and receivers(backend) == {}
    assert record_attempt(second, DELIVERED, backend) == stored(backend)
    assert record_attempt(second, FAILED, backend) is None
    assert stored(backend).state == "delivered" and receivers(backend) == {}


def test_all_deliveries_of_a_tick_are_claimed_and_recorded_before_it_is_complete(backend):
    watch(backend)
    finished_job(backend)
    tick = backend.with_cause(Envelope(DeliveriesDue("now"), NOON), "deliver")
    assert create_deliveries("job_1", tick)
    for id in ("delivery_1", "delivery_2"):
        due(backend, id=id)
        assert record_attempt(claim(id, tick), DELIVERED, tick).state == "delivered"
    assert tick.commit(lambda commit: "the rest of the tick") == "the rest of the tick"


def test_a_failure_counts_for_the_host_and_the_channel_and_a_success_clears_both(backend, clock):
    watch(backend, HOOK, OTHER_HOOK)
    due(backend)
    due(backend, OTHER_HOOK, id="delivery_2")
    assert record_attempt(claim("delivery_1", backend), FAILED, backend).state == "due"
    assert receivers(backend) == {HOST: 1, HOOK.id: 1}
    record_attempt(claim("delivery_2", backend), FAILED, backend)
    assert receivers(backend) == {HOST: 2, HOOK.id: 1, OTHER_HOOK.id: 1}
    clock.advance(60)
    record_attempt(claim("delivery_1", backend), DELIVERED, backend)
    assert receivers(backend) == {OTHER_HOOK.id: 1}


def test_the_failure_of_a_file_counts_for_its_channel_only(backend):
    watch(backend, FILE)
    due(backend, FILE)
    record_attempt(claim("delivery_1", backend), AttemptResult("not written: full"), backend)
    assert receivers(backend) == {FILE.id: 1}


def test_only_the_channel_whose_receiver_is_gone_is_disabled(backend):
    watch(backend, FILE, HOOK, OTHER_HOOK)
    due(backend)
    record_attempt(claim("delivery_1", backend), GONE, backend)
    reason = "the receiver answered 410 Gone at 2024-06-01T12:00:00Z"
    assert backend.get_record(Subscription, "sub_1").channels == (
        FILE,
        replace(HOOK, state="disabled", reason=reason),
        OTHER_HOOK,
    )


def test_a_channel_is_disabled_by_its_own_failures_and_not_by_those_of_its_host(backend):
    for own_days, state in ((4, "live"), (5, "disabled")):
        watch(backend)
        due(backend, attempts=(Attempt(NOON, "500"),) * 9)
        put(backend, replace(failing(9), since=NOON - timedelta(days=30)))
        put(backend, replace(failing(9, id=HOOK.id), since=NOON - timedelta(days=own_days)))
        assert record_attempt(claim("delivery_1", backend), FAILED, backend).state == "failed"
        assert backend.get_record(Subscription, "sub_1").channels[0].state == state


def test_an_attempt_is_recorded_although_its_subscription_is_gone(backend):
    watch(backend)
    due(backend)
    claimed = claim("delivery_1", backend)
    backend.records.transact(lambda transaction: transaction.delete(Subscription, "sub_1"))
    assert record_attempt(claimed, GONE, backend).state == "failed"
    assert backend.records.get(Subscription, "sub_1") is None


def test_an_alert_has_a_delivery_for_each_live_channel(backend, clock):
    shouting = Channel("webhook", "https://HOOKS.example.com:443/a?b=c://d", HOOK.secret)
    own_port = Channel("webhook", "https://hooks.example.com:8443/a", HOOK.secret)
    disabled = replace(OTHER_HOOK, state="disabled", reason="gone")
    before = watch(backend, shouting, own_port, disabled, FILE, owner="ann", alerts=6)
    job = finished_job(backend, reason="", lane="backfill")
    clock.advance(60)
    made = create_deliveries(job.id, backend)
    [alert] = backend.records.find(Alert)
    assert [(each.channel, each.target, each.host, host_or_target(each)) for each in made] == [
        (shouting.id, shouting.target, HOST, HOST),
        (own_port.id, own_port.target, f"{HOST}:8443", f"{HOST}:8443"),
        (FILE.id, "log", "", "log"),
    ]
    assert {(each.alert, each.subscription, each.owner, each.created, each.due) for each in made} == {
        (alert.id, "sub_1", "ann", clock(), clock())
    }
    assert sorted(made, key=lambda each: each.id) == sorted(
        backend.records.find(Delivery), key=lambda each: each.id
    )
    assert (alert.number, alert.job, alert.subscription, alert.owner) == (7, "job_1", "sub_1", "ann")
    assert (alert.acquisition, alert.product) == (job.acquisition, job.product.id)
    assert (alert.sensing_time, alert.created) == (job.product.sensing_time, clock())
    assert (alert.cover, alert.indices, alert.backfill) == (job.cover, job.indices, True)
    assert backend.get_record(Subscription, "sub_1") == before.with_changes(
        alerts=7, last_sensing=job.product.sensing_time, last_alert=clock()
    )
    assert create_deliveries(job.id, backend) == []
    assert backend.get_record(Subscription, "sub_1").alerts == 7


@pytest.mark.parametrize(
    "fields", [{"state": "failed"}, {"state": "extracted"}, {"subscription": ""}], ids=str
)
def test_a_job_without_a_result_for_a_subscription_gets_no_deliveries(backend, fields):
    watch(backend, FILE)
    assert create_deliveries(finished_job(backend, **fields).id, backend) == []
    assert not backend.records.find(Alert) and not backend.records.find(Delivery)


def test_a_job_of_an_unknown_subscription_gets_no_deliveries(backend):
    assert create_deliveries(finished_job(backend).id, backend) == []
    assert not backend.records.find(Alert)


@pytest.mark.parametrize("state", ["paused", "deleted"])
def test_a_subscription_that_is_not_active_gets_no_deliveries(backend, state):
    before = watch(backend, FILE, state=state)
    assert create_deliveries(finished_job(backend).id, backend) == []
    assert not backend.records.find(Alert) and backend.get_record(Subscription, "sub_1") == before


def test_an_alert_of_a_job_without_cover_says_that_nothing_was_masked(backend):
    watch(backend, FILE)
    create_deliveries(finished_job(backend, cover=None).id, backend)
    [alert] = backend.records.find(Alert)
    assert (alert.cover, alert.backfill) == (Cover(0, 0, 0, mask="none"), False)


def test_deliveries_are_due_at_their_time_and_the_longest_overdue_come_first(backend):
    for number, seconds in enumerate((0, 1, -5, -3600)):
        due(backend, id=f"delivery_{number}", due=NOON + timedelta(seconds=seconds))
    due(backend, id="delivery_ended", state="delivered", due=None)
    assert [found.id for found in due_deliveries(backend)] == ["delivery_3", "delivery_2", "delivery_0"]
    assert MAX_DUE_PER_HOST == 1000
