"""How much one owner may ask for, by plan; printed by GET /limits (rules.md Q3)."""

from dataclasses import dataclass
from datetime import datetime

from revisit.domain.aoi import AOI
from revisit.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds of one plan."""

    subscriptions: int
    """Active or paused ones of one owner."""
    area_km2: float
    """Of one AOI."""
    days: int
    """Length of an order's or a backfill's period; an open end counts up to now."""
    jobs: int
    """Acquisitions of one order; a subscription's backfill is an order too."""
    channels: int
    """Of one subscription."""
    keys: int
    """Live ones of one owner."""
    jobs_a_day: int | None = None
    """Acquisitions that an owner's orders may take in a day, UTC, backfills among them; news of what is
    watched is not counted."""
    orders_running: int | None = None
    """At once; a subscription's past is none of them, since it is worked behind all else."""
    keys_a_day: int | None = None
    """Made, whether or not they still live."""
    webhooks: int | None = None
    """Different ones of all subscriptions of one owner."""


WHOLE_ARCHIVE_DAYS = 36_500
"""More than all that the mission will ever have sensed."""

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
"""One's own computer, and a guest of somebody else's."""


def limits_of(owner: str) -> Limits:
    """The limits of an owner."""
    return PLANS["local" if owner == "local" else "free"]


def check_area(aoi: AOI, limits: Limits) -> None:
    """Refuse an AOI larger than the plan allows."""
    if aoi.area_km2 > limits.area_km2:
        raise InvalidInputError(
            f"the AOI has {aoi.area_km2:,.0f} km2, more than the {limits.area_km2:,.0f} km2 allowed; divide it"
        )


def check_start(start: datetime | None, limits: Limits) -> None:
    """Refuse a period without a beginning where the whole archive is more than the plan allows."""
    if start is None and limits.days < WHOLE_ARCHIVE_DAYS:
        raise InvalidInputError(
            f"a period of at most {limits.days:,} days is allowed, so it needs a beginning; give one"
        )


def check_period(start: datetime | None, end: datetime | None, now: datetime, limits: Limits) -> None:
    """Refuse a period that runs backwards, begins in the future, or is longer than the plan allows."""
    if start and end and start > end:
        raise InvalidInputError(
            f"the period ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d}); exchange the two dates"
        )
    if start and start > now:
        raise InvalidInputError(
            f"the period begins on {start:%Y-%m-%d}, which has not come yet; choose a day up to {now:%Y-%m-%d}"
        )
    if start and (days := ((end or now) - start).days) > limits.days:
        raise InvalidInputError(
            f"a period of {days:,} days is longer than the {limits.days:,} allowed; divide it"
        )
