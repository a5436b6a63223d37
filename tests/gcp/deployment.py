"""A deployment on Google's emulators: functions in their own processes, and what tests do to it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.cloud import pubsub_v1

from data import shared_data
from emulators import Emulator, new_project
from emulators.bigquery import create_catalog
from emulators.function_servers import Functions
from emulators.project import create_topics, publish, scheduler_message
from emulators.storage import create_bucket
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.outbox import OUTBOX_COLLECTION
from revisit.adapters.gcp.settings import Settings
from revisit.domain.alert import Alert
from revisit.domain.aoi import AOI
from revisit.domain.events import EVENTS
from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend
from revisit.ports.pagination import find_all
from revisit.ports.system_records import DeadLetter
from revisit.ports.topology import TRIGGER_TOPICS
from revisit.services.subscriptions.create import create_subscription

SITES: dict[str, dict[str, Any]] = {
    "gfmap_31UES": {"recipe": Recipe((), ("NDVI", "NDWI", "EVI"))},
    "gfmap_31UFS": {"recipe": Recipe((), ("NDVI",)), "min_clear": 50.0},
    "majortom_33NZA": {"recipe": Recipe((), ("NDVI", "EVI"))},
    "earthsearch_29RKH": {"recipe": Recipe((), ("NDVI", "NDWI"))},
    "eodag_31TDH": {"recipe": Recipe(("B01",), ()), "level": "L1C"},
}
"""What is watched: the archive's sites, one of them under a condition that most of its dates do not meet."""


def subscribe_to_all_sites(backend: Backend) -> list[Subscription]:
    """Subscribe to every site of the archive."""
    archive = shared_data("archive")
    return [
        create_subscription(
            backend,
            AOI.parse((archive / "aoi" / f"{site}.geojson").read_bytes(), max_area_km2=20_000),
            site,
            **wish,
        )
        for site, wish in SITES.items()
    ]


def archive_source() -> str:
    """The SPEC of the archive."""
    return f"folder:{shared_data('archive')}"


@dataclass
class Deployment:
    """One project with its functions running."""

    settings: Settings
    functions: Functions
    backend: Backend
    """As somebody who looks in from outside has it."""

    def tick(self, topic: str) -> None:
        """What Cloud Scheduler does."""
        publish(self.settings.project, topic, scheduler_message(topic))

    def count_finished(self) -> int:
        """Jobs that are over."""
        return sum(self.backend.records.count(Job, state=state) for state in FINISHED_STATES)

    def wait(self, until: Callable[[], bool], seconds: float, what: str) -> float:
        """Wait for something; returns for how long. A tick of the sweep follows every few seconds
        meanwhile."""
        begun = ticked = time.monotonic()
        while not until():
            assert time.monotonic() - begun < seconds, f"{what}: not within {seconds} s; {self.describe()}"
            if time.monotonic() - ticked > 5:
                self.tick("deliveries.due")
                ticked = time.monotonic()
            time.sleep(0.3)
        return time.monotonic() - begun

    def count_unpublished(self) -> int:
        """Events committed but not known to be published."""
        return sum(depth.ready for depth in self.backend.bus.depth())

    def describe(self) -> str:
        """How things stand, in one line."""
        states = Counter(job.state for job in find_all(self.backend.records, Job))
        letters = [
            f"{letter.function}: {letter.reason}" for letter in find_all(self.backend.records, DeadLetter)
        ]
        return (
            f"jobs {dict(states)}, {self.backend.records.count(Alert)} alerts, {self.count_unpublished()} "
            f"rows in {OUTBOX_COLLECTION}, dead letters {letters[:3]}"
            + "".join(f"\n{line}" for line in self._unfinished())
        )

    def _unfinished(self) -> Iterator[str]:
        """What the functions wrote of the jobs that are not over, and what each wrote last on stderr."""
        under_way = {
            job.id for job in find_all(self.backend.records, Job) if job.state not in FINISHED_STATES
        }
        for name, function in self.functions.by_name.items():
            yield from (
                f"{name}: {line}"
                for line in function.log.read_text().splitlines()
                if any(id in line for id in under_way)
            )
            if under_way and function.errors:
                yield f"{name}, stderr: ...{function.errors.read_text()[-1500:]}"


@contextmanager
def run_deployment(
    google: Mapping[str, Emulator], folder: Path, attempts: int = 8, **environment: str
) -> Iterator[Deployment]:
    """Lay a project out in the emulators and start the chain's functions; see `create_topics` for the
    attempts."""
    settings = Settings(new_project(), sources=(archive_source(),))
    create_bucket(google["STORAGE_EMULATOR_HOST"].host, settings.bucket)
    create_catalog(settings)
    variables = {
        "REVISIT_PROJECT": settings.project,
        "REVISIT_SOURCES": " ".join(settings.sources),
        **environment,
    }
    with Functions(TRIGGER_TOPICS, variables, folder) as functions:
        create_topics(settings.project, functions.urls, attempts=attempts)
        yield Deployment(settings, functions, gcp_backend(settings))


def chain_outcome(backend: Backend) -> dict[str, Any]:
    """What came out of the chain, without the moments at which it did: jobs, the content of their assets,
    alerts."""
    return {
        "jobs": {job.id: _without_moments(job) for job in find_all(backend.records, Job)},
        "alerts": {
            alert.id: {
                name: value for name, value in asdict(alert).items() if name not in ("created", "number")
            }
            for alert in find_all(backend.records, Alert)
        },
    }


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two such outcomes differ, one line each."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for key in sorted(one.keys() | other.keys())
            for line in differences(one.get(key), other.get(key), f"{where}/{key}")
        ]
    return [] if one == other else [f"{where}: {one!r:.200} is not {other!r:.200}"]


def _without_moments(job: Job) -> dict[str, Any]:
    values = {
        name: value
        for name, value in asdict(job).items()
        if name not in ("created", "finished", "assets", "spent")
    }
    # The item states when it was made.
    values["assets"] = {
        asset.name: (asset.size, asset.sha256, asset.about) for asset in job.assets if asset.name != "item"
    }
    return values


def count_duplicate_alerts(backend: Backend) -> int:
    """Alerts that should not be: beyond one an acquisition, or outside the numbers 1..n of a subscription's
    log."""
    alerts = list(find_all(backend.records, Alert))
    logs = {wish.id: wish.alerts for wish in find_all(backend.records, Subscription)}
    numbers = {id: sorted(alert.number for alert in alerts if alert.subscription == id) for id in logs}
    gaps = sum(numbers[id] != list(range(1, length + 1)) for id, length in logs.items())
    return len(alerts) - len({(alert.subscription, alert.acquisition) for alert in alerts}) + gaps


class DuplicatePublisher(threading.Thread):
    """Publishes again a share of all that is published, once each."""

    def __init__(self, project: str, every_nth: int = 2) -> None:
        super().__init__(daemon=True)
        self._project, self._nth = project, every_nth
        self._over = threading.Event()
        self.message_counts: Counter[str] = Counter()
        """Messages by topic, repetitions by this thread aside."""
        self.injected = 0
        subscriber, publisher = pubsub_v1.SubscriberClient(), pubsub_v1.PublisherClient()
        for topic in EVENTS:
            subscriber.create_subscription(
                name=subscriber.subscription_path(project, f"echo.{topic}"),
                topic=publisher.topic_path(project, topic),
            )

    def run(self) -> None:
        subscriber = pubsub_v1.SubscriberClient()
        while not self._over.wait(0.2):
            for topic in EVENTS:
                path = subscriber.subscription_path(self._project, f"echo.{topic}")
                try:
                    received = subscriber.pull(
                        subscription=path, max_messages=100, return_immediately=True, timeout=5
                    ).received_messages
                    if received:
                        subscriber.acknowledge(
                            subscription=path, ack_ids=[one.ack_id for one in received], timeout=5
                        )
                    for one in received:
                        self._repeat(topic, one.message)
                except (GoogleAPICallError, TimeoutError):
                    continue  # the emulator is stopped just now

    def _repeat(self, topic: str, message: Any) -> None:
        if message.attributes.get("echo"):
            return
        self.message_counts[topic] += 1
        if sum(self.message_counts.values()) % self._nth == 0:
            publish(self._project, topic, message.data, **{**message.attributes, "echo": "1"})
            self.injected += 1

    def stop(self) -> None:
        self._over.set()
        self.join(30)
