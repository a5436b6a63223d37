"""The retry policy: how often, after which delays, and after which failures a call is repeated."""

import pytest
from google.api_core import exceptions

from revisit.adapters.gcp.errors import TRANSIENT_ERRORS
from revisit.net.retry import AttemptFailedError, RetryPolicy, is_transient_status

GRPC_ONLY = (exceptions.Aborted, exceptions.Cancelled)
"""Transient, though their HTTP statuses 409 and 499 are not."""


def failing(times, error=None):
    """A function that fails some times and then returns how often it was called."""
    calls = []

    def attempt():
        calls.append(1)
        if len(calls) <= times:
            raise error or AttemptFailedError("no answer")
        return len(calls)

    return attempt


def test_a_call_is_repeated_until_it_returns():
    delays = []
    policy = RetryPolicy(first_delay_s=1.0, factor=4.0, max_attempts=4)
    assert policy.call(failing(3), sleep=delays.append) == 4
    assert delays == [1.0, 4.0, 16.0]


def test_the_last_failure_is_raised_after_the_last_attempt():
    delays = []
    with pytest.raises(AttemptFailedError, match="no answer"):
        RetryPolicy(first_delay_s=1.0, max_delay_s=3.0, max_attempts=4).call(failing(9), sleep=delays.append)
    assert delays == [1.0, 2.0, 3.0]


def test_other_failures_are_not_repeated():
    attempt = failing(1, ValueError("bad"))
    with pytest.raises(ValueError, match="bad"):
        RetryPolicy(first_delay_s=0.0, max_attempts=3).call(attempt)
    assert attempt() == 2


def test_a_retry_after_lengthens_the_delay_and_one_beyond_the_limit_ends_the_attempts():
    policy, delays = RetryPolicy(first_delay_s=1.0, max_attempts=3, max_retry_after_s=60.0), []
    policy.call(failing(1, AttemptFailedError("busy", 7.0)), sleep=delays.append)
    policy.call(failing(1, AttemptFailedError("busy", 0.5)), sleep=delays.append)
    assert delays == [7.0, 1.0]
    with pytest.raises(AttemptFailedError, match="busy"):
        policy.call(failing(1, AttemptFailedError("busy", 61.0)), sleep=delays.append)
    assert delays == [7.0, 1.0]


def test_no_attempt_starts_after_the_time_is_up():
    with pytest.raises(AttemptFailedError):
        RetryPolicy(first_delay_s=5.0, max_elapsed_s=4.0).call(failing(1), sleep=pytest.fail)


def test_full_jitter_spreads_the_delays_from_zero_to_their_length():
    delays = []
    policy = RetryPolicy(first_delay_s=0.5, max_delay_s=8.0, full_jitter=True, max_attempts=40)
    policy.call(failing(39), sleep=delays.append)
    assert all(0 <= delay <= min(0.5 * 2**number, 8.0) for number, delay in enumerate(delays))
    assert len(set(delays)) == 39


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 520, 529])
def test_a_transient_status_is_retried(status):
    assert is_transient_status(status)


@pytest.mark.parametrize(
    "status", [200, 301, 304, 400, 401, 403, 404, 409, 410, 416, 422, 499, 501, 505, 600]
)
def test_a_permanent_status_is_not_retried(status):
    assert not is_transient_status(status)


def test_googles_errors_are_transient_by_the_same_table():
    classes = {
        each
        for each in vars(exceptions).values()
        if isinstance(each, type) and issubclass(each, exceptions.GoogleAPICallError) and each.code
    }
    assert len(classes) > 15
    for each in classes:
        transient = issubclass(each, TRANSIENT_ERRORS)
        assert transient == (is_transient_status(int(each.code)) or each in GRPC_ONLY), each
