"""What a receiver can bear, and where nothing is ever sent to."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from delivery_samples import (
    NOW,
    SECRET,
    add_finished_job,
    add_subscription,
    channel_lines,
    get_subscription,
    list_alerts,
    list_deliveries,
)
from revisit.chain import dispatch as dispatch_module
from revisit.chain.delivery_ledger import create_deliveries, due_deliveries
from revisit.chain.dispatch import Network, dispatch
from revisit.delivery.url_guard import ALLOW_VARIABLE
from revisit.domain.delivery import Receiver
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Channel
from webhook_receiver import answer, answer_after, hang, receiver


def test_a_receiver_that_is_gone_is_disabled_and_the_others_are_not(backend, push, allow):
    with receiver(answer(410)) as gone, receiver() as hook:
        allow(gone, hook)
        add_subscription(backend, gone, hook, "alerts")
        push(JobFinished(add_finished_job(backend, 1).id))
        push(JobFinished(add_finished_job(backend, 2).id))
        assert (gone.connections, hook.connections, len(channel_lines(backend))) == (1, 2, 2)
    states = [(channel.state, channel.reason) for channel in get_subscription(backend).channels]
    assert states == [
        ("disabled", "the receiver answered 410 Gone at 2024-02-28T22:30:00Z"),
        ("live", ""),
        ("live", ""),
    ]
    assert [delivery.state for delivery in list_deliveries(backend, alert=list_alerts(backend)[0].id)].count(
        "failed"
    ) == 1


def test_a_channel_that_failed_for_five_days_is_disabled_with_its_reason(backend, push, tick, clock, allow):
    with receiver(answer(500)) as hook:
        allow(hook)
        add_subscription(backend, hook, "alerts")
        day = 0
        while get_subscription(backend).channels[0].state == "live":
            assert day < 12
            push(JobFinished(add_finished_job(backend, day).id))
            for hour in range(24):
                tick(NOW + timedelta(days=day, hours=hour))
            day += 1
        ended, seen = clock[-1] - NOW, len(hook.requests)
        push(JobFinished(add_finished_job(backend, 20).id))
        tick(clock[-1] + timedelta(days=3))
        assert len(hook.requests) == seen
    assert timedelta(days=5) <= ended <= timedelta(days=6.5)
    channel, file = get_subscription(backend).channels
    assert channel.reason.startswith(
        "every delivery failed since 2024-02-28T22:30:00Z, the last one with '500'"
    )
    assert file.state == "live" and len(channel_lines(backend)) == day + 1
    assert not list_deliveries(backend, state="due")
    assert (
        "not sent: the channel is disabled"
        in list_deliveries(backend, state="failed")[-1].attempts[-1].outcome
    )


def test_a_channel_repaired_in_between_is_not_disabled(backend, push, tick, allow):
    with receiver(*[answer(500)] * 3, answer(200), answer(500)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        push(JobFinished(add_finished_job(backend, 1).id))
        for hour in range(3):
            tick(NOW + timedelta(hours=hour + 1))
        assert list_deliveries(backend)[0].state == "delivered"
        tick(NOW + timedelta(days=4))
        push(JobFinished(add_finished_job(backend, 2).id))
        for hour in range(24 * 4):
            tick(NOW + timedelta(days=4, hours=hour))
    assert list_deliveries(backend)[1].state == "failed"
    assert get_subscription(backend).channels[0].state == "live"


def test_after_ten_failures_in_a_row_a_host_is_probed_every_five_minutes(backend, push, tick, clock, allow):
    with receiver(answer(500)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        for number in range(12):
            create_deliveries(add_finished_job(backend, number).id, backend)
        tick()
        # Of 4 side by side, 3 may be under way when the tenth fails.
        assert 10 <= len(hook.requests) <= 13
        opened = len(hook.requests)
        for second in range(5, 1800, 5):
            tick(NOW + timedelta(seconds=second))
        assert len(hook.requests) - opened == 5
        hook.script[:] = [answer(200)]
        tick(NOW + timedelta(seconds=1800))
        assert len(list_deliveries(backend, state="delivered")) >= 1
        for hours in range(1, 9):
            tick(NOW + timedelta(hours=hours))
    assert len(list_deliveries(backend, state="delivered")) == 12
    assert not backend.records.find(Receiver)


def test_a_failing_host_is_left_to_the_tick_so_that_no_handler_waits_for_it(backend, push, tick, allow):
    with receiver(answer(500), answer(200)) as hook:
        allow(hook)
        add_subscription(backend, hook)
        push(JobFinished(add_finished_job(backend, 1).id))
        push(JobFinished(add_finished_job(backend, 2).id))
        assert hook.connections == 1
        tick()
        assert hook.connections == 2
    assert [delivery.state for delivery in list_deliveries(backend)].count("delivered") == 1


def test_at_most_four_posts_run_per_host_in_all_dispatchers(backend, allow, monkeypatch):
    monkeypatch.setattr(dispatch_module, "HOST_SLOT_TIMEOUT_S", 30)
    with receiver(answer_after(0.05, answer(200))) as hook:
        allow(hook)
        add_subscription(backend, hook)
        waiting = [
            create_deliveries(add_finished_job(backend, number).id, backend)[0] for number in range(24)
        ]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda part: dispatch(part, backend), (waiting[:8], waiting[8:16], waiting[16:])))
        assert hook.max_waiting == 4 and hook.connections == 24


def test_a_slow_host_delays_no_other(backend, allow):
    reached = threading.Event()

    def wait_for_the_others(connection, hook):
        answer(200 if reached.wait(10) else 500)(connection, hook)

    def tell_when_all_came(connection, hook):
        answer(200)(connection, hook)
        if len(hook.requests) == 12:
            reached.set()

    with receiver(wait_for_the_others) as slow, receiver(tell_when_all_came) as fast:
        allow(slow, fast)
        add_subscription(backend, slow, fast)
        waiting = [
            each
            for number in range(12)
            for each in create_deliveries(add_finished_job(backend, number).id, backend)
        ]
        dispatch(waiting, backend)
        assert len(fast.requests) == len(slow.requests) == 12
    assert {delivery.state for delivery in list_deliveries(backend)} == {"delivered"}


def test_in_the_suite_receivers_that_hang_hold_up_no_other(tmp_path, allow):
    from revisit.embedded.server import EmbeddedServer

    with (
        receiver(hang) as slow,
        receiver() as fast,
        EmbeddedServer(tmp_path / "data", port=0, workers=0) as suite,
    ):
        allow(slow, fast)
        for name, hook in (("sub_slow", slow), ("sub_fast", fast)):
            add_subscription(suite.backend, hook, id=name)
            for number in range(4):
                job = add_finished_job(suite.backend, number, name)
                suite.backend.commit(
                    lambda commit, job=job: commit.emit(JobFinished(job.id)), completes_event=False
                )
        while len(fast.requests) < 4:
            time.sleep(0.01)
        assert 1 <= slow.waiting_now <= 4 and slow.max_waiting <= 4
        slow.stopped.set()
    assert [alert.number for alert in list_alerts(suite.backend, "sub_fast")] == [1, 2, 3, 4]


def test_a_webhook_to_this_computer_that_nobody_allowed_is_not_sent(backend, push, monkeypatch):
    monkeypatch.delenv(ALLOW_VARIABLE, raising=False)
    with receiver() as hook:
        add_subscription(backend, hook)
        push(JobFinished(add_finished_job(backend).id))
        assert hook.connections == 0
    (attempt,) = list_deliveries(backend)[0].attempts
    assert (
        attempt.outcome.startswith("refused: webhook 'http://127.0.0.1:")
        and ALLOW_VARIABLE in attempt.outcome
    )


def test_a_name_that_turns_inward_is_checked_at_every_attempt(backend, clock, monkeypatch):
    monkeypatch.delenv(ALLOW_VARIABLE, raising=False)
    add_subscription(backend, channels=(Channel("webhook", "https://rebinding.example.com/", SECRET),))
    inward = Network(resolver=lambda host, port: ["127.0.0.1"])
    dispatch(create_deliveries(add_finished_job(backend).id, backend), backend, inward)
    clock.append(NOW + timedelta(seconds=10))
    dispatch(due_deliveries(backend), backend, inward)
    assert [attempt.outcome for attempt in list_deliveries(backend)[0].attempts] == [
        "refused: rebinding.example.com is at 127.0.0.1, which is not a public address; nothing was sent"
    ] * 2
