"""What one owner has used of a plan; kept only for those whose plan is limited."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime

from revisit.domain.ids import derive_id


@dataclass(frozen=True, slots=True)
class Usage:
    """Read and written with what it counts, in one commit, so that no two requests take the same last
    place."""

    id: str
    owner: str
    day: date
    """UTC; a new day begins with no jobs and no keys."""
    jobs: dict[str, int] = field(default_factory=dict)
    """Order -> acquisitions it took of the day's."""
    keys: int = 0
    """Made this day."""
    running: tuple[str, ...] = ()
    """Orders that may still be worked; those that are over are taken off when their places are wanted."""
    watching: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Subscription -> its webhook channels; those that were deleted are taken off when their places are
    wanted."""

    @property
    def jobs_today(self) -> int:
        return sum(self.jobs.values())

    @property
    def webhooks(self) -> frozenset[str]:
        """Different ones, however many subscriptions share them."""
        return frozenset(channel for channels in self.watching.values() for channel in channels)

    def for_day(self, day: date) -> "Usage":
        """The usage on a day."""
        return self if day == self.day else replace(self, day=day, jobs={}, keys=0)


def usage_id(owner: str) -> str:
    """One record an owner."""
    return derive_id("usage", owner)


def new_usage(owner: str, now: datetime) -> Usage:
    """Of somebody who has asked for nothing yet."""
    return Usage(usage_id(owner), owner, now.date())
