"""Alerts: numbered entries in a subscription's log, one per new clear acquisition."""

from dataclasses import dataclass
from datetime import datetime

from revisit.domain.ids import derive_id
from revisit.domain.job import Cover, Statistics


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, written once and never changed; numbers of a subscription run from 1 without a gap."""

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
    """Whether it comes from the subscription's backfill."""
    reason: str = ""
    """What could not be checked, such as a cloud limit without a mask."""
    owner: str = "local"
    """Owner of the subscription."""


def alert_id(subscription: str, acquisition: str) -> str:
    """One alert per subscription and acquisition, even if a product is reprocessed or a message
    redelivered."""
    return derive_id("alert", subscription, acquisition)
