"""A deployment with several users: records of every kind that are Ann's, and which users may see them."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from flask.testing import FlaskClient

from backends import with_settings
from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.adapters.local.backend import PIPES, local_backend
from revisit.api import create_app
from revisit.api.routes import event_stream
from revisit.domain.alert import Alert, alert_id
from revisit.domain.delivery import Attempt, Delivery
from revisit.domain.events import JobStarted
from revisit.domain.job import Cover, Statistics
from revisit.errors import UnauthenticatedError
from revisit.ports.authenticator import Authenticator, Claims
from revisit.ports.backend import Backend
from revisit.ports.cloudevents import Envelope
from revisit.ports.system_records import DeadLetter, SourceState
from revisit.services.accounts.keys import create_key
from revisit.services.subscriptions.results import list_jobs

SUBSCRIPTION_NAME = "the secret lake"
"""Of Ann's subscription."""
SOURCE = "folder:/archive"
USERS = {"ann": Claims("ann"), "bob": Claims("bob"), "boss": Claims("boss", operator=True)}


@dataclass(frozen=True)
class Deployment:
    """One deployment."""

    backend: Backend
    path_values: dict[str, str]
    """What stands in a path, by the name of what comes before it."""
    keys: dict[str, str]
    """Ann's keys, by their scope."""
    folder: Path

    @property
    def client(self) -> FlaskClient:
        app = create_app(self.backend)
        event_stream.limit_streams(app, event_stream.MAX_STREAMS)
        return app.test_client()

    def copy(self, folder: Path) -> "Deployment":
        """The same at another place, to be changed there."""
        # The pipes belong to the processes that wait, and are not copied.
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(PIPES))
        return replace(self, backend=_backend(folder), folder=folder)


def _verify(token: str) -> Claims:
    if token not in USERS:
        raise UnauthenticatedError("sign in again")
    return USERS[token]


def _backend(folder: Path) -> Backend:
    return with_settings(local_backend(folder, (SOURCE,), lambda: NOW), authenticator=Authenticator(_verify))


def make_deployment(folder: Path) -> Deployment:
    """A new world below a folder."""
    backend = _backend(folder)
    backend.records.transact(lambda transaction: transaction.put(SourceState(SOURCE, refreshed=NOW)))
    first, archive = product(1), folder.parent / "archive"
    package = archive / f"{first.id}.SAFE"
    package.mkdir(parents=True)
    (package / "preview.jpg").write_bytes(b"pixels")
    add_to_catalog(backend, replace(first, source=f"folder:{archive}", href=str(package)), product(2))
    client, ann = create_app(backend).test_client(), {"Authorization": "Bearer ann"}
    hook = "https://hooks.example.com/x"
    made = client.post(
        "/subscriptions",
        json={"aoi": FIELD, "name": SUBSCRIPTION_NAME, "backfill": "2024-06-01", "webhooks": [hook]},
        headers=ann,
    )
    placed = client.post(
        "/orders", json={"aoi": FIELD, "start": "2024-06-01", "end": "2024-06-01"}, headers=ann
    )
    assert (made.status_code, placed.status_code) == (201, 202), made.text + placed.text
    file = backend.assets.workspace() / "ndvi"
    file.write_bytes(b"pixels")
    asset = backend.assets.store(file, "jobs/x/NDVI.tif", "image/tiff")
    job = end_job(
        backend,
        list_jobs(backend, placed.json["order"], "ann")[0],
        cover=Cover(10, 8, 6, cloud=2),
        assets=(asset,),
        indices={"NDVI": Statistics(6, 0.5, 0.1, 0.1, 0.9, 0.5)},
    )
    letter = DeadLetter(
        "event_1:extract",
        "extract",
        "job.started",
        "no memory",
        NOW,
        8,
        Envelope(JobStarted("job_1"), NOW).encode().decode(),
    )
    watched, channel = made.json["subscription"], made.json["channels"][0]["id"]
    line = Alert(
        alert_id(watched, job.acquisition),
        watched,
        1,
        job.id,
        job.acquisition,
        job.product.id,
        job.product.sensing_time,
        NOW,
        Cover(1, 1, 1),
        {"NDVI": Statistics(6, 0.5, 0.1, 0.1, 0.9, 0.5)},
        owner="ann",
    )
    carried = Delivery(
        "delivery_1",
        line.id,
        watched,
        channel,
        hook,
        NOW,
        None,
        (Attempt(NOW, "500"),),
        "failed",
        host="hooks.example.com",
    )
    backend.commit(
        lambda commit: [commit.put(record) for record in (letter, line, carried)], completes_event=False
    )
    read, write = (create_key(backend, scope, [scope], owner="ann") for scope in ("read", "write"))
    things = {
        "subscriptions": watched,
        "orders": placed.json["order"],
        "jobs": placed.json["order"],
        "results": job.id,
        "keys": read[0].id,
        "dead-letters": letter.id,
        "assets": "NDVI",
        "feeds": made.json["feed"].removeprefix("/feeds/").removesuffix(".atom"),
        "channels": channel,
        "deliveries": carried.id,
    }
    return Deployment(backend, things, {"read": read[1], "write": write[1]}, folder)
