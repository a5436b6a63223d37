"""Crashes at a chosen place: at each named point of a handling, and at each write to the disk."""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from faults.checker import check_data_folder
from faults.event_handlers import deliver, handle_queued, pair_job_id
from faults.faulty_vfs import KILLED_STATUS, CrashMode, FaultyDisk
from faults.processes import fork, wait
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.domain.events import JobFinished
from revisit.ports.backend import Backend
from revisit.ports.cloudevents import Envelope, decode
from samples import subscription

PREPARED = "prepared"


def crash_at_each_point(folder: str) -> dict[str, Any]:
    """Crash at each named point of a handling, once each, then let another worker finish; says what is wrong
    afterwards."""
    points: list[str] = []
    _prepare_data(Path(folder))
    handle_queued(Path(shutil.copytree(Path(folder) / PREPARED, Path(folder) / "counting")), points.append)
    told = {"points": points, "wrong": {}}
    for number, name in enumerate(points, 1):
        data = Path(folder) / f"{number}"
        reached = iter(range(1, len(points) + 1))
        _crash_and_finish(
            data,
            partial(
                handle_queued,
                data,
                lambda point, reached=reached, number=number: (
                    next(reached) == number and os._exit(KILLED_STATUS)
                ),
            ),
            f"{number} {name}",
            told,
        )
    return told


def crash_at_each_write(
    folder: str, mode: CrashMode, checkpoints: bool = False, durable: bool = True
) -> dict[str, Any]:
    """Crash at each write, sync and truncation of a handling, once each, then let another worker finish; says
    what is wrong afterwards.

    Args:
        checkpoints: Whether the log is carried over into the database after each commit, to crash in that
            too.
        durable: Whether commits are synced; the judge must find it out if they are not.
    """
    _prepare_data(Path(folder))
    data, counted = Path(folder) / "counting", Path(folder) / "operations"
    shutil.copytree(Path(folder) / PREPARED, data)
    wait(
        fork(lambda: counted.write_text("\n".join(_handle_on_disk(FaultyDisk(), data, checkpoints, durable))))
    )
    operations = counted.read_text().splitlines()
    told = {"points": operations, "wrong": {}}
    for number, name in enumerate(operations, 1):
        data = Path(folder) / f"{number}"
        _crash_and_finish(
            data,
            partial(_handle_on_disk, FaultyDisk(number, mode), data, checkpoints, durable),
            f"{number} {name}",
            told,
        )
    return told


def record_operations(folder: str) -> dict[str, Any]:
    """What a lease, a commit and an acknowledgement do to the disk, once the log has been written to."""
    _prepare_data(Path(folder))
    disk = FaultyDisk().mount()
    backend = local_backend(Path(folder) / PREPARED)
    queue = local_queue(backend)
    backend.records.transact(lambda transaction: transaction.add_dedupe_key("any"))
    done = [len(disk.operations)]
    [message] = queue.lease(["deliver"])
    done.append(len(disk.operations))
    deliver(backend.with_cause(decode(message.body), "deliver"))
    done.append(len(disk.operations))
    queue.ack(message)
    lease, commit, acknowledgement = (
        disk.operations[first:last] for first, last in zip(done, [*done[1:], None], strict=True)
    )
    return {
        "lease": lease,
        "commit": commit,
        "acknowledgement": acknowledgement,
        "synchronous": backend.records._database.connection().execute("PRAGMA synchronous").get,
    }


def _handle_on_disk(disk: FaultyDisk, data: Path, checkpoints: bool, durable: bool) -> list[str]:
    disk.mount()

    def prepare(backend: Backend) -> None:
        database = backend.records._database
        if checkpoints:
            database.connection().execute("PRAGMA wal_autocheckpoint=1")
        if not durable:
            writing = database.transaction
            database.transaction = lambda durable=True: writing(durable=False)

    handle_queued(data, prepare=prepare)
    return disk.operations


def _prepare_data(folder: Path) -> None:
    """A data folder with a subscription and the event of one job that finished."""

    def prepare() -> None:
        backend = local_backend(folder / PREPARED)
        backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
        backend.records.transact(
            lambda transaction: transaction.send(
                Envelope(JobFinished(pair_job_id("sub_0", "a")), backend.now())
            )
        )
        backend.records._database.close()

    if wait(fork(prepare)):
        raise RuntimeError("the data folder could not be prepared")


def _crash_and_finish(data: Path, crash: Callable[[], Any], name: str, report: dict[str, Any]) -> None:
    shutil.copytree(data.parent / PREPARED, data)
    status = wait(fork(crash))
    verdict = data.parent / f"{data.name}.verdict"
    finished = wait(
        fork(
            lambda: (
                handle_queued(data),
                verdict.write_text(json.dumps(vars(check_data_folder(data, [pair_job_id("sub_0", "a")])))),
            )
        )
    )
    found = json.loads(verdict.read_text()) if finished == 0 else {"faults": ["the next worker failed"]}
    if status != KILLED_STATUS or found["faults"] or found["lost"] or found["doubled"]:
        report["wrong"][name] = {"status": status, **found}
