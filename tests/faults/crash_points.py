"""Crashes at a chosen place: at each step of the function `deliver`, and at each write to the disk."""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import functions_framework  # noqa: F401 - imported once here, not in every child
from flask import Flask  # noqa: F401

from faults.checker import check_data_folder
from faults.deliver_worker import OnStep, finish, finished_job, handle_queued, push, watched
from faults.faulty_vfs import KILLED_STATUS, CrashMode, FaultyDisk
from faults.processes import fork, wait
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.chain import dispatch, outbox_sweep  # noqa: F401
from revisit.chain.delivery_ledger import create_deliveries
from revisit.domain.events import JobFinished
from revisit.embedded.function_host import FunctionHost
from revisit.ports.backend import Backend
from revisit.ports.cloudevents import Envelope
from samples import NOON

PREPARED = "prepared"
JOB = finished_job("sub_0", "a")


def crash_at_each_point(folder: str) -> dict[str, Any]:
    """Crash after each step of the function, once each, then let another worker finish.

    Returns:
        The steps; what is wrong afterwards, by step; and the steps after which the alert was sent twice.
    """
    steps: list[str] = []
    counted = Path(folder) / "steps"
    data = _prepare_data(Path(folder), "counting")
    wait(fork(lambda: (_handle(data, steps.append), counted.write_text("\n".join(steps)))))
    report: dict[str, Any] = {"points": counted.read_text().splitlines(), "wrong": {}, "sent_twice": []}
    for number, name in enumerate(report["points"], 1):
        data = _prepare_data(Path(folder), f"{number}")
        _crash_and_finish(data, partial(_handle, data, _crash_at(number)), f"{number} {name}", report)
    return report


def crash_at_each_write(
    folder: str, mode: CrashMode, checkpoints: bool = False, durable: bool = True
) -> dict[str, Any]:
    """Crash at each write, sync and truncation of the database, once each, then let another worker finish.

    Args:
        folder: An empty one.
        mode: How the disk fails.
        checkpoints: Whether the log is carried over into the database after each commit, to crash in that
            too.
        durable: Whether commits are synced; the checker must find it out if they are not.

    Returns:
        As `crash_at_each_point`.
    """
    data, counted = _prepare_data(Path(folder), "counting"), Path(folder) / "operations"
    wait(
        fork(lambda: counted.write_text("\n".join(_handle_on_disk(FaultyDisk(), data, checkpoints, durable))))
    )
    report: dict[str, Any] = {"points": counted.read_text().splitlines(), "wrong": {}, "sent_twice": []}
    for number, name in enumerate(report["points"], 1):
        data = _prepare_data(Path(folder), f"{number}")
        _crash_and_finish(
            data,
            partial(_handle_on_disk, FaultyDisk(number, mode), data, checkpoints, durable),
            f"{number} {name}",
            report,
        )
    return report


def record_operations(folder: str) -> dict[str, Any]:
    """What a lease, a commit, the whole function and an acknowledgement do to the disk, once the log
    exists."""
    data = _prepare_data(Path(folder), "operations")
    disk = FaultyDisk().mount()
    backend = local_backend(data)
    queue, host = local_queue(backend), FunctionHost(backend)
    other = finished_job("sub_0", "b")
    backend.records.transact(lambda transaction: transaction.put(other))
    done = [len(disk.operations)]
    [message] = queue.lease(["deliver"])
    done.append(len(disk.operations))
    create_deliveries(other.id, backend)
    done.append(len(disk.operations))
    push(host, message)
    done.append(len(disk.operations))
    queue.ack(message)
    lease, commit, function, acknowledgement = (
        disk.operations[first:last] for first, last in zip(done, [*done[1:], None], strict=True)
    )
    return {
        "lease": lease,
        "commit": commit,
        "function": function,
        "acknowledgement": acknowledgement,
        "synchronous": backend.records._database.connection().execute("PRAGMA synchronous").get,
    }


def _handle(data: Path, on_step: OnStep) -> None:
    handle_queued(data, on_step, now=lambda: NOON)


def _crash_at(number: int) -> OnStep:
    """Ends the process at the step of that number, from 1."""
    passed: list[str] = []

    def on_step(step: str) -> None:
        passed.append(step)
        if len(passed) == number:
            os._exit(KILLED_STATUS)

    return on_step


def _handle_on_disk(disk: FaultyDisk, data: Path, checkpoints: bool, durable: bool) -> list[str]:
    disk.mount()

    def prepare(backend: Backend) -> None:
        database = backend.records._database
        if not durable:
            begin = database.transaction
            database.transaction = lambda durable=True: begin(durable=False)
        if checkpoints:
            connect = database.connection

            def connection() -> Any:
                # The function sends from threads of its own, and each has its connection.
                connected = connect()
                connected.execute("PRAGMA wal_autocheckpoint=1")
                return connected

            database.connection = connection

    handle_queued(data, prepare=prepare, now=lambda: NOON)
    return disk.operations


def _prepare_data(folder: Path, name: str) -> Path:
    """A data folder of that name with a subscription and the event of one job that finished."""

    def prepare() -> None:
        backend = local_backend(folder / PREPARED)
        backend.records.transact(
            lambda transaction: (
                transaction.put(watched(JOB.subscription)),
                transaction.put(JOB),
                transaction.send(Envelope(JobFinished(JOB.id), NOON)),
            )
        )
        backend.records._database.close()

    # In a child: SQLite forbids taking an open database across a fork.
    if not (folder / PREPARED).exists() and wait(fork(prepare)):
        raise RuntimeError("the data folder could not be prepared")
    return Path(shutil.copytree(folder / PREPARED, folder / name))


def _crash_and_finish(data: Path, crash: Callable[[], Any], name: str, report: dict[str, Any]) -> None:
    status = wait(fork(crash))
    verdict = data.parent / f"{data.name}.verdict"
    finished = wait(
        fork(
            lambda: (
                finish(data, NOON),
                verdict.write_text(json.dumps(vars(check_data_folder(data, [JOB])))),
            )
        )
    )
    found = json.loads(verdict.read_text()) if finished == 0 else {"faults": ["the next worker failed"]}
    if status != KILLED_STATUS or found["faults"] or found["lost"] or found["doubled"]:
        report["wrong"][name] = {"status": status, **found}
    elif found["sent_again"]:
        report["sent_twice"].append(name)
    shutil.rmtree(data)
