"""Tasks that run in a child process: they are killed, stopped or given a full disk."""

import hashlib
import json
import os
import random
import resource
import select
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from faults.crash_points import crash_at_each_point, crash_at_each_write, record_operations
from faults.deliver_worker import handle_until_killed, observed_backend, push
from faults.processes import fork, kill
from revisit.adapters.local.asset_folder import FolderAssets
from revisit.adapters.local.backend import local_backend, local_queue, remember_sources
from revisit.adapters.local.integrity_check import check_data
from revisit.domain.subscription import Subscription
from revisit.embedded.function_host import FunctionHost
from revisit.errors import PermanentError, TransientError
from samples import subscription


def kill_workers_in_turn(
    data: str, variant: str, seed: int, workers: int, between_ms: tuple[float, float]
) -> dict[str, int]:
    """Keep so many workers alive and kill one after the other, until stdin is closed.

    Returns:
        How many were killed, and how many ended by themselves, which none should.
    """
    chance, counts = random.Random(seed), {"kills": 0, "ended": 0}
    work = partial(handle_until_killed, Path(data), variant)
    alive = [fork(work) for _ in range(workers)]
    while not select.select([sys.stdin], [], [], chance.uniform(*between_ms) / 1e3)[0]:
        number = chance.randrange(workers)
        kill(alive[number], counts)
        alive[number] = fork(work)
    for child in alive:
        kill(child, counts)
    return counts


def stall_with_lease(data: str, lease_s: float) -> list[bool]:
    """Lease a message, stop, and once continued handle it.

    Returns:
        Whether the queue still took an acknowledgement, a release and an extension.
    """
    backend = local_backend(Path(data))
    queue, observed = local_queue(backend), observed_backend(backend, Path(data))
    [message] = queue.lease(["deliver"], 1, lease_s)
    os.kill(os.getpid(), signal.SIGSTOP)
    push(FunctionHost(observed), message)
    return [queue.ack(message), queue.nack(message, "late"), queue.extend(message)]


def stop_in_transaction(data: str) -> str:
    """Stop within a transaction."""

    def stop(transaction: Any) -> None:
        transaction.put(subscription("sub_held"))
        os.kill(os.getpid(), signal.SIGSTOP)

    local_backend(Path(data)).records.transact(stop)
    return "written"


def count_up(data: str, times: int) -> str:
    """Increment a counter in one record; create the data folder if it is missing."""

    def once(transaction: Any) -> None:
        found = transaction.get(Subscription, "sub_0") or subscription("sub_0")
        transaction.put(found.with_changes(alerts=found.alerts + 1))

    backend = local_backend(Path(data))
    for _ in range(times):
        backend.records.transact(once)
    return "done"


def store_files(data: str, seed: int) -> None:
    """Store files of every size, each named by the hash of its content, until killed."""
    chance = random.Random(seed)
    assets = FolderAssets(Path(data))
    while True:
        content = chance.randbytes(chance.choice([0, 100, 50_000, 2_000_000]))
        digest = hashlib.sha256(content).hexdigest()
        file = assets.workspace() / "unfinished"
        file.write_bytes(content)
        assets.store(file, f"{digest[:2]}/{digest}.bin", "application/octet-stream")


def kill_while_storing(folder: str, kills: int, seed: int) -> dict[str, int]:
    """Kill processes that store files, one after the other."""
    chance, counts = random.Random(seed), {"kills": 0, "ended": 0}
    for number in range(kills):
        child = fork(partial(store_files, folder, number))
        time.sleep(chance.uniform(0.002, 0.03))
        kill(child, counts)
    return counts


def fill_disk(data: str, max_bytes: int) -> list[Any]:
    """Write into a data folder on a disk that takes no file longer than `max_bytes`, then on one that
    does."""
    backend = local_backend(Path(data))
    written, refusal = 0, ""
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, resource.RLIM_INFINITY))
    while not refusal:
        try:
            backend.records.transact(
                lambda transaction, name=f"sub_{written:04d}": transaction.put(
                    subscription(name, owner="x" * 5000)
                )
            )
            written += 1
        except TransientError as error:
            refusal = str(error)
    kept = backend.records.count(Subscription)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    backend.records.transact(lambda transaction: transaction.put(subscription("sub_after")))
    return [written, kept, backend.records.count(Subscription), refusal]


def use_without_permission(data: str) -> list[str]:
    """The messages that a user without write permission gets."""
    if os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)
    messages = []
    for attempt in (
        lambda: local_backend(Path(data)),
        lambda: remember_sources(Path(data), ("folder:x",)),
        lambda: FolderAssets(Path(data) / "assets"),
    ):
        try:
            attempt()
        except PermanentError as error:
            messages.append(str(error))
    return [*messages, *check_data(Path(data))]


def commit_until_killed(data: str) -> None:
    """Commit one subscription after the other and print the number of each once it is committed."""
    backend = local_backend(Path(data))
    backend.records._database.connection().execute("PRAGMA wal_autocheckpoint=20")
    for number in range(1_000_000):
        backend.records.transact(
            lambda transaction, number=number: transaction.put(subscription(f"sub_{number:06d}"))
        )
        print(number, flush=True)


TASKS = {
    task.__name__: task
    for task in (
        kill_workers_in_turn,
        crash_at_each_point,
        crash_at_each_write,
        record_operations,
        stall_with_lease,
        stop_in_transaction,
        count_up,
        store_files,
        kill_while_storing,
        fill_disk,
        use_without_permission,
        commit_until_killed,
    )
}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*json.loads(sys.argv[2]))))
