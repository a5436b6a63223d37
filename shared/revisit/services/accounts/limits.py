"""Limits by plan, shown by GET /limits."""

from dataclasses import dataclass
from datetime import datetime

from revisit.domain.aoi import AOI
from revisit.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits of one plan."""

    subscriptions: int
    """Active or paused subscriptions of one owner."""
    area_km2: float
    """Area of one AOI."""
    days: int
    """Length in days of the period of an order or a backfill; an open end counts up to now."""
    jobs: int
    """Acquisitions of one order, including a backfill."""
    channels: int
    """Channels of one subscription."""
    keys: int
    """Valid API keys of one owner."""
    jobs_a_day: int | None = None
    """Acquisitions that an owner's orders and backfills may take per day (UTC); new acquisitions are not
    counted."""
    orders_running: int | None = None
    """Orders running at a time; backfills are not counted, since they run behind live work."""
    keys_a_day: int | None = None
    """Keys created per day, whether or not they are still valid."""
    webhooks: int | None = None
    """Different webhooks of all subscriptions of one owner."""


WHOLE_ARCHIVE_DAYS = 36_500
"""Longest period in days, longer than the mission."""

PLANS = {
    "local": Limits(subscriptions=10_000, area_km2=100_000, days=36_525, jobs=10_000, channels=20, keys=1000),
    "free": Limits(
        subscriptions=20,
        area_km2=10_000,
        days=366,
        jobs=50,
        channels=5,
        keys=20,
        jobs_a_day=50,
        orders_running=2,
        keys_a_day=20,
        webhooks=5,
    ),
}
"""Limits by plan: `local` for your own computer, `free` for users of a deployment."""


def limits_of(owner: str) -> Limits:
    """The limits of an owner."""
    return PLANS["local" if owner == "local" else "free"]


def check_area(aoi: AOI, limits: Limits) -> None:
    """Reject an AOI larger than the plan allows."""
    if aoi.area_km2 > limits.area_km2:
        raise InvalidInputError(
            f"the AOI has {aoi.area_km2:,.0f} km2, more than the {limits.area_km2:,.0f} km2 allowed; divide "
            "it"
        )


def check_start(start: datetime | None, limits: Limits) -> None:
    """Reject a period without a start if the plan does not allow the whole archive."""
    if start is None and limits.days < WHOLE_ARCHIVE_DAYS:
        raise InvalidInputError(
            f"a period of at most {limits.days:,} days is allowed, so it needs a beginning; give one"
        )


def check_period(start: datetime | None, end: datetime | None, now: datetime, limits: Limits) -> None:
    """Reject a period that ends before it starts, starts in the future, or is longer than the plan allows."""
    if start and end and start > end:
        raise InvalidInputError(
            f"the period ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d}); swap the two dates"
        )
    if start and start > now:
        raise InvalidInputError(
            f"the period begins on {start:%Y-%m-%d}, which has not come yet; choose a day up to "
            f"{now:%Y-%m-%d}"
        )
    if start and (days := ((end or now) - start).days) > limits.days:
        raise InvalidInputError(
            f"a period of {days:,} days is longer than the {limits.days:,} allowed; divide it"
        )
