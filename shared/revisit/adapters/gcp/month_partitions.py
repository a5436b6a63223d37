"""Periods of sensing times: what an id tells of them, and how they are cut where one is too much to read at
once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LAUNCH = datetime(2015, 6, 1, tzinfo=UTC)
"""Nothing was sensed before: Sentinel-2A was launched on 2015-06-23."""
SENSING_MARGIN = timedelta(days=2)
"""The moment in an id is that of the datatake or of the day; of the tile it is minutes, or hours, from it."""
MIN_PERIOD = timedelta(days=31)
"""A partition is a month: what is shorter reads no less."""

_COMPACT = re.compile(r"S2[A-Z]_MSIL(?:1C|2A)_(?P<day>\d{8})T\d{6}_N\d{4}_R\d{3}_T(?P<tile>\d{2}[A-Z]{3})_")
_OLD = re.compile(
    r"S2[A-Z]_[A-Z]{4}_PRD_MSIL(?:1C|2A)_[A-Z0-9]{4}_\d{8}T\d{6}_R\d{3}_V(?P<day>\d{8})T\d{6}_\d{8}T\d{6}_T(?P<tile>\d{2}[A-Z]{3})$"
)
_STAC = re.compile(r"S2[A-Z]_(?P<tile>\d{2}[A-Z]{3})_(?P<day>\d{8})_\d+_L(?:1C|2A)$")


@dataclass(frozen=True, slots=True)
class Period:
    """From one sensing time to another, both included."""

    start: datetime | None = None
    """None: from the beginning."""
    end: datetime | None = None
    """None: without end."""

    def halves(self, now: datetime) -> "tuple[Period, Period] | None":
        """Its earlier and its later half, or None where it is too short to be cut."""
        first, last = self.start or LAUNCH, self.end or max(now, LAUNCH + 2 * MIN_PERIOD)
        if last - first <= MIN_PERIOD:
            return None
        middle = first + (last - first) / 2
        return Period(self.start, middle - timedelta(microseconds=1)), Period(middle, self.end)


def parse_period(ids: Iterable[str]) -> Period:
    """The period in which products of these ids were sensed; open where an id does not tell."""
    days = []
    for id in ids:
        day = _parse_day(id)
        if day is None:
            return Period()
        days.append(day)
    return Period(min(days) - SENSING_MARGIN, max(days) + SENSING_MARGIN) if days else Period()


def parse_tile(id: str) -> str | None:
    """The tile that an id names, or None."""
    found = _match_id(id)
    return found["tile"] if found else None


def _match_id(id: str) -> "re.Match[str] | None":
    return _COMPACT.match(id) or _OLD.match(id) or _STAC.match(id)


def _parse_day(id: str) -> datetime | None:
    found = _match_id(id)
    try:
        return datetime.strptime(found["day"], "%Y%m%d").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None
