"""Errors of Google's services, translated to transient and permanent errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from revisit.errors import PermanentError, TransientError
from revisit.net.retry import TRANSIENT_EXCEPTIONS

TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.DeadlineExceeded,
    exceptions.GatewayTimeout,
    exceptions.BadGateway,
    exceptions.ServiceUnavailable,
    exceptions.InternalServerError,
    exceptions.TooManyRequests,
    exceptions.RetryError,
    exceptions.Unknown,
    TransportError,
    *TRANSIENT_EXCEPTIONS,
)
"""Google's classes for the statuses of `net.retry`, and those that only gRPC has (Aborted, Cancelled)."""
TRANSIENT_REASONS = frozenset(
    (
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
        "quotaExceeded",
        "stopped",
        "timeout",
    )
)
"""Reasons of BigQuery (https://cloud.google.com/bigquery/docs/error-messages) after which a retry may
succeed."""


@contextmanager
def translate_errors(service: str, resource: str, role: str) -> Iterator[None]:
    """Translate errors of a service to one sentence each.

    Args:
        service: "Firestore", "Pub/Sub", ...
        resource: The resource of the request: "the database (default) of project p".
        role: Role that the account needs where the service refuses it.

    Raises:
        TransientError: A retry may succeed.
        PermanentError: The account lacks permission, or there are no credentials.
    """
    try:
        yield
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise PermanentError(
            f"{service} refuses this account {resource} ({error.message}); grant it {role}"
        ) from error
    except TRANSIENT_ERRORS as error:
        raise TransientError(f"{service} does not answer for {resource}: {_first_line(error)}") from error
    except (DefaultCredentialsError, RefreshError) as error:
        raise PermanentError(
            f"there are no Google credentials for {service} ({_first_line(error)}); "
            "run `gcloud auth application-default login`"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
