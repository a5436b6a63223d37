"""Small valid things, of which a test states only what matters to it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from revisit.domain.alert import Alert, alert_id
from revisit.domain.delivery import Delivery
from revisit.domain.events import Event
from revisit.domain.job import Cover
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription
from revisit.ports.cloudevents import Envelope

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
SQUARE_AOI = {
    "type": "Polygon",
    "coordinates": [[[10.0, 45.0], [10.1, 45.0], [10.1, 45.1], [10.0, 45.1], [10.0, 45.0]]],
}


@dataclass
class StoppedClock:
    """A clock that a test sets."""

    present: datetime = NOON

    def __call__(self) -> datetime:
        return self.present

    def advance(self, seconds: float) -> None:
        """Forward, or backward for a negative number."""
        self.present += timedelta(seconds=seconds)


def subscription(id: str = "sub_1", **fields: Any) -> Subscription:
    return Subscription(
        **{
            "id": id,
            "name": "Lake",
            "aoi": SQUARE_AOI,
            "tiles": ("32TNR",),
            "recipe": Recipe(indices=("NDVI",)),
            "created": NOON,
        }
        | fields
    )


def alert(
    subscription: str = "sub_1",
    number: int = 1,
    acquisition: str = "S2A_20240601T101031_T32TNR",
    **fields: Any,
) -> Alert:
    return Alert(
        **{
            "id": alert_id(subscription, acquisition),
            "subscription": subscription,
            "number": number,
            "job": "job_1",
            "acquisition": acquisition,
            "product": "P",
            "sensing_time": NOON,
            "created": NOON,
            "cover": Cover(100, 90, 80),
            "indices": {},
        }
        | fields
    )


def delivery(id: str = "delivery_1", **fields: Any) -> Delivery:
    return Delivery(
        **{
            "id": id,
            "alert": "alert_1",
            "subscription": "sub_1",
            "channel": "channel_1",
            "target": "https://example.org/hook",
            "created": NOON,
            "due": NOON,
        }
        | fields
    )


def envelope(event: Event, time: datetime = NOON) -> Envelope:
    return Envelope(event, time)
