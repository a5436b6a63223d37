"""Workers that are killed again and again, and the judge who looks at what they left.

A history is written outside the system: what was asked for, and what a worker saw committed. The judge derives from the inputs
what must be there, and compares. The parent of the workers is a process of its own with one thread and everything imported, so
that a new worker is one fork away.
"""

import hashlib
import json
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from faults.storage import KILLED, Disk, Way
from revisit.alert import Alert, alert_id
from revisit.delivery import Delivery, delivery_id
from revisit.errors import GiveUp, Retry
from revisit.events import DeliveriesDue, JobFinished
from revisit.local.backend import local_backend, local_queue
from revisit.local.checkup import check_data
from revisit.local.folder import FolderAssets
from revisit.ports import Backend, Commit, DeadLetter, Message
from revisit.subscription import Subscription
from revisit.wire import Envelope, decode
from samples import alert, delivery, subscription

TESTS = Path(__file__).parents[1]
HISTORY = "history"
PREPARED = "prepared"
BATCH = 4
"""Messages that a worker leases at once."""


# ------------------------------------------------------------------------------------------------------------ what is done


def job(wish: str, acquisition: str) -> str:
    """Id of the job that found an acquisition for a subscription; both can be read from it."""
    return f"{wish}|{acquisition}"


def deliver(backend: Backend, reached: Callable[[str], None] = lambda point: None) -> str | None:
    """Handle an event as the function `deliver` does: alert, number, mark and what follows in one commit.

    Returns:
        Id of what was written; None where it had been before.
    """
    event = backend.cause.event
    if isinstance(event, DeliveriesDue):
        return backend.commit(partial(_carry, id=event.at, reached=reached))
    wish, acquisition = event.job.split("|")
    return backend.commit(partial(_announce, wish=wish, acquisition=acquisition, reached=reached))


def _announce(commit: Commit, wish: str, acquisition: str, reached: Callable[[str], None]) -> str:
    written = _write_alert(commit, wish, acquisition, reached)
    commit.emit(DeliveriesDue(written))
    reached("event")
    return written


def _write_alert(commit: Commit, wish: str, acquisition: str, reached: Callable[[str], None]) -> str:
    found = commit.get(Subscription, wish)
    reached("read")
    line = alert(wish, found.alerts + 1, acquisition)
    commit.put(line)
    reached("alert")
    commit.put(found.updated(alerts=found.alerts + 1))
    reached("number")
    return line.id


def _carry(commit: Commit, id: str, reached: Callable[[str], None]) -> str:
    commit.put(delivery(delivery_id(id, "c"), alert=id, state="delivered"))
    reached("delivery")
    return id


def deliver_naively(backend: Backend, reached: Callable[[str], None] = lambda point: None) -> str | None:
    """The same in three commits, as one would write it without thinking of crashes: the judge must find its faults."""
    event, mark = backend.cause.event, backend.done_mark
    if isinstance(event, DeliveriesDue):
        return deliver(backend)
    if backend.records.transact(lambda transaction: transaction.marked(mark)):
        return None
    wish, acquisition = event.job.split("|")
    written = backend.commit(partial(_write_alert, wish=wish, acquisition=acquisition, reached=reached), last=False)
    reached("written")
    backend.records.transact(lambda transaction: transaction.mark(mark))
    reached("marked")
    backend.commit(lambda commit: commit.emit(DeliveriesDue(written)), last=False)
    return written


HANDLERS = {"one commit": deliver, "three commits": deliver_naively}


def handle(backend: Backend, message: Message, handler: Callable[..., str | None], history: int) -> None:
    """Handle one message and write into the history what was committed."""
    envelope = decode(message.body)
    written = handler(backend.handling(envelope, "deliver"))
    if written:
        os.write(history, f"{envelope.event.topic} {written}\n".encode())


def work(data: Path, handler: Callable[..., str | None], lease_s: float) -> None:
    """Work messages off until killed."""
    backend = local_backend(data)
    queue = local_queue(backend)
    history = os.open(data / HISTORY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        leased = queue.lease(["deliver"], BATCH, lease_s)
        if not leased:
            queue.wait(0.2)
        for message in leased:
            handle(backend, message, handler, history)
            queue.ack(message)


# -------------------------------------------------------------------------------------------------------------- who kills


def nursery(data: str, variant: str, seed: int, workers: int, between_ms: tuple[float, float], lease_s: float) -> dict[str, int]:
    """Keep so many workers alive and kill one after the other, until stdin is closed.

    Returns:
        How many were killed, and how many ended by themselves, which none should.
    """
    chance, told = random.Random(seed), {"kills": 0, "ended": 0}
    alive = [_fork(partial(work, Path(data), HANDLERS[variant], lease_s)) for _ in range(workers)]
    while not select.select([sys.stdin], [], [], chance.uniform(*between_ms) / 1e3)[0]:
        number = chance.randrange(workers)
        _kill(alive[number], told)
        alive[number] = _fork(partial(work, Path(data), HANDLERS[variant], lease_s))
    for child in alive:
        _kill(child, told)
    return told


def _fork(run: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        run()
    except BaseException:  # noqa: BLE001 - a child must never return into its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _kill(child: int, told: dict[str, int]) -> None:
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    told["kills" if os.WIFSIGNALED(status) else "ended"] += 1


def start(role: str, *arguments: Any, **options: Any) -> "subprocess.Popen[str]":
    """Start this module as a process of its own: one of its functions, whose result it prints as JSON."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])}
    return subprocess.Popen([sys.executable, "-m", "faults.harness", role, json.dumps(arguments)],
                            stdout=subprocess.PIPE, text=True, env=environment, **options)


# ----------------------------------------------------------------------------------------------- crashes at a chosen place


def work_once(data: Path, reached: Callable[[str], None] = lambda point: None, prepare: Callable[[Backend], None] = lambda backend: None) -> None:
    """Work off what is queued."""
    backend = local_backend(data)
    prepare(backend)
    queue = local_queue(backend)
    history = os.open(data / HISTORY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while leased := queue.lease(["deliver"]):
        reached("leased")
        handle(backend, leased[0], partial(deliver, reached=reached), history)
        reached("committed")
        queue.ack(leased[0])
        reached("acknowledged")


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
    _wait(_fork(lambda: counted.write_text("\n".join(_work_on(Disk(), data, checkpoints, durable)))))
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

    if _wait(_fork(prepare)):
        raise RuntimeError("the data folder could not be prepared")


def _crash_and_finish(data: Path, crash: Callable[[], Any], name: str, told: dict[str, Any]) -> None:
    shutil.copytree(data.parent / PREPARED, data)
    status = _wait(_fork(crash))
    verdict = data.parent / f"{data.name}.verdict"
    finished = _wait(_fork(lambda: (work_once(data), verdict.write_text(json.dumps(vars(judge(data, [job("sub_0", "a")])))))))
    found = json.loads(verdict.read_text()) if finished == 0 else {"faults": ["the next worker failed"]}
    if status != KILLED or found["faults"] or found["lost"] or found["doubled"]:
        told["wrong"][name] = {"status": status, **found}


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def stall(data: str, lease_s: float) -> list[Any]:
    """Lease a message, be stopped, and once continued try to do the work: says what came of the commit and of the acknowledgement."""
    backend = local_backend(Path(data))
    queue = local_queue(backend)
    [message] = queue.lease(["deliver"], 1, lease_s)
    os.kill(os.getpid(), signal.SIGSTOP)
    return [deliver(backend.handling(decode(message.body), "deliver")), queue.ack(message), queue.nack(message, "late"), queue.extend(message)]


def hold(data: str) -> str:
    """Be stopped within a transaction."""
    def stop(transaction: Any) -> None:
        transaction.put(subscription("sub_held"))
        os.kill(os.getpid(), signal.SIGSTOP)

    local_backend(Path(data)).records.transact(stop)
    return "written"


def count_up(data: str, times: int) -> str:
    """Count one record up, making the data folder where it is missing."""
    def once(transaction: Any) -> None:
        found = transaction.get(Subscription, "sub_0") or subscription("sub_0")
        transaction.put(found.updated(alerts=found.alerts + 1))

    backend = local_backend(Path(data))
    for _ in range(times):
        backend.records.transact(once)
    return "done"


def store_files(data: str, seed: int) -> None:
    """Store files of every size, each under a name made of its content, until killed."""
    chance = random.Random(seed)
    assets = FolderAssets(Path(data))
    while True:
        content = chance.randbytes(chance.choice([0, 100, 50_000, 2_000_000]))
        digest = hashlib.sha256(content).hexdigest()
        file = assets.workspace() / "unfinished"
        file.write_bytes(content)
        assets.store(file, f"{digest[:2]}/{digest}.bin", "application/octet-stream")


def kill_while_storing(folder: str, kills: int, seed: int) -> dict[str, int]:
    """Kill the one that stores, again and again."""
    chance, told = random.Random(seed), {"kills": 0, "ended": 0}
    for number in range(kills):
        child = _fork(partial(store_files, folder, number))
        time.sleep(chance.uniform(0.002, 0.03))
        _kill(child, told)
    return told


def fill(data: str, most: int) -> list[Any]:
    """Write into a data folder on a disk that takes no file longer than `most` bytes, then on one that does."""
    backend = local_backend(Path(data))
    written, refusal = 0, ""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    while not refusal:
        try:
            backend.records.transact(lambda transaction, name=f"sub_{written:04d}": transaction.put(subscription(name, owner="x" * 5000)))
            written += 1
        except Retry as error:
            refusal = str(error)
    there = backend.records.count(Subscription)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    backend.records.transact(lambda transaction: transaction.put(subscription("sub_after")))
    return [written, there, backend.records.count(Subscription), refusal]


def without_rights(data: str) -> list[str]:
    """What one who may not write there is told."""
    from revisit.local.backend import remember_sources

    if os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)
    told = []
    for attempt in (lambda: local_backend(Path(data)), lambda: remember_sources(Path(data), ("folder:x",)), lambda: FolderAssets(Path(data) / "assets")):
        try:
            attempt()
        except GiveUp as error:
            told.append(str(error))
    return [*told, *check_data(Path(data))]


def number_off(data: str) -> None:
    """Commit one subscription after the other, saying the number of each once it is committed."""
    backend = local_backend(Path(data))
    backend.records._database.connection().execute("PRAGMA wal_autocheckpoint=20")
    for number in range(1_000_000):
        backend.records.transact(lambda transaction, number=number: transaction.put(subscription(f"sub_{number:06d}")))
        print(number, flush=True)


# -------------------------------------------------------------------------------------------------------------- who judges


@dataclass
class Verdict:
    """What the judge found."""

    events: int
    sent: int
    """Duplicates included."""
    kills: int = 0
    ended: int = 0
    seconds: float = 0.0
    lost: int = 0
    """Expected and not there."""
    doubled: int = 0
    """Written more than once: one line each time a worker saw a commit of it, or a number used up for nothing."""
    faults: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.ended or self.faults)


def inputs(events: int, duplicates: float, subscriptions: int, seed: int) -> tuple[list[str], list[str]]:
    """Jobs that finish, once each; and the order in which they are told, some of them again."""
    chance = random.Random(seed)
    jobs = [job(f"sub_{number % subscriptions}", f"acquisition_{number}") for number in range(events)]
    told = jobs + chance.choices(jobs, k=round(events * duplicates))
    chance.shuffle(told)
    return jobs, told


def endure(data: Path, variant: str = "one commit", events: int = 2000, duplicates: float = 0.3, subscriptions: int = 10, seed: int = 1,
           workers: int = 4, between_ms: tuple[float, float] = (20, 120), lease_s: float = 0.5, feed_s: float = 0.0,
           patience_s: float = 120.0) -> Verdict:
    """Send events to workers that are being killed, wait until all is dealt with, and judge.

    Args:
        feed_s: Over how many seconds the events are told; 0 tells them as fast as possible.
        patience_s: Longest wait for the end.
    """
    backend = local_backend(data)
    backend.records.transact(lambda transaction: [transaction.put(subscription(f"sub_{number}")) for number in range(subscriptions)])
    jobs, told = inputs(events, duplicates, subscriptions, seed)
    arguments = (str(data), variant, seed, workers, between_ms, lease_s)
    begun = time.monotonic()
    with start("nursery", *arguments, stdin=subprocess.PIPE) as parent:
        for first in range(0, len(told), 20):
            batch = [Envelope(JobFinished(name), backend.now()) for name in told[first:first + 20]]
            backend.records.transact(lambda transaction, batch=batch: [transaction.send(envelope) for envelope in batch])
            time.sleep(max(0.0, begun + feed_s * first / len(told) - time.monotonic()))
        while local_queue(backend).depth() and time.monotonic() - begun < patience_s:
            time.sleep(0.05)
        seconds = time.monotonic() - begun
        parent.stdin.close()
        fate = json.loads(parent.stdout.read())
    verdict = judge(data, jobs)
    verdict.sent, verdict.seconds, verdict.kills, verdict.ended = len(told), seconds, fate["kills"], fate["ended"]
    return verdict


def judge(data: Path, jobs: list[str]) -> Verdict:
    """Compare what is there with what must be."""
    backend = local_backend(data)
    find = partial(backend.records.find, limit=1_000_000)
    verdict = Verdict(len(jobs), len(jobs))
    expected = Counter(alert_id(*name.split("|")) for name in jobs)
    alerts, wishes = find(Alert), find(Subscription)
    verdict.lost = len(expected.keys() - {line.id for line in alerts}) + len({line.id for line in alerts} - {there.alert for there in find(Delivery)})
    seen = Counter((data / HISTORY).read_text().splitlines()) if (data / HISTORY).exists() else Counter()
    verdict.doubled = sum(count - 1 for count in seen.values()) + sum(wish.alerts for wish in wishes) - len(alerts)
    if unexpected := {line.id for line in alerts} - expected.keys():
        verdict.faults.append(f"{len(unexpected)} alerts nobody asked for")
    if unkept := {line.split()[1] for line in seen} - {line.id for line in alerts}:
        verdict.faults.append(f"{len(unkept)} alerts were committed and are gone")
    for wish in wishes:
        numbers = sorted(line.number for line in alerts if line.subscription == wish.id)
        if numbers != list(range(1, len(numbers) + 1)):
            verdict.faults.append(f"the numbers of {wish.id} do not run from 1 to {len(numbers)}")
    if left := local_queue(backend).depth():
        verdict.faults.append(f"not dealt with: {left}")
    if letters := find(DeadLetter):
        verdict.faults.append(f"{len(letters)} dead letters, the first: {letters[0].reason}")
    return Verdict(**{**vars(verdict), "faults": [*verdict.faults, *check_data(data)]})


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*json.loads(sys.argv[2]))))
