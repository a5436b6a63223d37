"""Usage of a plan by one owner; stored only for plans with limits."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime

from revisit.domain.ids import derive_id


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one owner, read and written in the same commit as what it counts, so two requests cannot both
    take the last slot.
    """

    id: str
    owner: str
    day: date
    """Day in UTC; a new day starts with no jobs and no keys."""
    jobs: dict[str, int] = field(default_factory=dict)
    """Order -> number of acquisitions that it took of the day's quota."""
    keys: int = 0
    """Number of keys created on this day."""
    running: tuple[str, ...] = ()
    """Orders that may be running; finished ones are removed when a slot is needed."""
    watching: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Subscription -> its webhook channels; deleted ones are removed when a slot is needed."""

    @property
    def jobs_today(self) -> int:
        return sum(self.jobs.values())

    @property
    def webhooks(self) -> frozenset[str]:
        """Number of different webhooks, however many subscriptions share them."""
        return frozenset(channel for channels in self.watching.values() for channel in channels)

    def for_day(self, day: date) -> "Usage":
        """The usage on a day."""
        return self if day == self.day else replace(self, day=day, jobs={}, keys=0)


def usage_id(owner: str) -> str:
    """Id of the one record of an owner."""
    return derive_id("usage", owner)


def new_usage(owner: str, now: datetime) -> Usage:
    """Usage of an owner without any request."""
    return Usage(usage_id(owner), owner, now.date())
