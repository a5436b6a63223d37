"""Calendar of upcoming passes (iCalendar, RFC 5545)."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from icalendar import Calendar, Event

from revisit.domain.ids import derive_id
from revisit.domain.passes import Pass

MEDIA_TYPE = "text/calendar; charset=utf-8"
EVENT_DURATION = timedelta(minutes=1)
"""A tile is sensed in seconds, but some calendars do not show events without a duration."""
REFRESH_INTERVAL = timedelta(hours=12)
"""How often a subscribed calendar refreshes."""


def render_calendar(passes: Iterable[Pass], name: str, now: datetime) -> bytes:
    """The calendar as a file.

    Each event keeps its id from one response to the next, so that calendars move it instead of duplicating
    it.

    Args:
        passes: Predicted passes.
        name: Name of the calendar, such as that of the AOI.
        now: Time of creation.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Revisit//passes//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", REFRESH_INTERVAL, parameters={"VALUE": "DURATION"})
    for predicted in passes:
        calendar.add_component(_pass_event(predicted, now))
    return bytes(calendar.to_ical())


def _pass_event(predicted: Pass, now: datetime) -> Event:
    entry = Event()
    # By day: the predicted time changes with every pass that is added, and the event must stay the same.
    entry.add(
        "uid",
        derive_id(
            "pass",
            predicted.platform,
            str(predicted.relative_orbit),
            f"{predicted.expected:%Y-%m-%d}",
            ",".join(predicted.tiles),
        )
        + "@revisit",
    )
    entry.add("dtstamp", now)
    entry.add("dtstart", predicted.expected.replace(microsecond=0))
    entry.add("dtend", predicted.expected.replace(microsecond=0) + EVENT_DURATION)
    entry.add(
        "summary",
        f"{predicted.platform.replace('S2', 'Sentinel-2')} over {', '.join(predicted.tiles[:5])}"
        f"{' and more' if len(predicted.tiles) > 5 else ''}",
    )
    entry.add(
        "description",
        f"Relative orbit {predicted.relative_orbit}; predicted from {predicted.learnt_from} passes, "
        f"the last on {predicted.last:%Y-%m-%d}. Cloud cover is known after the pass.",
    )
    entry.add("transp", "TRANSPARENT")
    return entry
