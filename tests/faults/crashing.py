"""Crashes at a chosen place: at each named point of a handling, and at each write to the disk."""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from faults.handling import deliver, job, work_once
from faults.judging import judge
from faults.processes import fork, wait
from faults.storage import KILLED, Disk, Way
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.domain.events import JobFinished
from revisit.ports.backend import Backend
from revisit.ports.envelope import Envelope, decode
from samples import subscription

PREPARED = "prepared"


def sweep_points(folder: str) -> dict[str, Any]:
    """Crash at each named point of a handling, once each, then let another worker finish; says what is wrong afterwards."""
    points: list[str] = []
    _prepare(Path(folder))
    work_once(Path(shutil.copytree(Path(folder) / PREPARED, Path(folder) / "counting")), points.append)
    told = {"points": points, "wrong": {}}
    for number, name in enumerate(points, 1):
        data = Path(folder) / f"{number}"
        reached = iter(range(1, len(points) + 1))
        _crash_and_finish(data, partial(work_once, data, lambda point, reached=reached, number=number: next(reached) == number and os._exit(KILLED)),
                          f"{number} {name}", told)
    return told


def sweep_writes(folder: str, way: Way, checkpoints: bool = False, durable: bool = True) -> dict[str, Any]:
    """Crash at each write, sync and truncation of a handling, once each, then let another worker finish; says what is wrong afterwards.

    Args:
        checkpoints: Whether the log is carried over into the database after each commit, to crash in that too.
        durable: Whether commits are synced; the judge must find it out if they are not.
    """
    _prepare(Path(folder))
    data, counted = Path(folder) / "counting", Path(folder) / "operations"
    shutil.copytree(Path(folder) / PREPARED, data)
    wait(fork(lambda: counted.write_text("\n".join(_work_on(Disk(), data, checkpoints, durable)))))
    operations = counted.read_text().splitlines()
    told = {"points": operations, "wrong": {}}
    for number, name in enumerate(operations, 1):
        data = Path(folder) / f"{number}"
        _crash_and_finish(data, partial(_work_on, Disk(number, way), data, checkpoints, durable), f"{number} {name}", told)
    return told


def operations_of(folder: str) -> dict[str, Any]:
    """What a lease, a commit and an acknowledgement do to the disk, once the log has been written to."""
    _prepare(Path(folder))
    disk = Disk().mount()
    backend = local_backend(Path(folder) / PREPARED)
    queue = local_queue(backend)
    backend.records.transact(lambda transaction: transaction.mark("any"))
    done = [len(disk.operations)]
    [message] = queue.lease(["deliver"])
    done.append(len(disk.operations))
    deliver(backend.handling(decode(message.body), "deliver"))
    done.append(len(disk.operations))
    queue.ack(message)
    lease, commit, acknowledgement = (disk.operations[first:last] for first, last in zip(done, [*done[1:], None], strict=True))
    return {"lease": lease, "commit": commit, "acknowledgement": acknowledgement,
            "synchronous": backend.records._database.connection().execute("PRAGMA synchronous").get}


def _work_on(disk: Disk, data: Path, checkpoints: bool, durable: bool) -> list[str]:
    disk.mount()

    def prepare(backend: Backend) -> None:
        database = backend.records._database
        if checkpoints:
            database.connection().execute("PRAGMA wal_autocheckpoint=1")
        if not durable:
            writing = database.writing
            database.writing = lambda durable=True: writing(durable=False)

    work_once(data, prepare=prepare)
    return disk.operations


def _prepare(folder: Path) -> None:
    """A data folder with a subscription and the event of one job that finished."""
    def prepare() -> None:
        backend = local_backend(folder / PREPARED)
        backend.records.transact(lambda transaction: transaction.put(subscription("sub_0")))
        backend.records.transact(lambda transaction: transaction.send(Envelope(JobFinished(job("sub_0", "a")), backend.now())))
        backend.records._database.close()

    if wait(fork(prepare)):
        raise RuntimeError("the data folder could not be prepared")


def _crash_and_finish(data: Path, crash: Callable[[], Any], name: str, told: dict[str, Any]) -> None:
    shutil.copytree(data.parent / PREPARED, data)
    status = wait(fork(crash))
    verdict = data.parent / f"{data.name}.verdict"
    finished = wait(fork(lambda: (work_once(data), verdict.write_text(json.dumps(vars(judge(data, [job("sub_0", "a")])))))))
    found = json.loads(verdict.read_text()) if finished == 0 else {"faults": ["the next worker failed"]}
    if status != KILLED or found["faults"] or found["lost"] or found["doubled"]:
        told["wrong"][name] = {"status": status, **found}
