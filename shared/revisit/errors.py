"""The two ways to fail: the world may mend, or it will not.

    Exception
    ├── Retry        try again later: the message is redelivered
    └── PermanentError       trying again cannot help: the reason is recorded, nothing is redelivered
        ├── InvalidInputError     what was asked makes no sense: HTTP 422, exit code 2
        │   └── InvalidGeometryError     an AOI that is no sound polygon on Earth, with the places where it is
        not
        ├── NotFound     no such thing, or not yours: HTTP 404, exit code 2
        ├── Conflict     what was asked contradicts what is there: HTTP 409, exit code 2
        ├── Stale        what is to be changed is not as it was when it was read: HTTP 412, exit code 2
        ├── Unknown      nobody we know is asking: HTTP 401, exit code 2
        └── TooMany      more than the plan allows for now: HTTP 429, exit code 2

Every message is one sentence that names the value and the remedy. Only `runtime.on`, the API's one error
table and the
command line catch them.
"""

type GeometryFault = tuple[tuple[float, float] | None, str]
"""Where something is wrong, lon/lat degrees, None where that is no place; and what."""


class TransientError(Exception):
    """The world may mend: a time-out, a server error, a record not there yet."""


class PermanentError(Exception):
    """It will not mend: bad pixels, a missing band, a refused address."""


class InvalidInputError(PermanentError):
    """What was asked makes no sense."""


class InvalidGeometryError(InvalidInputError):
    """An AOI that is no sound polygon on Earth."""

    def __init__(self, message: str, *errors: "GeometryFault") -> None:
        super().__init__(message)
        self.errors = errors or ((None, message),)
        """Each place that is wrong, and why."""
        self.repairable = False
        """Whether a repair was tried, and made a sound polygon of it."""


class NotFoundError(PermanentError):
    """There is no such thing, or it is not yours."""


class ConflictError(PermanentError):
    """What was asked contradicts what is there."""


class PreconditionFailedError(PermanentError):
    """What is to be changed has been changed since it was read."""


class UnauthenticatedError(PermanentError):
    """Nobody we know is asking: no token or key, or not one of ours, or one that is over."""


class QuotaExceededError(PermanentError):
    """More than the plan allows for now."""

    def __init__(self, message: str, limit: int, used: int, retry_after_s: int) -> None:
        super().__init__(message)
        self.limit = limit
        """Of the plan."""
        self.used = used
        """Of it already."""
        self.retry_after_s = retry_after_s
        """Seconds after which asking again is worth while."""
