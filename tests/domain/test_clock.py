"""Instants as users write them, and as they are printed."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revisit.domain.clock import format_rfc3339, parse_end_instant, parse_instant
from revisit.errors import InvalidInputError


@given(
    st.datetimes(
        min_value=datetime(1000, 1, 1),
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
    )
)
def test_an_instant_is_read_back_as_it_was_printed(moment):
    try:
        text = format_rfc3339(moment)
    except OverflowError:
        return
    assert parse_instant(text) == moment and text.endswith("Z")


def test_a_day_means_its_first_moment_or_all_of_it():
    assert parse_instant("2024-06-01") == datetime(2024, 6, 1, tzinfo=UTC)
    last = datetime(2024, 6, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    assert parse_end_instant("2024-06-01") == parse_end_instant("20240601") == last
    assert parse_end_instant("2024-06-01T10:30:00+02:00") == datetime(2024, 6, 1, 8, 30, tzinfo=UTC)
    assert parse_end_instant("2024-06-01t10:30:00Z") == datetime(2024, 6, 1, 10, 30, tzinfo=UTC)
    assert parse_end_instant("9999-12-31").year == 9999


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2024-13-01",
        "2024-02-30",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2024-06-01T00:00:00+99:99",
        "1717200000",
    ],
)
def test_what_is_no_date_is_refused(text):
    with pytest.raises(InvalidInputError, match="is not a date or instant"):
        parse_instant(text)
