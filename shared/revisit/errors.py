"""Error types: transient (a retry may succeed) and permanent.

    Exception
    ├── TransientError                    a retry may succeed: the message is redelivered
    └── PermanentError                    a retry cannot succeed: the reason is recorded
        ├── InvalidInputError             invalid input: HTTP 422, exit code 2
        │   └── InvalidGeometryError      an invalid AOI, with the position of each fault
        ├── NotFoundError                 missing, or owned by another user: HTTP 404, exit code 2
        ├── ConflictError                 contradicts the current state: HTTP 409, exit code 2
        ├── PreconditionFailedError       changed since it was read: HTTP 412, exit code 2
        ├── UnauthenticatedError          missing, invalid or expired credentials: HTTP 401, exit code 2
        └── QuotaExceededError            above a limit of the plan: HTTP 429, exit code 2

Every message is one sentence that names the value and the remedy.

`runtime.on`, the API's error table and the command line turn these errors into answers. Elsewhere, catch an
error only to translate it, to record it, or to skip one of many; never to hide it. `except Exception` is for
`runtime.on` alone.
"""

type GeometryFault = tuple[tuple[float, float] | None, str]
"""Position of a fault (longitude, latitude in degrees; None if it has no position) and its description."""


class TransientError(Exception):
    """A failure that a retry may fix: a time-out, a server error, a record that is not written yet."""


class PermanentError(Exception):
    """A failure that a retry cannot fix: a damaged file, a missing band, a refused address."""


class InvalidInputError(PermanentError):
    """Invalid input."""


class InvalidGeometryError(InvalidInputError):
    """An AOI that is not a valid polygon on Earth.

    Args:
        message: One sentence for all faults.
        errors: Each fault; the message without a position if none is given.
    """

    def __init__(self, message: str, *errors: "GeometryFault") -> None:
        super().__init__(message)
        self.errors = errors or ((None, message),)
        self.repairable = False
        """Whether a repair was tried and resulted in a valid polygon."""


class NotFoundError(PermanentError):
    """The object does not exist, or belongs to another user."""


class ConflictError(PermanentError):
    """The request contradicts the current state."""


class PreconditionFailedError(PermanentError):
    """The object has changed since it was read."""


class UnauthenticatedError(PermanentError):
    """Missing, invalid or expired credentials."""


class QuotaExceededError(PermanentError):
    """A request above a limit of the plan.

    Args:
        message: One sentence that names the limit.
        limit: The plan's limit.
        used: How much of it is used.
        retry_after_s: Seconds until a retry may succeed.
    """

    def __init__(self, message: str, limit: int, used: int, retry_after_s: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.used = used
        self.retry_after_s = retry_after_s
