"""Periods of sensing times: derived from product ids, and halved where one query would read too much."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from revisit.domain.product_name import parse_id

LAUNCH = datetime(2015, 6, 1, tzinfo=UTC)
"""Earlier than any product: Sentinel-2A was launched on 2015-06-23."""
SENSING_MARGIN = timedelta(days=2)
"""The date of an id is that of the datatake; the tile's sensing time differs by minutes or hours."""
MIN_PERIOD = timedelta(days=31)
"""The tables are partitioned by month, so a shorter period reads no less."""


@dataclass(frozen=True, slots=True)
class Period:
    """Sensing times from `start` to `end`, both included."""

    start: datetime | None = None
    """None: unbounded."""
    end: datetime | None = None
    """None: unbounded."""

    def halves(self, now: datetime) -> "tuple[Period, Period] | None":
        """Its earlier and its later half; None where it is shorter than a partition."""
        first, last = self.start or LAUNCH, self.end or max(now, LAUNCH + 2 * MIN_PERIOD)
        if last - first <= MIN_PERIOD:
            return None
        middle = first + (last - first) / 2
        return Period(self.start, middle - timedelta(microseconds=1)), Period(middle, self.end)


def parse_period(ids: Iterable[str]) -> Period:
    """The period in which products of these ids were sensed; unbounded where an id states no date."""
    days = []
    for id in ids:
        parts = parse_id(id)
        if parts is None:
            return Period()
        days.append(datetime(parts.day.year, parts.day.month, parts.day.day, tzinfo=UTC))
    return Period(min(days) - SENSING_MARGIN, max(days) + SENSING_MARGIN) if days else Period()


def parse_tile(id: str) -> str | None:
    """The tile that an id states, or None."""
    parts = parse_id(id)
    return parts.tile if parts else None
