"""The function `deliver`, through its real main.py on the local backend: what becomes an alert, and once."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from backends import with_settings
from delivery_samples import (
    NOW,
    SECRET,
    add_finished_job,
    add_subscription,
    channel_lines,
    delete_subscription,
    get_subscription,
    list_alerts,
    list_deliveries,
    put_records,
    webhook_ids,
)
from revisit.adapters.local.backend import local_backend
from revisit.chain.delivery_ledger import create_deliveries, due_deliveries
from revisit.chain.dispatch import dispatch
from revisit.delivery.url_guard import ALLOW_VARIABLE
from revisit.domain.delivery import Receiver
from revisit.domain.events import JobFinished
from revisit.domain.product import Product
from revisit.domain.subscription import Channel
from revisit.errors import PermanentError
from revisit.services.subscriptions.update import rotate_secret, webhook_secrets
from webhook_receiver import answer, receiver


def test_a_finished_job_becomes_an_alert_that_the_receiver_can_verify(backend, push, allow):
    with receiver() as hook:
        allow(hook)
        add_subscription(backend, hook)
        job = add_finished_job(backend)
        assert push(JobFinished(job.id)) == 200
        ((headers, body),) = hook.requests
    (alert,), (delivery,) = list_alerts(backend), list_deliveries(backend)
    assert (alert.number, alert.job, alert.backfill, get_subscription(backend).alerts) == (
        1,
        job.id,
        False,
        1,
    )
    assert (delivery.state, delivery.due, [attempt.outcome for attempt in delivery.attempts]) == (
        "delivered",
        None,
        ["200"],
    )
    # The virtual clock is years ago, so the library's verdict on age is left out: the signature is checked
    # over the header's time.
    assert Webhook(SECRET).sign(headers["webhook-id"], NOW, body.decode()) == headers["webhook-signature"]
    read = json.loads(body)
    assert (read["id"], read["data"]["number"], read["data"]["clear_fraction"]) == (alert.id, 1, 0.75)
    assert not backend.records.find(Receiver)


def test_a_webhook_verifies_by_the_library_at_the_real_time(tmp_path, monkeypatch):
    backend = local_backend(tmp_path / "now")
    with receiver(answer(500), answer(200)) as hook:
        monkeypatch.setenv(ALLOW_VARIABLE, hook.host_and_port)
        add_subscription(backend, hook)
        (delivery,) = create_deliveries(add_finished_job(backend).id, backend)
        dispatch([delivery], backend)
        later = local_backend(tmp_path / "now", (), lambda: datetime.now(UTC) + timedelta(seconds=10))
        dispatch(due_deliveries(later), later)
        read = [Webhook(SECRET).verify(body, headers) for headers, body in hook.requests]
    assert read[0] == read[1] and len(set(webhook_ids(hook))) == 1


def test_a_receiver_verifies_by_either_secret_while_one_replaces_the_other_and_then_by_the_new_one(
    backend, clock, push, allow
):
    with receiver() as hook:
        allow(hook)
        subscription = add_subscription(backend)
        put_records(
            backend, subscription.with_changes(channels=(Channel("webhook", hook.url, generation=1),))
        )
        shown_secrets = [
            webhook_secrets(backend, get_subscription(backend)),
            webhook_secrets(backend, rotate_secret(backend, "sub_1", hook.url)[0]),
        ]
        for number, hours in ((1, 0), (2, 23), (3, 25)):
            clock.append(NOW + timedelta(hours=hours))
            assert push(JobFinished(add_finished_job(backend, number).id)) == 200
        sent = list(hook.requests)
    (old,), (new,) = (secrets.values() for secrets in shown_secrets)
    holds = [
        [
            Webhook(secret).sign(
                headers["webhook-id"],
                datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC),
                body.decode(),
            )
            in headers["webhook-signature"].split()
            for secret in (old, new)
        ]
        for headers, body in sent
    ]
    assert holds == [[True, True], [True, True], [False, True]]


def test_a_delivery_that_cannot_be_signed_waits_and_is_no_failure_of_its_receiver(backend, clock, caplog):
    def no_key():
        raise PermanentError("REVISIT_SIGNING_KEY is not set")

    put_records(
        backend,
        add_subscription(backend).with_changes(
            channels=(Channel("webhook", "https://hooks.example.com/x", generation=1),)
        ),
    )
    (delivery,) = create_deliveries(add_finished_job(backend).id, backend)
    dispatch([delivery], with_settings(backend, webhook_key=no_key))
    (after,) = list_deliveries(backend)
    assert (after.state, after.attempts) == ("due", ()) and after.due > clock[-1]
    assert backend.records.find(Receiver) == []
    assert f"delivery {delivery.id} waits: REVISIT_SIGNING_KEY is not set" in caplog.text


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "skipped", "reason": "cloud"},
        {"state": "failed", "reason": "no"},
        {"state": "extracted"},
        {"subscription": ""},
    ],
    ids=str,
)
def test_only_a_job_that_is_done_for_a_subscription_becomes_an_alert(backend, push, changes):
    add_subscription(backend, "alerts")
    assert push(JobFinished(add_finished_job(backend, **changes).id)) == 200
    assert not list_alerts(backend) and not list_deliveries(backend)


@pytest.mark.parametrize("state", ["paused", "deleted"])
def test_a_subscription_that_is_not_active_gets_no_alert(backend, push, state):
    add_subscription(backend, "alerts", state=state)
    assert push(JobFinished(add_finished_job(backend).id)) == 200
    assert not list_alerts(backend)


def test_a_job_that_finished_during_a_pause_can_be_announced_after_it(backend, push):
    paused = add_subscription(backend, "alerts", state="paused")
    event = JobFinished(add_finished_job(backend).id)
    push(event)
    put_records(backend, paused.with_changes(state="active"))
    push(event)
    push(event)
    assert [alert.number for alert in list_alerts(backend)] == [1]


def test_an_unknown_job_is_dead_lettered(backend, push):
    assert push(JobFinished("job_lost")) == 200
    from revisit.ports.system_records import DeadLetter

    assert "job_lost" in backend.records.find(DeadLetter)[0].reason


def test_an_alert_of_the_past_says_so(backend, push):
    add_subscription(backend, "alerts")
    push(JobFinished(add_finished_job(backend, lane="backfill").id, "backfill"))
    (line,) = channel_lines(backend)
    assert line["data"]["backfill"] is True and list_alerts(backend)[0].backfill


def test_a_repeated_event_changes_nothing_and_sends_nothing(backend, push, allow):
    with receiver() as hook:
        allow(hook)
        add_subscription(backend, hook, "alerts")
        event = JobFinished(add_finished_job(backend).id)
        for attempt in range(1, 6):
            assert push(event, attempt) == 200
        assert len(hook.requests) == len(channel_lines(backend)) == len(list_alerts(backend)) == 1


def test_a_reprocessed_product_alerts_once(backend, push):
    add_subscription(backend, "alerts")
    first = add_finished_job(backend)
    again = first.with_changes(
        id="job_again",
        product=Product(**{**fields_of(first.product), "id": first.product.id.replace("N0510", "N0511")}),
    )
    put_records(backend, again)
    push(JobFinished(first.id))
    push(JobFinished(again.id))
    assert [alert.job for alert in list_alerts(backend)] == [first.id]


def fields_of(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_numbers_run_without_a_gap_though_jobs_finish_at_once(backend):
    add_subscription(backend, "alerts")
    jobs = [add_finished_job(backend, number).id for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda job: create_deliveries(job, backend), jobs * 2))
    assert [alert.number for alert in list_alerts(backend)] == list(range(1, 25))
    assert get_subscription(backend).alerts == 24 and len(list_deliveries(backend)) == 24


def test_a_thousand_races_of_delete_and_alert_leave_no_late_alert(backend, allow):
    with receiver() as hook, ThreadPoolExecutor(2) as pool:
        allow(hook)
        ends = []
        for number in range(1000):
            name = f"sub_{number}"
            add_subscription(backend, hook, id=name)
            job, start = add_finished_job(backend, number, name), threading.Barrier(2)

            def ending(name=name, start=start):
                start.wait()
                return delete_subscription(backend, name).alerts, len(hook.requests)

            def alerting(job=job, start=start):
                start.wait()
                dispatch(create_deliveries(job.id, backend), backend)

            gone, alerted = pool.submit(ending), pool.submit(alerting)
            alerted.result()
            known, sent = gone.result()
            assert len(list_alerts(backend, name)) == known, (
                "an alert was written after the delete was answered"
            )
            assert len(hook.requests) - sent <= 1, "more than the one post that was under way"
            ends.append(known)
        assert set(ends) == {0, 1}, "the races went one way only"
        dispatch(due_deliveries(backend), backend)
        assert not list_deliveries(backend, state="due")


def test_a_delivery_that_waits_ends_with_its_subscription(backend, push, tick, allow):
    with receiver(answer(500)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        push(JobFinished(add_finished_job(backend).id))
        delete_subscription(backend, "sub_1")
        tick(NOW + timedelta(minutes=1))
        assert len(hook.requests) == 1
    (delivery,) = list_deliveries(backend)
    assert (delivery.state, delivery.attempts[-1].outcome) == (
        "failed",
        "not sent: the subscription is deleted",
    )
