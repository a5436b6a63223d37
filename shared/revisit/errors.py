"""The two ways to fail: the world may mend, or it will not.

    Exception
    ├── Retry        try again later: the message is redelivered
    └── GiveUp       trying again cannot help: the reason is recorded, nothing is redelivered
        ├── BadInput     what was asked makes no sense: HTTP 422, exit code 2
        │   └── BadShape     an AOI that is no sound polygon on Earth, with the places where it is not
        ├── NotFound     no such thing, or not yours: HTTP 404, exit code 2
        ├── Conflict     what was asked contradicts what is there: HTTP 409, exit code 2
        ├── Stale        what is to be changed is not as it was when it was read: HTTP 412, exit code 2
        ├── Unknown      nobody we know is asking: HTTP 401, exit code 2
        └── TooMany      more than the plan allows for now: HTTP 429, exit code 2

Every message is one sentence that names the value and the remedy. Only `runtime.on`, the API's one error table and the
command line catch them.
"""


type Fault = tuple[tuple[float, float] | None, str]
"""Where something is wrong, lon/lat degrees, None where that is no place; and what."""


class Retry(Exception):
    """The world may mend: a time-out, a server error, a record not there yet."""


class GiveUp(Exception):
    """It will not mend: bad pixels, a missing band, a refused address."""


class BadInput(GiveUp):
    """What was asked makes no sense."""


class BadShape(BadInput):
    """An AOI that is no sound polygon on Earth."""

    def __init__(self, sentence: str, *errors: "Fault") -> None:
        super().__init__(sentence)
        self.errors = errors or ((None, sentence),)
        """Each place that is wrong, and why."""
        self.repairable = False
        """Whether a repair was tried, and made a sound polygon of it."""


class NotFound(GiveUp):
    """There is no such thing, or it is not yours."""


class Conflict(GiveUp):
    """What was asked contradicts what is there."""


class Stale(GiveUp):
    """What is to be changed has been changed since it was read."""


class Unknown(GiveUp):
    """Nobody we know is asking: no token or key, or not one of ours, or one that is over."""


class TooMany(GiveUp):
    """More than the plan allows for now."""

    def __init__(self, sentence: str, limit: int, used: int, wait_s: int) -> None:
        super().__init__(sentence)
        self.limit = limit
        """Of the plan."""
        self.used = used
        """Of it already."""
        self.wait_s = wait_s
        """Seconds after which asking again is worth while."""
