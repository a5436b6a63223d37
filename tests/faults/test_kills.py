"""Workers are killed at any moment: no alert is lost, none is written twice."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from faults.checker import check_data_folder, run_with_kills
from faults.event_handlers import HISTORY_FILE, deliver, pair_job_id
from faults.processes import start
from figures import figure
from revisit.adapters.local import sqlite
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.domain.alert import Alert
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Subscription
from revisit.errors import TransientError
from revisit.ports.cloudevents import decode
from samples import envelope, subscription


def test_of_2000_events_told_2600_times_to_workers_that_are_killed_none_is_lost_or_doubled(memory_folder):
    verdict = run_with_kills(memory_folder / "data", events=2000, duplicates=0.3, send_duration_s=6)
    figure(
        "F1 quick",
        f"{verdict.events} events told {verdict.sent} times, {verdict.kills} kills, {verdict.lost} lost, {verdict.doubled} doubled",
    )
    assert verdict.clean, verdict
    assert verdict.sent == 2600 and verdict.kills >= 20


def test_the_judge_finds_the_faults_of_a_handler_that_commits_three_times(memory_folder):
    for seed in range(5):
        verdict = run_with_kills(
            memory_folder / f"{seed}",
            "three commits",
            events=600,
            seed=seed,
            send_duration_s=1.5,
            kill_interval_ms=(3, 15),
        )
        if not verdict.clean:
            break
    figure(
        "F1 control (three commits, must fail)",
        f"{verdict.kills} kills, {verdict.lost} lost, {verdict.doubled} doubled",
    )
    assert verdict.lost or verdict.doubled


def test_the_judge_finds_what_is_missing_and_what_is_double(tmp_path):
    backend = local_backend(tmp_path)
    backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
    jobs = [pair_job_id("sub_0", name) for name in "ab"]
    assert check_data_folder(tmp_path, jobs).lost == 2
    for name in jobs:
        deliver(backend.with_cause(envelope(JobFinished(name)), "deliver"))
    queue = local_queue(backend)
    for message in queue.lease(["deliver"], 9):
        deliver(backend.with_cause(decode(message.body), "deliver"))
        queue.ack(message)
    assert check_data_folder(tmp_path, jobs).clean
    assert check_data_folder(tmp_path, jobs[:1]).faults == ["1 alerts nobody asked for"]
    (tmp_path / HISTORY_FILE).write_text("job.finished gone\njob.finished gone\n")
    assert (
        check_data_folder(tmp_path, jobs).doubled == 1
        and "are gone" in check_data_folder(tmp_path, jobs).faults[0]
    )


@pytest.mark.parametrize("turn", range(3))
def test_a_worker_that_slept_through_its_lease_changes_nothing_when_it_wakes(tmp_path, turn):
    backend = local_backend(tmp_path)
    queue = local_queue(backend)
    backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
    backend.records.transact(
        lambda transaction: transaction.send(envelope(JobFinished(pair_job_id("sub_0", "a"))))
    )
    with start("stall_with_lease", str(tmp_path), 0.2) as slow:
        wait_until_stopped(slow.pid)
        assert queue.wait(10, ["deliver"]), "its lease runs out although it lives"
        [message] = queue.lease(["deliver"])
        assert message.attempt == 2
        if turn:
            assert deliver(backend.with_cause(decode(message.body), "deliver"))
        if turn == 2:
            assert queue.ack(message)
        os.kill(slow.pid, signal.SIGCONT)
        committed, *answers = json.loads(slow.stdout.read())
    # Overtaken before the other one's commit, its own commit is as good as that; afterwards it is none.
    assert (committed is None) == bool(turn)
    assert answers == [False, False, False]
    assert backend.records.get(Subscription, "sub_0").alerts == len(backend.records.find(Alert)) == 1
    assert deliver(backend.with_cause(decode(message.body), "deliver")) is None


def test_a_worker_that_sleeps_within_a_transaction_makes_others_try_again_later(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 200)
    backend = local_backend(tmp_path)
    with start("stop_in_transaction", str(tmp_path)) as holder:
        wait_until_stopped(holder.pid)
        with pytest.raises(TransientError, match="is busy"):
            backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
        assert backend.records.get(Subscription, "sub_0") is None, "reading goes on"
        os.kill(holder.pid, signal.SIGCONT)
        assert json.loads(holder.stdout.read()) == "written"
    backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
    assert backend.records.count(Subscription) == 2


def wait_until_stopped(process: int) -> None:
    until = time.monotonic() + 30
    while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < until
        time.sleep(0.01)


def test_8_processes_that_make_one_data_folder_at_once_all_find_it_whole(memory_folder):
    processes = [start("count_up", str(memory_folder / "data"), 10) for _ in range(8)]
    assert [json.loads(process.communicate()[0]) for process in processes] == ["done"] * 8
    assert local_backend(memory_folder / "data").records.get(Subscription, "sub_0").alerts == 80
