"""The function `deliver`, through its real main.py on the local backend, to receivers that misbehave."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import functions_framework
import pytest
from standardwebhooks import Webhook

from receiver import after, answer, hang, receiver, reset
from revisit import delivering, runtime, wire
from revisit.addresses import ALLOW
from revisit.alert import Alert
from revisit.commands import redeliver, rotate_secret, webhook_secrets
from revisit.delivering import Outside, announce, carry, claim, due, record, wait_before
from revisit.delivery import Attempt, Delivery, Receiver
from revisit.errors import Conflict, GiveUp, NotFound
from revisit.events import DeliveriesDue, JobFinished
from revisit.job import Cover, Job, Statistics
from revisit.local.backend import local_backend
from revisit.posting import Answer
from revisit.product import Product
from revisit.recipe import Recipe
from revisit.subscription import Channel, Subscription
from revisit.wire import Envelope

NOW = datetime(2024, 2, 28, 22, 30, tzinfo=UTC)
"""A leap year: the schedule runs over 29 February."""

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""As a record of the first release holds it."""
NDVI = Recipe(indices=("NDVI",))
MAIN = Path(__file__).parents[2] / "functions" / "deliver" / "main.py"
HOURS = (0, 5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24)
"""R11, by hand."""


@pytest.fixture
def clock():
    """A list whose last moment is now."""
    return [NOW]


@pytest.fixture
def backend(tmp_path, clock):
    return local_backend(tmp_path / "data", (), lambda: clock[-1])


@pytest.fixture
def push(backend, clock):
    """Sends an event to the function as Pub/Sub would; gives the HTTP status."""
    runtime.use(backend)
    client = functions_framework.create_app("deliver", str(MAIN)).test_client()

    def send(event, attempt=1):
        body = wire.push_body(Envelope(event, clock[-1], path=(event.topic,)), "projects/p/subscriptions/deliver", "1", attempt)
        return client.post("/projects/p/topics/deliver", json=body).status_code

    yield send
    runtime._backend.clear()


@pytest.fixture
def tick(push, clock):
    """Moves the clock and lets what is due be carried."""
    def at(moment=None):
        clock.append(moment or clock[-1])
        assert push(DeliveriesDue(clock[-1].isoformat())) == 200
    return at


@pytest.fixture
def allow(monkeypatch):
    """Lets webhooks go to receivers of this test."""
    return lambda *told: monkeypatch.setenv(ALLOW, ",".join(each.allowed for each in told))


def put(backend, *records):
    backend.commit(lambda commit: [commit.put(each) for each in records] and None, last=False)


def watch(backend, *targets, **changes):
    """A subscription whose channels are webhooks to receivers, or files by name."""
    channels = tuple(Channel("file", each) if isinstance(each, str) else Channel("webhook", each.url, SECRET) for each in targets)
    made = Subscription(**{"id": "sub_1", "name": "Field", "aoi": {}, "tiles": ("32TNR",), "recipe": NDVI, "created": NOW,
                           "channels": channels, **changes})
    put(backend, made)
    return made


def delete(backend, id):
    """End a subscription, as the command does; what it was when that was answered."""
    def work(commit):
        gone = commit.get(Subscription, id).updated(state="deleted")
        commit.put(gone)
        return gone

    return backend.commit(work, last=False)


def finished(backend, number=1, subscription="sub_1", **changes):
    """A finished job of the subscription."""
    stamp = f"202402{number % 28 + 1:02d}T{number // 28:02d}1600"
    product = Product(
        id=f"S2A_MSIL2A_{stamp}_N0510_R065_T32TNR_{stamp}", source="folder:/archive", level="L2A", platform="S2A", tile="32TNR",
        sensing_time=NOW - timedelta(days=1), datatake=stamp, west=8.9, south=44.5, east=10.4, north=45.6)
    job = Job(**{"id": f"job_{subscription}_{number}", "product": product, "aoi": {}, "recipe": NDVI, "created": NOW, "state": "done",
                 "subscription": subscription, "cover": Cover(400, 300, 225), "indices": {"NDVI": Statistics(225, 0.5, 0.1, 0.2, 0.8, 0.5)},
                 **changes})
    put(backend, job)
    return job


def alerts(backend, subscription="sub_1"):
    return sorted(backend.records.find(Alert, subscription=subscription), key=lambda alert: alert.number)


def deliveries(backend, **fields):
    return sorted(backend.records.find(Delivery, **fields), key=lambda delivery: delivery.created)


def the_subscription(backend):
    return backend.record(Subscription, "sub_1")


def ids(told):
    return [headers["webhook-id"] for headers, _ in told.requests]


# ----------------------------------------------------------------------------------------------------------------------- the alert


def test_a_finished_job_becomes_an_alert_that_the_receiver_can_verify(backend, push, allow):
    with receiver() as told:
        allow(told)
        watch(backend, told)
        job = finished(backend)
        assert push(JobFinished(job.id)) == 200
        (headers, body), = told.requests
    (alert,), (delivery,) = alerts(backend), deliveries(backend)
    assert (alert.number, alert.job, alert.backfill, the_subscription(backend).alerts) == (1, job.id, False, 1)
    assert (delivery.state, delivery.due, [attempt.outcome for attempt in delivery.attempts]) == ("delivered", None, ["200"])
    # The virtual clock is years ago, so the library's verdict on age is left out: the signature is checked over the header's time.
    assert Webhook(SECRET).sign(headers["webhook-id"], NOW, body.decode()) == headers["webhook-signature"]
    read = json.loads(body)
    assert (read["id"], read["data"]["number"], read["data"]["clear_fraction"]) == (alert.id, 1, 0.75)
    assert not backend.records.find(Receiver)


def test_a_webhook_verifies_by_the_library_at_the_real_time(tmp_path, monkeypatch):
    backend = local_backend(tmp_path / "now")
    with receiver(answer(500), answer(200)) as told:
        monkeypatch.setenv(ALLOW, told.allowed)
        watch(backend, told)
        (delivery,) = announce(finished(backend).id, backend)
        carry([delivery], backend)
        later = local_backend(tmp_path / "now", (), lambda: datetime.now(UTC) + timedelta(seconds=10))
        carry(due(later), later)
        read = [Webhook(SECRET).verify(body, headers) for headers, body in told.requests]
    assert read[0] == read[1] and len(set(ids(told))) == 1


def test_a_receiver_verifies_by_either_secret_while_one_replaces_the_other_and_then_by_the_new_one(backend, clock, push, allow):
    with receiver() as told:
        allow(told)
        watcher = watch(backend)
        put(backend, watcher.updated(channels=(Channel("webhook", told.url, generation=1),)))
        told_secrets = [webhook_secrets(backend, the_subscription(backend)), webhook_secrets(backend, rotate_secret(backend, "sub_1", told.url)[0])]
        for number, hours in ((1, 0), (2, 23), (3, 25)):
            clock.append(NOW + timedelta(hours=hours))
            assert push(JobFinished(finished(backend, number).id)) == 200
        sent = list(told.requests)
    (old,), (new,) = (secrets.values() for secrets in told_secrets)
    holds = [[Webhook(secret).sign(headers["webhook-id"], datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC), body.decode())
              in headers["webhook-signature"].split() for secret in (old, new)] for headers, body in sent]
    assert holds == [[True, True], [True, True], [False, True]]


def test_a_delivery_that_cannot_be_signed_waits_and_says_why(backend, clock):
    def no_key():
        raise GiveUp("REVISIT_SIGNING_KEY is not set")

    put(backend, watch(backend).updated(channels=(Channel("webhook", "https://hooks.example.com/x", generation=1),)))
    (delivery,) = announce(finished(backend).id, backend)
    carry([delivery], replace(backend, signing_key=no_key))
    (after,) = deliveries(backend)
    assert (after.state, after.attempts[-1].outcome) == ("due", "refused: REVISIT_SIGNING_KEY is not set")


@pytest.mark.parametrize("changes", [
    {"state": "skipped", "reason": "cloud"}, {"state": "failed", "reason": "no"}, {"state": "extracted"}, {"subscription": ""},
], ids=str)
def test_only_a_job_that_is_done_for_a_subscription_becomes_an_alert(backend, push, changes):
    watch(backend, "alerts")
    assert push(JobFinished(finished(backend, **changes).id)) == 200
    assert not alerts(backend) and not deliveries(backend)


@pytest.mark.parametrize("state", ["paused", "deleted"])
def test_a_subscription_that_is_not_active_gets_no_alert(backend, push, state):
    watch(backend, "alerts", state=state)
    assert push(JobFinished(finished(backend).id)) == 200
    assert not alerts(backend)


def test_a_job_that_finished_during_a_pause_can_be_announced_after_it(backend, push):
    paused = watch(backend, "alerts", state="paused")
    event = JobFinished(finished(backend).id)
    push(event)
    put(backend, paused.updated(state="active"))
    push(event)
    push(event)
    assert [alert.number for alert in alerts(backend)] == [1]


def test_a_job_nobody_knows_is_put_aside(backend, push):
    assert push(JobFinished("job_lost")) == 200
    from revisit.bookkeeping import DeadLetter

    assert "job_lost" in backend.records.find(DeadLetter)[0].reason


def test_an_alert_of_the_past_says_so(backend, push):
    watch(backend, "alerts")
    push(JobFinished(finished(backend, lane="backfill").id, "backfill"))
    (line,) = lines(backend)
    assert line["data"]["backfill"] is True and alerts(backend)[0].backfill


def test_a_repeated_event_changes_nothing_and_sends_nothing(backend, push, allow):
    with receiver() as told:
        allow(told)
        watch(backend, told, "alerts")
        event = JobFinished(finished(backend).id)
        for attempt in range(1, 6):
            assert push(event, attempt) == 200
        assert len(told.requests) == len(lines(backend)) == len(alerts(backend)) == 1


def test_a_reprocessed_product_alerts_once(backend, push):
    watch(backend, "alerts")
    first = finished(backend)
    again = first.updated(id="job_again", product=Product(**{**fields_of(first.product), "id": first.product.id.replace("N0510", "N0511")}))
    put(backend, again)
    push(JobFinished(first.id))
    push(JobFinished(again.id))
    assert [alert.job for alert in alerts(backend)] == [first.id]


def fields_of(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_numbers_run_without_a_gap_though_jobs_finish_at_once(backend):
    watch(backend, "alerts")
    jobs = [finished(backend, number).id for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda job: announce(job, backend), jobs * 2))
    assert [alert.number for alert in alerts(backend)] == list(range(1, 25))
    assert the_subscription(backend).alerts == 24 and len(deliveries(backend)) == 24


def test_a_thousand_races_of_delete_and_alert_leave_no_late_alert(backend, allow):
    with receiver() as told, ThreadPoolExecutor(2) as pool:
        allow(told)
        ends = []
        for number in range(1000):
            name = f"sub_{number}"
            watch(backend, told, id=name)
            job, start = finished(backend, number, name), threading.Barrier(2)

            def ending(name=name, start=start):
                start.wait()
                return delete(backend, name).alerts, len(told.requests)

            def alerting(job=job, start=start):
                start.wait()
                carry(announce(job.id, backend), backend)

            gone, alerted = pool.submit(ending), pool.submit(alerting)
            alerted.result()
            known, sent = gone.result()
            assert len(alerts(backend, name)) == known, "an alert was written after the delete was answered"
            assert len(told.requests) - sent <= 1, "more than the one post that was under way"
            ends.append(known)
        assert set(ends) == {0, 1}, "the races went one way only"
        carry(due(backend), backend)
        assert not deliveries(backend, state="due")


def test_a_delivery_that_waits_ends_with_its_subscription(backend, push, tick, allow):
    with receiver(answer(500)) as told:
        allow(told)
        watch(backend, told)
        push(JobFinished(finished(backend).id))
        delete(backend, "sub_1")
        tick(NOW + timedelta(minutes=1))
        assert len(told.requests) == 1
    (delivery,) = deliveries(backend)
    assert (delivery.state, delivery.attempts[-1].outcome) == ("failed", "not sent: the subscription is deleted")


# ---------------------------------------------------------------------------------------------------------------------- the schedule


def test_ten_attempts_are_made_at_the_times_of_the_schedule(backend, push, tick, clock, allow):
    with receiver(answer(500)) as told:
        allow(told)
        watch(backend, told)
        push(JobFinished(finished(backend).id))
        while next_due := deliveries(backend)[0].due:
            tick(next_due - timedelta(seconds=1))
            seen = len(told.requests)
            tick(next_due)
            assert len(told.requests) == seen + 1
        tick(clock[-1] + timedelta(days=30))
        assert len(told.requests) == 10 and len(set(ids(told))) == 1
    (delivery,) = deliveries(backend)
    times = [attempt.at for attempt in delivery.attempts]
    assert delivery.state == "failed" and times[0] == NOW
    for (before, then), hours in zip(pairwise(times), HOURS[1:], strict=True):
        assert 0.8 * hours <= (then - before).total_seconds() / 3600 <= 1.2 * hours
    assert 0.8 * 75.58 <= (times[-1] - NOW).total_seconds() / 3600 <= 1.2 * 75.59


def test_the_jitter_spreads_over_a_fifth_and_is_the_same_after_a_crash():
    waits = [wait_before(f"delivery_{number}", 4) / timedelta(minutes=30) for number in range(2000)]
    assert waits == [wait_before(f"delivery_{number}", 4) / timedelta(minutes=30) for number in range(2000)]
    assert 0.8 <= min(waits) < 0.81 and 1.19 < max(waits) <= 1.2 and abs(sum(waits) / 2000 - 1) < 0.01
    assert wait_before("delivery_1", 1) == timedelta(0)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu"])
def test_the_schedule_and_the_signature_know_no_zone(backend, allow, clock, zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        clock.append(datetime(2024, 3, 10, 6, 59, 58, tzinfo=UTC))  # New York leaps forward two seconds later
        with receiver(answer(500)) as told:
            allow(told)
            watch(backend, told)
            (delivery,) = announce(finished(backend).id, backend)
            carry([delivery], backend)
            (headers, body), = told.requests
        wait = deliveries(backend)[0].due - clock[-1]
        assert timedelta(seconds=4) <= wait <= timedelta(seconds=6)
        assert headers["webhook-timestamp"] == "1710053998"
        assert Webhook(SECRET).sign(delivery.id, clock[-1], body.decode()) == headers["webhook-signature"]
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=1), timedelta(days=-1)], ids=str)
def test_a_clock_that_jumps_loses_and_doubles_nothing(backend, push, tick, allow, jump):
    with receiver(answer(500), answer(200)) as told:
        allow(told)
        watch(backend, told)
        push(JobFinished(finished(backend).id))
        tick(NOW + jump)
        tick(NOW + jump + timedelta(seconds=30))
        tick(NOW + timedelta(seconds=30))
        tick(NOW + timedelta(days=2))
        assert len(told.requests) == 2
    assert deliveries(backend)[0].state == "delivered" and len(alerts(backend)) == 1


@pytest.mark.parametrize(("asked", "waits"), [
    ("3600", 3600), ("999999", 86_400), ("Thu, 29 Feb 2024 00:30:00 GMT", 7200), ("1", 5), ("rubbish", 5),
])
@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_time_gets_it(backend, push, allow, status, asked, waits):
    with receiver(answer(status, Retry_After=asked)) as told:
        allow(told)
        watch(backend, told)
        push(JobFinished(finished(backend).id))
    wait = (deliveries(backend)[0].due - NOW).total_seconds()
    assert wait == waits if waits > 5 else 4 <= wait <= 6


@pytest.mark.parametrize("act", [answer(500), answer(302, Location="/"), reset, hang, answer(404)],
                         ids=["500", "redirect", "reset", "hang", "404"])
def test_every_failure_is_tried_again(backend, allow, act, clock):
    with receiver(act, answer(200)) as told:
        allow(told)
        watch(backend, told)
        carry(announce(finished(backend).id, backend), backend, Outside(seconds=0.3))
        (delivery,) = deliveries(backend)
        assert delivery.state == "due" and len(delivery.attempts) == 1
        clock.append(delivery.due)
        carry(due(backend), backend)
    (delivery,) = deliveries(backend)
    assert delivery.state == "delivered" and len(set(ids(told))) == 1


# ----------------------------------------------------------------------------------------------------------- what a receiver can bear


def test_a_receiver_that_is_gone_is_disabled_and_the_others_are_not(backend, push, allow):
    with receiver(answer(410)) as gone, receiver() as told:
        allow(gone, told)
        watch(backend, gone, told, "alerts")
        push(JobFinished(finished(backend, 1).id))
        push(JobFinished(finished(backend, 2).id))
        assert (gone.connections, told.connections, len(lines(backend))) == (1, 2, 2)
    states = [(channel.state, channel.reason) for channel in the_subscription(backend).channels]
    assert states == [("disabled", "the receiver answered 410 Gone at 2024-02-28T22:30:00Z"), ("live", ""), ("live", "")]
    assert [delivery.state for delivery in deliveries(backend, alert=alerts(backend)[0].id)].count("failed") == 1


def test_a_channel_that_failed_for_five_days_is_disabled_with_its_reason(backend, push, tick, clock, allow):
    with receiver(answer(500)) as told:
        allow(told)
        watch(backend, told, "alerts")
        day = 0
        while the_subscription(backend).channels[0].state == "live":
            assert day < 12
            push(JobFinished(finished(backend, day).id))
            for hour in range(24):
                tick(NOW + timedelta(days=day, hours=hour))
            day += 1
        ended, seen = clock[-1] - NOW, len(told.requests)
        push(JobFinished(finished(backend, 20).id))
        tick(clock[-1] + timedelta(days=3))
        assert len(told.requests) == seen
    assert timedelta(days=5) <= ended <= timedelta(days=6.5)
    channel, file = the_subscription(backend).channels
    assert channel.reason.startswith("every delivery failed since 2024-02-28T22:30:00Z, the last one with '500'")
    assert file.state == "live" and len(lines(backend)) == day + 1
    assert not deliveries(backend, state="due")
    assert "not sent: the channel is disabled" in deliveries(backend, state="failed")[-1].attempts[-1].outcome


def test_a_channel_that_was_mended_in_between_is_not_disabled(backend, push, tick, allow):
    with receiver(*[answer(500)] * 3, answer(200), answer(500)) as told:
        allow(told)
        watch(backend, told)
        push(JobFinished(finished(backend, 1).id))
        for hour in range(3):
            tick(NOW + timedelta(hours=hour + 1))
        assert deliveries(backend)[0].state == "delivered"
        tick(NOW + timedelta(days=4))
        push(JobFinished(finished(backend, 2).id))
        for hour in range(24 * 4):
            tick(NOW + timedelta(days=4, hours=hour))
    assert deliveries(backend)[1].state == "failed"
    assert the_subscription(backend).channels[0].state == "live"


def test_after_ten_failures_in_a_row_a_host_is_probed_every_five_minutes(backend, push, tick, clock, allow):
    with receiver(answer(500)) as told:
        allow(told)
        watch(backend, told)
        for number in range(12):
            announce(finished(backend, number).id, backend)
        tick()
        # Of 4 side by side, 3 may be under way when the tenth fails.
        assert 10 <= len(told.requests) <= 13
        opened = len(told.requests)
        for second in range(5, 1800, 5):
            tick(NOW + timedelta(seconds=second))
        assert len(told.requests) - opened == 5
        told.script[:] = [answer(200)]
        tick(NOW + timedelta(seconds=1800))
        assert len(deliveries(backend, state="delivered")) >= 1
        for hours in range(1, 9):
            tick(NOW + timedelta(hours=hours))
    assert len(deliveries(backend, state="delivered")) == 12
    assert not backend.records.find(Receiver)


def test_a_failing_host_is_left_to_the_tick_so_that_no_handler_waits_for_it(backend, push, tick, allow):
    with receiver(answer(500), answer(200)) as told:
        allow(told)
        watch(backend, told)
        push(JobFinished(finished(backend, 1).id))
        push(JobFinished(finished(backend, 2).id))
        assert told.connections == 1
        tick()
        assert told.connections == 2
    assert [delivery.state for delivery in deliveries(backend)].count("delivered") == 1


def test_at_most_four_posts_are_under_way_at_one_host_whoever_carries(backend, allow, monkeypatch):
    monkeypatch.setattr(delivering, "GATE_SECONDS", 30)
    with receiver(after(0.05, answer(200))) as told:
        allow(told)
        watch(backend, told)
        waiting = [announce(finished(backend, number).id, backend)[0] for number in range(24)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda part: carry(part, backend), (waiting[:8], waiting[8:16], waiting[16:])))
        assert told.most == 4 and told.connections == 24


def test_a_slow_host_delays_no_other(backend, allow):
    reached = threading.Event()

    def wait_for_the_others(connection, told):
        answer(200 if reached.wait(10) else 500)(connection, told)

    def tell_when_all_came(connection, told):
        answer(200)(connection, told)
        if len(told.requests) == 12:
            reached.set()

    with receiver(wait_for_the_others) as slow, receiver(tell_when_all_came) as fast:
        allow(slow, fast)
        watch(backend, slow, fast)
        waiting = [each for number in range(12) for each in announce(finished(backend, number).id, backend)]
        carry(waiting, backend)
        assert len(fast.requests) == len(slow.requests) == 12
    assert {delivery.state for delivery in deliveries(backend)} == {"delivered"}


def test_in_the_suite_receivers_that_hang_hold_up_no_other(tmp_path, allow):
    from revisit.embedded.suite import Suite

    with receiver(hang) as slow, receiver() as fast, Suite(tmp_path / "data", port=0, workers=0) as suite:
        allow(slow, fast)
        for name, told in (("sub_slow", slow), ("sub_fast", fast)):
            watch(suite.backend, told, id=name)
            for number in range(4):
                job = finished(suite.backend, number, name)
                suite.backend.commit(lambda commit, job=job: commit.emit(JobFinished(job.id)), last=False)
        while len(fast.requests) < 4:
            time.sleep(0.01)
        assert 1 <= slow.here <= 4 and slow.most <= 4
        slow.over.set()
    assert [alert.number for alert in alerts(suite.backend, "sub_fast")] == [1, 2, 3, 4]


# -------------------------------------------------------------------------------------------------------------- crashes and carriers


def test_what_a_crash_left_between_commit_and_send_is_carried_by_the_tick(backend, tick, allow):
    with receiver() as told:
        allow(told)
        watch(backend, told, "alerts")
        assert len(announce(finished(backend).id, backend)) == 2
        assert not told.requests
        tick()
        tick()
        assert len(told.requests) == len(lines(backend)) == 1
    assert {delivery.state for delivery in deliveries(backend)} == {"delivered"}


def test_what_a_crash_left_between_send_and_record_is_sent_again_under_the_same_id(backend, tick, allow):
    with receiver() as told:
        allow(told)
        watch(backend, told, "alerts")
        for delivery in announce(finished(backend).id, backend):
            delivering.send(claim(delivery.id, backend), backend, Outside())
        tick(NOW + timedelta(seconds=59))
        assert len(told.requests) == 1
        tick(NOW + timedelta(seconds=60))
        tick(NOW + timedelta(seconds=300))
        assert len(told.requests) == 2 and len(set(ids(told))) == 1
        assert told.requests[0][1] == told.requests[1][1]
    first, second = lines(backend)
    assert first == second


CARRIER = """
import sys
from pathlib import Path
from revisit.delivering import announce, carry
from revisit.local.backend import local_backend
backend = local_backend(Path(sys.argv[1]))
carry(announce(sys.argv[2], backend), backend)
"""


def test_a_carrier_killed_while_it_posts_is_followed_by_the_tick(tmp_path, allow):
    now = [datetime.now(UTC)]
    backend = local_backend(tmp_path / "data", (), lambda: now[-1])
    with receiver(hang, answer(200)) as told:
        allow(told)
        watch(backend, told)
        job = finished(backend)
        carrier = subprocess.Popen([sys.executable, "-c", CARRIER, str(tmp_path / "data"), job.id])
        while not told.requests:
            assert carrier.poll() is None
            time.sleep(0.01)
        carrier.kill()
        carrier.wait()
        (waiting,) = deliveries(backend)
        assert (waiting.state, waiting.claim, waiting.attempts) == ("due", 1, ())
        now.append(waiting.due)
        carry(due(backend), backend)
        assert len(told.requests) == 2 and set(ids(told)) == {waiting.id}
    assert deliveries(backend)[0].state == "delivered" and len(alerts(backend)) == 1


def test_of_two_carriers_at_once_one_sends(backend, allow):
    with receiver(after(0.05, answer(200))) as told:
        allow(told)
        watch(backend, told)
        waiting = [announce(finished(backend, number).id, backend)[0] for number in range(8)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: carry(waiting, backend), range(4)))
        assert told.connections == len(set(ids(told))) == 8


def test_the_record_of_an_overtaken_claim_changes_nothing(backend, clock):
    watch(backend, "alerts")
    (delivery,) = announce(finished(backend).id, backend)
    slow = claim(delivery.id, backend)
    assert claim(delivery.id, backend) is None
    clock.append(NOW + timedelta(seconds=61))
    quick = claim(delivery.id, backend)
    assert record(slow, Answer("500", 500), backend) is None
    assert record(quick, Answer("200", 200), backend).state == "delivered"
    assert record(slow, Answer("410", 410), backend) is None
    (now,) = deliveries(backend)
    assert [attempt.outcome for attempt in now.attempts] == ["200"] and the_subscription(backend).channels[0].state == "live"


# ------------------------------------------------------------------------------------------------------------------- where never to


def test_a_webhook_to_this_computer_that_nobody_allowed_is_not_sent(backend, push, monkeypatch):
    monkeypatch.delenv(ALLOW, raising=False)
    with receiver() as told:
        watch(backend, told)
        push(JobFinished(finished(backend).id))
        assert told.connections == 0
    (attempt,) = deliveries(backend)[0].attempts
    assert attempt.outcome.startswith("refused: webhook 'http://127.0.0.1:") and ALLOW in attempt.outcome


def test_a_name_that_turns_inward_is_checked_at_every_attempt(backend, clock, monkeypatch):
    monkeypatch.delenv(ALLOW, raising=False)
    watch(backend, channels=(Channel("webhook", "https://rebinding.example.com/", SECRET),))
    inward = Outside(resolver=lambda host, port: ["127.0.0.1"])
    carry(announce(finished(backend).id, backend), backend, inward)
    clock.append(NOW + timedelta(seconds=10))
    carry(due(backend), backend, inward)
    assert [attempt.outcome for attempt in deliveries(backend)[0].attempts] == [
        "refused: rebinding.example.com is at 127.0.0.1, which is not a public address; nothing was sent"] * 2


# ----------------------------------------------------------------------------------------------------------------------- the file


def lines(backend, name="alerts"):
    return [json.loads(line) for line in (backend.channels / f"{name}.jsonl").read_text().splitlines()]


def test_a_file_channel_appends_one_line_an_alert(backend, push):
    watch(backend, "alerts", "more.jsonl")
    for number in range(3):
        push(JobFinished(finished(backend, number).id))
    assert [line["data"]["number"] for line in lines(backend)] == [1, 2, 3]
    assert lines(backend) == lines(backend, "more")
    assert [line["id"] for line in lines(backend)] == [alert.id for alert in alerts(backend)]


def test_what_is_sent_links_to_the_server_that_sends_it(backend):
    watch(backend, "alerts")
    made = finished(backend)
    carry(announce(made.id, backend), replace(backend, base_url="http://127.0.0.1:9/"))
    assert lines(backend)[0]["data"]["item"] == f"http://127.0.0.1:9/results/{made.id}"


def test_a_line_cut_short_by_a_crash_spoils_no_other(backend, push):
    watch(backend, "alerts")
    backend.channels.mkdir()
    (backend.channels / "alerts.jsonl").write_text('{"id": "alert_cut')
    push(JobFinished(finished(backend).id))
    assert (backend.channels / "alerts.jsonl").read_text().splitlines()[1:] == [json.dumps(json.loads(
        (backend.channels / "alerts.jsonl").read_text().splitlines()[1]), separators=(",", ":"), ensure_ascii=False)]


def test_a_folder_that_cannot_be_written_now_is_tried_again(backend, push, tick):
    watch(backend, "alerts")
    backend.channels.write_text("in the way")
    push(JobFinished(finished(backend).id))
    assert deliveries(backend)[0].attempts[0].outcome.startswith("not written: ")
    backend.channels.unlink()
    tick(NOW + timedelta(seconds=7))
    assert len(lines(backend)) == 1


@pytest.mark.parametrize("name", ["../alerts", "/etc/passwd", "a/b", "", ".hidden", "a\x00b", "a" * 200])
def test_a_file_channel_lies_among_the_channels(backend, name):
    watch(backend, channels=(Channel("file", name),))
    carry(announce(finished(backend).id, backend), backend)
    assert deliveries(backend)[0].attempts[0].outcome.startswith("refused: ")
    assert not backend.channels.exists()


def test_a_file_channel_follows_no_link(backend, tmp_path):
    watch(backend, "alerts")
    backend.channels.mkdir()
    (backend.channels / "alerts.jsonl").symlink_to(tmp_path / "elsewhere")
    carry(announce(finished(backend).id, backend), backend)
    assert deliveries(backend)[0].attempts[0].outcome.startswith("not written") and not (tmp_path / "elsewhere").exists()


def test_without_a_disk_a_file_channel_says_so(backend):
    from dataclasses import replace

    watch(backend, "alerts")
    diskless = replace(backend, channels=None)
    carry(announce(finished(backend).id, diskless), diskless)
    assert "no disk" in deliveries(backend)[0].attempts[0].outcome


# ---------------------------------------------------------------------------------------------------------------------- once more


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
