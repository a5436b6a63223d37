"""The function `deliver`, through its real main.py on the local backend: what becomes an alert, and once."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from alerting import NOW, SECRET, alerts, delete, deliveries, finished, ids, lines, put, the_subscription, watch
from receiver import answer, receiver
from revisit.adapters.local.backend import local_backend
from revisit.chain.dispatch import announce, carry, due
from revisit.delivery.url_guard import ALLOW
from revisit.domain.delivery import Receiver
from revisit.domain.events import JobFinished
from revisit.domain.product import Product
from revisit.domain.subscription import Channel
from revisit.errors import GiveUp
from revisit.services import rotate_secret, webhook_secrets


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


def test_a_delivery_that_cannot_be_signed_waits_and_is_no_failure_of_its_receiver(backend, clock, caplog):
    def no_key():
        raise GiveUp("REVISIT_SIGNING_KEY is not set")

    put(backend, watch(backend).updated(channels=(Channel("webhook", "https://hooks.example.com/x", generation=1),)))
    (delivery,) = announce(finished(backend).id, backend)
    carry([delivery], replace(backend, signing_key=no_key))
    (after,) = deliveries(backend)
    assert (after.state, after.attempts) == ("due", ()) and after.due > clock[-1]
    assert backend.records.find(Receiver) == []
    assert f"delivery {delivery.id} waits: REVISIT_SIGNING_KEY is not set" in caplog.text


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
    from revisit.ports.system_records import DeadLetter

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
