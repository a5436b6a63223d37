"""The judge: derives from the inputs what must be there, and compares it with what the workers left.

A history is written outside the system: what was asked for, and what a worker saw committed.
"""

import json
import random
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from faults.event_handlers import HISTORY_FILE, pair_job_id
from faults.processes import start
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.adapters.local.integrity_check import check_data
from revisit.domain.alert import Alert, alert_id
from revisit.domain.delivery import Delivery
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Subscription
from revisit.ports.cloudevents import Envelope
from revisit.ports.system_records import DeadLetter
from samples import subscription


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
    """Written more than once: one line each time a worker saw a commit of it, or a number used up for
    nothing."""
    faults: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.ended or self.faults)


def make_inputs(events: int, duplicates: float, subscriptions: int, seed: int) -> tuple[list[str], list[str]]:
    """Jobs that finish, once each; and the order in which they are told, some of them again."""
    chance = random.Random(seed)
    jobs = [pair_job_id(f"sub_{number % subscriptions}", f"acquisition_{number}") for number in range(events)]
    told = jobs + chance.choices(jobs, k=round(events * duplicates))
    chance.shuffle(told)
    return jobs, told


def run_with_kills(
    data: Path,
    variant: str = "one commit",
    events: int = 2000,
    duplicates: float = 0.3,
    subscriptions: int = 10,
    seed: int = 1,
    workers: int = 4,
    kill_interval_ms: tuple[float, float] = (20, 120),
    lease_s: float = 0.5,
    send_duration_s: float = 0.0,
    patience_s: float = 120.0,
) -> Verdict:
    """Send events to workers that are being killed, wait until all is dealt with, and judge.

    Args:
        feed_s: Over how many seconds the events are told; 0 tells them as fast as possible.
        patience_s: Longest wait for the end.
    """
    backend = local_backend(data)
    backend.records.transact(
        lambda transaction: [
            transaction.put(subscription(f"sub_{number}")) for number in range(subscriptions)
        ]
    )
    jobs, told = make_inputs(events, duplicates, subscriptions, seed)
    arguments = (str(data), variant, seed, workers, kill_interval_ms, lease_s)
    begun = time.monotonic()
    with start("kill_workers_in_turn", *arguments, stdin=subprocess.PIPE) as parent:
        for first in range(0, len(told), 20):
            batch = [Envelope(JobFinished(name), backend.now()) for name in told[first : first + 20]]
            backend.records.transact(
                lambda transaction, batch=batch: [transaction.send(envelope) for envelope in batch]
            )
            time.sleep(max(0.0, begun + send_duration_s * first / len(told) - time.monotonic()))
        while local_queue(backend).depth() and time.monotonic() - begun < patience_s:
            time.sleep(0.05)
        seconds = time.monotonic() - begun
        parent.stdin.close()
        fate = json.loads(parent.stdout.read())
    verdict = check_data_folder(data, jobs)
    verdict.sent, verdict.seconds, verdict.kills, verdict.ended = (
        len(told),
        seconds,
        fate["kills"],
        fate["ended"],
    )
    return verdict


def check_data_folder(data: Path, jobs: list[str]) -> Verdict:
    """Compare what is there with what must be."""
    backend = local_backend(data)
    find = partial(backend.records.find, limit=1_000_000)
    verdict = Verdict(len(jobs), len(jobs))
    expected = Counter(alert_id(*name.split("|")) for name in jobs)
    alerts, wishes = find(Alert), find(Subscription)
    verdict.lost = len(expected.keys() - {line.id for line in alerts}) + len(
        {line.id for line in alerts} - {there.alert for there in find(Delivery)}
    )
    seen = (
        Counter((data / HISTORY_FILE).read_text().splitlines())
        if (data / HISTORY_FILE).exists()
        else Counter()
    )
    verdict.doubled = (
        sum(count - 1 for count in seen.values()) + sum(wish.alerts for wish in wishes) - len(alerts)
    )
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
