"""One numbered line in a subscription's log: it has a new clear acquisition."""

from dataclasses import dataclass
from datetime import datetime

from revisit.domain.ids import derive_id
from revisit.domain.job import Cover, Statistics


@dataclass(frozen=True, slots=True)
class Alert:
    """Written once, never changed; numbers of one subscription run from 1 without a gap."""

    id: str
    subscription: str
    number: int
    job: str
    acquisition: str
    product: str
    sensing_time: datetime
    created: datetime
    cover: Cover
    indices: dict[str, Statistics]
    backfill: bool = False
    """Whether it belongs to the subscription's past."""
    reason: str = ""
    """What could not be judged, such as a cloud limit without a mask."""
    owner: str = "local"
    """The subscription's."""


def alert_id(subscription: str, acquisition: str) -> str:
    """One alert per subscription and acquisition, whatever is reprocessed or redelivered."""
    return derive_id("alert", subscription, acquisition)
