"""Derives from the inputs what must exist and compares it with what the workers left.

A history is written outside the system: what was sent, and what a worker saw committed.
"""

import json
import random
import subprocess
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from faults.deliver_worker import HISTORY_FILE, channel_lines, finish, finished_job, watched
from faults.processes import start
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.adapters.local.integrity_check import check_data
from revisit.domain.alert import Alert, alert_id
from revisit.domain.clock import format_rfc3339
from revisit.domain.delivery import Delivery, delivery_id
from revisit.domain.events import DeliveriesDue, JobFinished
from revisit.domain.job import Job
from revisit.domain.subscription import Subscription
from revisit.ports.cloudevents import Envelope
from revisit.ports.system_records import DeadLetter


@dataclass
class Verdict:
    """What the checker found."""

    events: int
    sent: int
    """Duplicates included."""
    kills: int = 0
    ended: int = 0
    seconds: float = 0.0
    lost: int = 0
    """Alerts, deliveries and sent lines that are expected and missing."""
    doubled: int = 0
    """Written more than once: one for each further time that a worker saw the same commit, and for each
    number that no alert has."""
    sent_again: int = 0
    """Lines sent once more under the same id, as at-least-once delivery allows after a crash."""
    faults: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.ended or self.faults)


def make_inputs(events: int, duplicates: float, subscriptions: int, seed: int) -> tuple[list[Job], list[str]]:
    """Jobs that finish, once each; and the order in which their events are sent, some of them again."""
    chance = random.Random(seed)
    jobs = [finished_job(f"sub_{number % subscriptions}", number) for number in range(events)]
    sent = [job.id for job in jobs]
    sent += chance.choices(sent, k=round(events * duplicates))
    chance.shuffle(sent)
    return jobs, sent


def run_with_kills(
    data: Path,
    variant: str = "one commit",
    events: int = 2000,
    duplicates: float = 0.3,
    subscriptions: int = 10,
    seed: int = 1,
    workers: int = 4,
    kill_interval_ms: tuple[float, float] = (20, 120),
    send_duration_s: float = 0.0,
    timeout_s: float = 120.0,
) -> Verdict:
    """Send events to workers that are being killed, wait until all are handled, and check.

    Args:
        data: The data folder.
        variant: How the workers commit, one of `deliver_worker.VARIANTS`.
        events: Jobs that finish.
        duplicates: Share of the events that are sent twice.
        subscriptions: Number of subscriptions that share the jobs.
        seed: Of the order of the events and of who is killed.
        workers: Processes alive at any time.
        kill_interval_ms: Shortest and longest time between two kills, milliseconds.
        send_duration_s: Time over which the events are sent, seconds; 0 sends them as fast as possible.
        timeout_s: Longest wait for the end, seconds.
    """
    backend = local_backend(data)
    jobs, sent = make_inputs(events, duplicates, subscriptions, seed)
    backend.records.transact(
        lambda transaction: [
            transaction.put(record)
            for record in (*(watched(f"sub_{number}") for number in range(subscriptions)), *jobs)
        ]
    )
    begun = time.monotonic()
    with start(
        "kill_workers_in_turn", str(data), variant, seed, workers, kill_interval_ms, stdin=subprocess.PIPE
    ) as parent:
        for first in range(0, len(sent), 20):
            batch = [Envelope(JobFinished(id), backend.now()) for id in sent[first : first + 20]]
            # A tick every 200 events: what is due and what new events bring is dispatched side by side.
            if first % 200 == 0:
                batch.append(Envelope(DeliveriesDue(format_rfc3339(backend.now())), backend.now()))
            backend.records.transact(
                lambda transaction, batch=batch: [transaction.send(envelope) for envelope in batch]
            )
            time.sleep(max(0.0, begun + send_duration_s * first / len(sent) - time.monotonic()))
        while local_queue(backend).depth() and time.monotonic() - begun < timeout_s:
            time.sleep(0.05)
        seconds = time.monotonic() - begun
        parent.stdin.close()
        counts = json.loads(parent.stdout.read())
    finish(data, backend.now())
    verdict = check_data_folder(data, jobs)
    verdict.sent, verdict.seconds = len(sent), seconds
    verdict.kills, verdict.ended = counts["kills"], counts["ended"]
    return verdict


def check_data_folder(data: Path, jobs: list[Job]) -> Verdict:
    """Compare what the data folder holds with what the jobs must have left."""
    backend = local_backend(data)
    find = partial(backend.records.find, limit=1_000_000)
    verdict = Verdict(len(jobs), len(jobs))
    alerts, deliveries, subscriptions = find(Alert), find(Delivery), find(Subscription)
    expected_alerts = {alert_id(job.subscription, job.acquisition) for job in jobs}
    expected_deliveries = {
        delivery_id(alert_id(job.subscription, job.acquisition), channel.id)
        for job in jobs
        for channel in watched(job.subscription).channels
    }
    alert_ids, delivery_ids = {alert.id for alert in alerts}, {delivery.id for delivery in deliveries}
    sent: defaultdict[str, list[bytes]] = defaultdict(list)
    for line in channel_lines(data):
        sent[json.loads(line)["id"]].append(line)
    history = data / HISTORY_FILE
    committed = Counter(history.read_text().splitlines() if history.exists() else ())
    verdict.lost = (
        len(expected_alerts - alert_ids)
        + len(expected_deliveries - delivery_ids)
        + len(expected_alerts - sent.keys())
    )
    verdict.doubled = (
        sum(count - 1 for count in committed.values())
        + sum(subscription.alerts for subscription in subscriptions)
        - len(alerts)
    )
    verdict.sent_again = sum(len(lines) - 1 for lines in sent.values())
    if unexpected := alert_ids - expected_alerts:
        verdict.faults.append(f"{len(unexpected)} alerts without a job")
    if unexpected := delivery_ids - expected_deliveries:
        verdict.faults.append(f"{len(unexpected)} deliveries without an alert")
    if gone := {line.split()[1] for line in committed} - alert_ids - delivery_ids:
        verdict.faults.append(f"{len(gone)} records were committed and are gone")
    if waiting := [delivery for delivery in deliveries if delivery.state != "delivered"]:
        verdict.faults.append(f"{len(waiting)} deliveries are not delivered, the first is {waiting[0]}")
    if different := [id for id, lines in sent.items() if len(set(lines)) > 1]:
        verdict.faults.append(f"{len(different)} alerts were sent with different content")
    for subscription in subscriptions:
        numbers = sorted(alert.number for alert in alerts if alert.subscription == subscription.id)
        if numbers != list(range(1, len(numbers) + 1)):
            verdict.faults.append(f"the numbers of {subscription.id} do not run from 1 to {len(numbers)}")
    if left := local_queue(backend).depth():
        verdict.faults.append(f"still queued: {left}")
    if letters := find(DeadLetter):
        verdict.faults.append(f"{len(letters)} dead letters, the first: {letters[0].reason}")
    verdict.faults += check_data(data)
    return verdict
