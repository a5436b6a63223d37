"""A subscription with webhook and file channels, its finished jobs, and their deliveries."""

import json
from datetime import UTC, datetime, timedelta

from revisit.domain.alert import Alert
from revisit.domain.delivery import Delivery
from revisit.domain.job import Cover, Job, Statistics
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription

NOW = datetime(2024, 2, 28, 22, 30, tzinfo=UTC)
"""A leap year: the schedule runs over 29 February."""

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""As a record of the first release holds it."""
NDVI = Recipe(indices=("NDVI",))
RETRY_HOURS = (0, 5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24)
"""R11, by hand."""


def put_records(backend, *records):
    backend.commit(lambda commit: [commit.put(each) for each in records] and None, completes_event=False)


def add_subscription(backend, *targets, **changes):
    """A subscription whose channels are webhooks to receivers, or files by name."""
    channels = tuple(
        Channel("file", each) if isinstance(each, str) else Channel("webhook", each.url, SECRET)
        for each in targets
    )
    made = Subscription(
        **{
            "id": "sub_1",
            "name": "Field",
            "aoi": {},
            "tiles": ("32TNR",),
            "recipe": NDVI,
            "created": NOW,
            "channels": channels,
            **changes,
        }
    )
    put_records(backend, made)
    return made


def delete_subscription(backend, id):
    """End a subscription, as the command does; what it was when that was answered."""

    def work(commit):
        gone = commit.get(Subscription, id).with_changes(state="deleted")
        commit.put(gone)
        return gone

    return backend.commit(work, completes_event=False)


def add_finished_job(backend, number=1, subscription="sub_1", **changes):
    """A finished job of the subscription."""
    stamp = f"202402{number % 28 + 1:02d}T{number // 28:02d}1600"
    product = Product(
        id=f"S2A_MSIL2A_{stamp}_N0510_R065_T32TNR_{stamp}",
        source="folder:/archive",
        level="L2A",
        platform="S2A",
        tile="32TNR",
        sensing_time=NOW - timedelta(days=1),
        datatake=stamp,
        west=8.9,
        south=44.5,
        east=10.4,
        north=45.6,
    )
    job = Job(
        **{
            "id": f"job_{subscription}_{number}",
            "product": product,
            "aoi": {},
            "recipe": NDVI,
            "created": NOW,
            "state": "done",
            "subscription": subscription,
            "cover": Cover(400, 300, 225),
            "indices": {"NDVI": Statistics(225, 0.5, 0.1, 0.2, 0.8, 0.5)},
            **changes,
        }
    )
    put_records(backend, job)
    return job


def list_alerts(backend, subscription="sub_1"):
    return sorted(backend.records.find(Alert, subscription=subscription), key=lambda alert: alert.number)


def list_deliveries(backend, **fields):
    return sorted(backend.records.find(Delivery, **fields), key=lambda delivery: delivery.created)


def get_subscription(backend):
    return backend.get_record(Subscription, "sub_1")


def webhook_ids(receiver):
    return [headers["webhook-id"] for headers, _ in receiver.requests]


def channel_lines(backend, name="alerts"):
    return [
        json.loads(line)
        for line in (backend.settings.channel_folder / f"{name}.jsonl").read_text().splitlines()
    ]
