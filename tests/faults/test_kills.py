"""Workers are killed at any moment: no alert or delivery is lost, none is written twice."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from faults.checker import check_data_folder, run_with_kills
from faults.deliver_worker import HISTORY_FILE, finish, finished_job, handle_queued, push, watched
from faults.processes import start
from figures import figure
from revisit.adapters.local import sqlite
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.domain.alert import Alert
from revisit.domain.delivery import Delivery
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Subscription
from revisit.embedded.function_host import FunctionHost
from revisit.errors import TransientError
from samples import NOON, envelope, subscription


def test_of_2000_events_sent_2600_times_to_workers_that_are_killed_none_is_lost_or_doubled(memory_folder):
    verdict = run_with_kills(memory_folder / "data", events=2000, duplicates=0.3, send_duration_s=6)
    figure(
        "F1 quick",
        f"{verdict.events} events sent {verdict.sent} times, {verdict.kills} kills, {verdict.lost} lost, "
        f"{verdict.doubled} doubled, {verdict.sent_again} sent again",
    )
    assert verdict.clean, verdict
    assert verdict.sent == 2600 and verdict.kills >= 20
    # A killed worker leaves at most one line unrecorded; a tick dispatches four at a time.
    assert verdict.sent_again <= 4 * verdict.kills


def test_the_checker_finds_the_faults_of_records_that_commit_each_write_by_itself(memory_folder):
    for seed in range(5):
        verdict = run_with_kills(
            memory_folder / f"{seed}",
            "a commit per write",
            events=600,
            seed=seed,
            send_duration_s=1.5,
            kill_interval_ms=(3, 15),
            timeout_s=30,
        )
        if not verdict.clean:
            break
    figure(
        "F1 control (a commit per write, must fail)",
        f"{verdict.kills} kills, {verdict.lost} lost, {verdict.doubled} doubled",
    )
    assert verdict.lost or verdict.doubled


def test_the_checker_finds_what_is_missing_and_what_is_double(tmp_path):
    backend = local_backend(tmp_path, now=lambda: NOON)
    jobs = [finished_job("sub_0", name) for name in "ab"]
    backend.records.transact(
        lambda transaction: [transaction.put(record) for record in (watched("sub_0"), *jobs)]
    )
    assert check_data_folder(tmp_path, jobs).lost == 6, "alert, delivery and line of each"
    backend.records.transact(
        lambda transaction: [transaction.send(envelope(JobFinished(job.id))) for job in jobs]
    )
    handle_queued(tmp_path, now=lambda: NOON)
    verdict = check_data_folder(tmp_path, jobs)
    assert verdict.clean and not verdict.sent_again, verdict
    assert check_data_folder(tmp_path, jobs[:1]).faults == [
        "1 alerts without a job",
        "1 deliveries without an alert",
    ]
    file = tmp_path / "channels" / "sub_0.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines, lines[0]]))
    assert check_data_folder(tmp_path, jobs).sent_again == 1
    file.write_bytes(lines[0] + lines[0].replace(b'"number":1', b'"number":2'))
    verdict = check_data_folder(tmp_path, jobs)
    assert verdict.lost == 1 and "sent with different content" in verdict.faults[0]
    file.write_bytes(b"".join(lines))
    (tmp_path / HISTORY_FILE).write_text("alert gone\nalert gone\n")
    verdict = check_data_folder(tmp_path, jobs)
    assert verdict.doubled == 1 and "are gone" in verdict.faults[0]


@pytest.mark.parametrize("turn", range(3))
def test_a_worker_that_slept_through_its_lease_changes_nothing_when_it_wakes(tmp_path, turn):
    backend = local_backend(tmp_path)
    queue, host, job = local_queue(backend), FunctionHost(backend), finished_job("sub_0", "a")
    backend.records.transact(
        lambda transaction: (
            [transaction.put(record) for record in (watched("sub_0"), job)]
            + [transaction.send(envelope(JobFinished(job.id)))]
        )
    )
    with start("stall_with_lease", str(tmp_path), 0.2) as slow:
        wait_until_stopped(slow.pid)
        assert queue.wait(10, ["deliver"]), "its lease runs out although it lives"
        [message] = queue.lease(["deliver"])
        assert message.attempt == 2
        if turn:
            push(host, message)
        if turn == 2:
            assert queue.ack(message)
        os.kill(slow.pid, signal.SIGCONT)
        answers = json.loads(slow.stdout.read())
    # Overtaken before the other worker's commit, its own commit is as good as that; afterwards it is none.
    committed = (tmp_path / HISTORY_FILE).read_text().splitlines()
    assert [line.split()[0] for line in committed] == ([] if turn else ["alert", "delivery", "delivered"])
    assert answers == [False, False, False]
    push(host, message)
    assert backend.records.get(Subscription, "sub_0").alerts == backend.records.count(Alert) == 1
    assert backend.records.count(Delivery) == backend.records.count(Delivery, state="delivered") == 1
    if not turn:
        queue.ack(message)
    finish(tmp_path, backend.now())
    verdict = check_data_folder(tmp_path, [job])
    assert (verdict.lost, verdict.doubled, verdict.sent_again) == (0, 0, 0)


def test_a_worker_that_sleeps_within_a_transaction_makes_others_try_again_later(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 200)
    backend = local_backend(tmp_path)
    with start("stop_in_transaction", str(tmp_path)) as holder:
        wait_until_stopped(holder.pid)
        with pytest.raises(TransientError, match="is busy"):
            backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
        assert backend.records.get(Subscription, "sub_0") is None, "reads are not blocked"
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
