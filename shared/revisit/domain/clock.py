"""Current time, and instants as text: UTC, aware, RFC 3339 with Z."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from revisit.errors import InvalidInputError


class Clock(Protocol):
    """Returns the current time; tests pass one that they set."""

    def __call__(self) -> datetime:
        """The current time, UTC and aware."""
        ...


def system_clock() -> datetime:
    """Time of the computer's clock; no other code reads it."""
    return datetime.now(UTC)


def parse_instant(text: str) -> datetime:
    """Parse an RFC 3339 instant, or a date as its first instant in UTC.

    Raises:
        InvalidInputError: The text is neither.
    """
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInputError(
            f"{text!r} is not a date or instant; write 2024-06-01 or 2024-06-01T10:30:00Z"
        ) from None


def parse_end_instant(text: str) -> datetime:
    """As `parse_instant`, but a date means the end of that day: date ranges include both days."""
    read = parse_instant(text)
    return read if len(text) > len("2024-06-01") else read + timedelta(days=1, microseconds=-1)


def format_rfc3339(moment: datetime) -> str:
    """Format an instant as 2024-06-01T10:30:00Z, with a fraction only if there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def epoch_micros(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (moment - _EPOCH) // _MICROSECOND
