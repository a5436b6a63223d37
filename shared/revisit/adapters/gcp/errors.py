"""What Google's services answer when they do not, as one of the two ways to fail."""

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from revisit.errors import GiveUp, Retry

TRANSIENT = (exceptions.Aborted, exceptions.DeadlineExceeded, exceptions.GatewayTimeout, exceptions.BadGateway, exceptions.ServiceUnavailable,
             exceptions.InternalServerError, exceptions.TooManyRequests, exceptions.RetryError, exceptions.Unknown, exceptions.Cancelled,
             TransportError, ConnectionError, TimeoutError)


@contextmanager
def asking(service: str, about: str, role: str) -> Iterator[None]:
    """Say in one sentence why a service did not do what was asked.

    Args:
        service: "Firestore", "Pub/Sub", ...
        about: What it was asked for: "the database (default) of project p".
        role: What the account needs to be granted where the service refuses it.

    Raises:
        Retry: It may do it later.
        GiveUp: It will not: no permission, no such thing, no account.
    """
    try:
        yield
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise GiveUp(f"{service} refuses this account {about} ({error.message}); grant it {role}") from error
    except TRANSIENT as error:
        raise Retry(f"{service} does not answer for {about}: {_first_line(error)}") from error
    except (DefaultCredentialsError, RefreshError) as error:
        raise GiveUp(f"there is no Google account to ask {service} with ({_first_line(error)}); run `gcloud auth application-default login`") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
