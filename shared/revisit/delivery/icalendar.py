"""Passes as a calendar (iCalendar, RFC 5545), for whoever plans field work around them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from icalendar import Calendar, Event

from revisit.domain.ids import derive_id
from revisit.domain.passes import Pass

MEDIA_TYPE = "text/calendar; charset=utf-8"
EVENT_DURATION = timedelta(minutes=1)
"""A tile is sensed in seconds; an entry without a length is not shown by every calendar."""
REFRESH_INTERVAL = timedelta(hours=12)
"""How often a calendar that is subscribed to looks again."""


def render_calendar(passes: Iterable[Pass], name: str, now: datetime) -> bytes:
    """The entries of the passes; each keeps its id from one answer to the next, so that it moves and is not
    doubled.

    Args:
        name: Of the calendar, such as the AOI's.
        now: When it is made.
    """
    made = Calendar()
    made.add("prodid", "-//Revisit//passes//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("x-wr-calname", name)
    made.add("refresh-interval", REFRESH_INTERVAL, parameters={"VALUE": "DURATION"})
    for one in passes:
        made.add_component(_pass_event(one, now))
    return bytes(made.to_ical())


def _pass_event(one: Pass, now: datetime) -> Event:
    entry = Event()
    # By day: the moment is learnt anew with each pass, and the same pass stays the same entry.
    entry.add(
        "uid",
        derive_id(
            "pass", one.platform, str(one.relative_orbit), f"{one.expected:%Y-%m-%d}", ",".join(one.tiles)
        )
        + "@revisit",
    )
    entry.add("dtstamp", now)
    entry.add("dtstart", one.expected.replace(microsecond=0))
    entry.add("dtend", one.expected.replace(microsecond=0) + EVENT_DURATION)
    entry.add(
        "summary",
        f"{one.platform.replace('S2', 'Sentinel-2')} over {', '.join(one.tiles[:5])}{' and more' if len(one.tiles) > 5 else ''}",
    )
    entry.add(
        "description",
        f"Relative orbit {one.relative_orbit}; learnt from {one.learnt_from} passes, the last on {one.last:%Y-%m-%d}. "
        "Whether it is clear is seen afterwards.",
    )
    entry.add("transp", "TRANSPARENT")
    return entry
