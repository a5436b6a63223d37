"""Alerts: numbered entries in a subscription's log, one per new clear acquisition."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

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
    kind: Literal["new", "updated"] = "new"
    """Whether it is the first alert of its pass, or says that an alerted result has changed."""
    updates: int | None = None
    """Number of the pass's first alert, in one of kind "updated"."""
    again: int = 0
    """The job's `again`: the run that the alert is about."""


def alert_id(subscription: str, observed: str, again: int = 0) -> str:
    """Id of an alert: one per subscription and pass, and one for each later run of its job that changed the
    result, even if a product is reprocessed or a message redelivered.

    Args:
        subscription: Id of the subscription.
        observed: The job's `observed`.
        again: The job's `again` for an alert of kind "updated"; 0 for the first alert of the pass.
    """
    return derive_id("alert", subscription, observed, *([str(again)] if again else []))
