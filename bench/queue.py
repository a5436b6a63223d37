"""Throughput and latency of the durable queue, against the floor of its disk.

The floor is to append the same bytes to a file and call fdatasync, one message at a time. All figures of the
queue are with synchronous=FULL.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from hashlib import sha256
from pathlib import Path

from bench.common import DATA, arguments, figure, rounds, table
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.adapters.local.outbox import insert, message_id
from revisit.adapters.local.queue import LocalQueue
from revisit.domain.clock import system_clock
from revisit.domain.events import JobFinished
from revisit.domain.ids import derive_id
from revisit.ports.backend import Backend
from revisit.ports.cloudevents import Envelope

MESSAGE = Envelope(JobFinished("job_0123456789abcdef0123456789abcd"), system_clock()).encode()


FUNCTION = """
import time
from revisit.domain.events import JobFinished
from revisit.runtime import on

STARTED = {}

@on(JobFinished)
def deliver(event, backend):
    STARTED[event.job] = time.monotonic()
"""
"""A function's main.py: functions-framework loads it and posts push bodies to it, as in production."""


def put_raw(queue: LocalQueue, body: bytes) -> None:
    """Queue a message that is no event."""
    id = message_id(derive_id("raw", sha256(body).hexdigest()), "deliver")
    with queue._database.transaction() as connection:
        insert(connection, id, "deliver", "", "live", body, queue._now())
    queue._wakeup.notify()


def main() -> None:
    extra = {
        "consume": {"metavar": "FOLDER", "help": "internal: used by the benchmark"},
        "push": {"metavar": "FOLDER", "help": "internal: used by the benchmark"},
    }
    options = arguments("Durable queue: puts, leases, latency", **extra)
    if options.consume:
        consume(Path(options.consume))
        return
    if options.push:
        push(Path(options.push))
        return
    turns, pulses = (60, 300) if options.quick else (300, 1000)
    with tempfile.TemporaryDirectory(dir=DATA) as folder:
        print(f"put, one by one ({len(MESSAGE)} bytes)")
        put = put_ratio(Path(folder), 25, turns)
        print("put + lease + ack, 100 at once")
        batched = batch_rate(Path(folder) / "batched", 5_000 if options.quick else 20_000)
        print("event committed -> handler starts")
        within = measure_latency(Path(folder) / "within", pulses, across=False)
        across = measure_latency(Path(folder) / "across", pulses, across=True)
        pushed = measure_latency(Path(folder) / "pushed", pulses, across=True, function=FUNCTION)
    figure("queue put, synchronous=FULL", f"{put:.2f}x append+fdatasync", ">= 0.9x", put >= 0.9)
    figure(
        "batched put+lease+ack",
        f"{batched:,.0f}/s",
        ">= 5x the emulator's 10,000/s (measured once, not in this run)",
        batched >= 50_000,
    )
    figure(
        "event to handler, one process",
        f"p50 {within[0]:.2f} ms, p99 {within[1]:.2f} ms",
        "p99 <= 1 ms",
        within[1] <= 1,
    )
    figure(
        "event to handler, two processes",
        f"p50 {across[0]:.2f} ms, p99 {across[1]:.2f} ms",
        "p99 <= 10 ms",
        across[1] <= 10,
    )
    figure(
        "event to function, pushed in another process",
        f"p50 {pushed[0]:.2f} ms, p99 {pushed[1]:.2f} ms",
        "p99 <= 10 ms",
        pushed[1] <= 10,
    )


def put_ratio(folder: Path, count: int, turns: int) -> float:
    """Ratio of the queue's rate to the floor's.

    Rounds are short, since other processes write to the disk too, and a stall should fall into one case only.
    """
    floor = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    queue = local_queue(local_backend(folder / "puts"))
    serial = iter(range(10**9))

    def append() -> None:
        for _ in range(count):
            os.write(floor, MESSAGE)
            os.fdatasync(floor)

    def put() -> None:
        for _ in range(count):
            put_raw(queue, b"%09d%s" % (next(serial), MESSAGE[9:]))

    for _ in range(2000 // count):
        put()  # grows the write-ahead log to the size it has in use

    ratios = table(rounds({"append + fdatasync": append, "queue put": put}, turns))
    return 1 / ratios["queue put"]


def batch_rate(folder: Path, count: int) -> float:
    """Messages a second that are put, leased and acknowledged in batches of 100."""
    backend = local_backend(folder)
    queue = local_queue(backend)
    rates = []
    for turn in range(5):
        begun = time.perf_counter()
        for first in range(0, count, 100):
            sent = [
                Envelope(JobFinished(f"job_{turn}_{number}"), backend.now())
                for number in range(first, first + 100)
            ]
            backend.records.transact(
                lambda transaction, sent=sent: [transaction.send(envelope) for envelope in sent]
            )
        middle = time.perf_counter()
        while leased := queue.lease(["deliver"], 100):
            queue.ack_all(leased)
        ended = time.perf_counter()
        rates.append(count / (ended - begun))
        print(f"  put {count / (middle - begun):10,.0f}/s   lease + ack {count / (ended - middle):10,.0f}/s")
    return statistics.median(rates)


def measure_latency(folder: Path, event_count: int, across: bool, function: str = "") -> tuple[float, float]:
    """Milliseconds from the start of a commit to the start of the handler: median and 99th percentile.

    Args:
        folder: Of the queue; created.
        event_count: Events to send.
        across: Whether the handler runs in another process.
        function: Source of the main.py by which that process handles the events; empty for a bare consumer.
    """
    backend = local_backend(folder)
    started: dict[str, float] = {}
    if across:
        if function:
            (folder / "deliver").mkdir()
            (folder / "deliver" / "main.py").write_text(function)
        command = [sys.executable, "-m", "bench.queue", "--push" if function else "--consume", str(folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as consumer:
            consumer.stdout.readline()
            sent = send(backend, event_count)
            consumer.stdin.close()
            started = json.loads(consumer.stdout.read())
    else:
        over = threading.Event()
        thread = threading.Thread(target=receive, args=(backend, started, over))
        thread.start()
        sent = send(backend, event_count)
        over.set()
        thread.join()
    waits = sorted((started[job] - moment) * 1e3 for job, moment in sent.items())
    median, late = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    name = "pushed" if function else "two processes" if across else "one process"
    print(f"  {name:14s} p50 {median:8.3f} ms   p99 {late:8.3f} ms   longest {waits[-1]:8.3f} ms")
    return median, late


def send(backend: Backend, event_count: int) -> dict[str, float]:
    """Commit events one by one; returns when each commit was started, so that its sync to disk counts."""
    sent = {}
    for number in range(event_count):
        job = f"job_{number}"
        envelope = Envelope(JobFinished(job), backend.now())
        sent[job] = time.monotonic()
        backend.records.transact(lambda transaction, envelope=envelope: transaction.send(envelope))
        time.sleep(0.005)
    while local_queue(backend).depth():
        time.sleep(0.05)
    return sent


def receive(backend: Backend, started: dict[str, float], over: threading.Event) -> None:
    """Lease and acknowledge until `over`; writes to `started` when each handler would start."""
    from revisit.ports.cloudevents import decode

    queue = local_queue(backend)
    while not over.is_set():
        for message in queue.lease(["deliver"]):
            started[decode(message.body).event.subject] = time.monotonic()
            queue.ack(message)
        queue.wait(0.5)


def consume(folder: Path) -> None:
    """The other process, as a bare consumer, until stdin is closed."""
    started: dict[str, float] = {}
    over = threading.Event()
    thread = threading.Thread(target=receive, args=(local_backend(folder), started, over))
    thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    over.set()
    thread.join()
    print(json.dumps(started), flush=True)


def push(folder: Path) -> None:
    """The other process, as a worker that posts each message to its function, until stdin is closed."""
    from revisit.embedded import function_host
    from revisit.embedded.worker import Worker

    function_host.FUNCTIONS_FOLDER = folder
    backend, over = local_backend(folder), threading.Event()
    functions = function_host.FunctionHost(backend)
    functions._app("deliver")
    worker = Worker(backend, functions, ["deliver"], over)
    worker.thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    over.set()
    worker.thread.join()
    print(json.dumps(sys.modules["main"].STARTED), flush=True)


if __name__ == "__main__":
    main()
