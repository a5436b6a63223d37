"""Workers that run the deployed function `deliver`, with hooks at every step where a crash can happen.

Nothing here re-implements the function: its messages are pushed to functions/deliver/main.py, and what it
reads and writes passes through the records port, which notes every step.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from backends import with_adapters
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.delivery import file_channel
from revisit.domain.alert import Alert
from revisit.domain.clock import Clock, format_rfc3339, system_clock
from revisit.domain.delivery import Delivery
from revisit.domain.events import DeliveriesDue
from revisit.domain.job import Cover, Job
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription
from revisit.embedded.function_host import FunctionHost
from revisit.embedded.worker import Worker
from revisit.ports.backend import Backend
from revisit.ports.event_bus import Message
from revisit.ports.records import Records, Transaction
from samples import NOON, SQUARE_AOI, subscription

HISTORY_FILE = "history"
"""File beside the database, in which workers write what they saw committed."""

CLAIM_IS_OVER = timedelta(minutes=2)
"""So long after a crash a delivery that was claimed is due again."""

type OnStep = Callable[[str], Any]


def ignore_step(step: str) -> None:
    """Let a step pass."""


# ------------------------------------------------------------------------------------------------------------
# inputs


def watched(id: str) -> Subscription:
    """A subscription whose alerts go to a file of its own."""
    return subscription(id, channels=(Channel("file", id),))


def finished_job(subscription: str, acquisition: int | str) -> Job:
    """The job that found an acquisition for a subscription; the same for the same arguments."""
    datatake = f"datatake-{acquisition}"
    return Job(
        id=f"job_{subscription}_{acquisition}",
        product=Product(
            id=f"S2A_MSIL2A_{datatake}",
            source="folder:/archive",
            level="L2A",
            platform="S2A",
            tile="32TNR",
            sensing_time=NOON,
            datatake=datatake,
            west=9.9,
            south=44.9,
            east=10.2,
            north=45.2,
        ),
        aoi=SQUARE_AOI,
        recipe=Recipe(indices=("NDVI",)),
        created=NOON,
        state="done",
        subscription=subscription,
        cover=Cover(100, 90, 80),
    )


def channel_lines(data: Path) -> list[bytes]:
    """Every line that was delivered into the data folder's channel files."""
    files = sorted((data / "channels").glob("*.jsonl"))
    return [line for file in files for line in file.read_bytes().splitlines()]


# ------------------------------------------------------------------------------------------------------------
# observed records


@dataclass
class ObservedTransaction:
    """A transaction that tells each of its operations and keeps what it wrote."""

    transaction: Transaction
    on_step: OnStep
    written: list[Any]

    def get(self, kind: type[Any], id: str) -> Any:
        found = self.transaction.get(kind, id)
        self.on_step(f"get {kind.__name__}")
        return found

    def put(self, record: Any) -> None:
        self.transaction.put(record)
        self.written.append(record)
        self.on_step(f"put {type(record).__name__}")

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.transaction, name)

        def observed(*arguments: Any) -> Any:
            answer = operation(*arguments)
            self.on_step(name)
            return answer

        return observed


@dataclass
class ObservedRecords:
    """Records that tell each operation of a transaction, and write its commit into the history."""

    records: Records
    on_step: OnStep
    history: int
    """File descriptor."""

    def transact(self, work: Callable[[Any], Any]) -> Any:
        written: list[Any] = []

        def run(transaction: Transaction) -> Any:
            written.clear()
            return work(ObservedTransaction(transaction, self.on_step, written))

        result = self.records.transact(run)
        if lines := [line for record in written if (line := history_line(record))]:
            os.write(self.history, "".join(lines).encode())
            self.on_step("committed")
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.records, name)


def history_line(record: Any) -> str:
    """One line for a record that is to be written once; empty for any other."""
    match record:
        case Alert():
            return f"alert {record.id}\n"
        case Delivery(claim=0):
            return f"delivery {record.id}\n"
        case Delivery(state="delivered"):
            return f"delivered {record.id}\n"
        case _:
            return ""


@dataclass
class BufferedTransaction:
    """Reads at once and keeps its writes for later."""

    transaction: Transaction
    writes: list[tuple[str, tuple[Any, ...]]]

    def __getattr__(self, name: str) -> Any:
        if name in ("get", "has_dedupe_key"):
            return getattr(self.transaction, name)
        return lambda *arguments: self.writes.append((name, arguments))


@dataclass
class TornRecords:
    """Records that commit every write by itself: what the crash proof must find at fault."""

    records: Records

    def transact(self, work: Callable[[Any], Any]) -> Any:
        writes: list[tuple[str, tuple[Any, ...]]] = []
        result = self.records.transact(lambda transaction: work(BufferedTransaction(transaction, writes)))
        for name, arguments in writes:
            self.records.transact(
                lambda transaction, name=name, arguments=arguments: getattr(transaction, name)(*arguments)
            )
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.records, name)


VARIANTS: dict[str, Callable[[Records], Any]] = {
    "one commit": lambda records: records,
    "a commit per write": TornRecords,
}


# ------------------------------------------------------------------------------------------------------------
# workers


def observed_backend(
    backend: Backend, data: Path, variant: str = "one commit", on_step: OnStep = ignore_step
) -> Backend:
    """The backend of a data folder, whose commits go into the folder's history."""
    history = os.open(data / HISTORY_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    records = ObservedRecords(VARIANTS[variant](backend.records), on_step, history)
    return with_adapters(backend, records=lambda: records)


def push(host: FunctionHost, message: Message) -> None:
    """Have the function handle a message, which it must."""
    status, answer = host.push(message)
    if status != 200:
        raise AssertionError(f"deliver answered {status}: {answer}")


def handle_until_killed(data: Path, variant: str) -> None:
    """Be a worker of the embedded server, until killed."""
    backend = observed_backend(local_backend(data), data, variant)
    worker = Worker(backend, FunctionHost(backend), ["deliver"], threading.Event())
    worker.thread.start()
    worker.thread.join()


def handle_queued(
    data: Path,
    on_step: OnStep = ignore_step,
    prepare: Callable[[Backend], None] = lambda backend: None,
    now: Clock = system_clock,
) -> None:
    """Work off what is queued, then what is due."""
    backend = local_backend(data, now=now)
    prepare(backend)
    database = backend.records._database
    queue, backend = local_queue(backend), observed_backend(backend, data, on_step=on_step)
    host = FunctionHost(backend)
    append = file_channel.append

    def append_observed(folder: Path, name: str, line: bytes) -> None:
        on_step("sending")
        append(folder, name, line)
        on_step("sent")

    with patch.object(file_channel, "append", append_observed):
        for event in (None, DeliveriesDue(format_rfc3339(now()))):
            if event:
                backend.commit(lambda commit, event=event: commit.emit(event), completes_event=False)
            while leased := queue.lease(["deliver"]):
                on_step("leased")
                push(host, leased[0])
                on_step("answered")
                queue.ack(leased[0])
                on_step("acknowledged")
    database.close()  # the last connection carries the log over into the database


def finish(data: Path, now: datetime) -> None:
    """What the next worker does once the claims of one that crashed are over."""
    handle_queued(data, now=lambda: now + CLAIM_IS_OVER)
