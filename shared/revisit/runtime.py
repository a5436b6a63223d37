"""Turns a message into a call of a handler, and what the handler did into an answer: 200 is done, 500 is try again.

    @on(JobStarted)
    def extract(event, backend): ...

Guards come first: an event already handled is a no-op, and one that is too old, went through too many handlers, came round in
a circle or was tried too often is put aside with its reason. What a handler raises decides the rest: `GiveUp` is recorded and
done, anything else is redelivered until the attempts run out.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import functions_framework

from revisit import wire
from revisit.backend import Backend
from revisit.bookkeeping import DeadLetter
from revisit.clock import rfc3339
from revisit.errors import GiveUp, Retry
from revisit.events import Event

MAX_ATTEMPTS = 8
MAX_HOPS = 8
MAX_AGE = timedelta(hours=20)
"""Below Pub/Sub's retention of 24 h; a backend that keeps messages until they are handled sets its own."""

ATTEMPT = "googclient_deliveryattempt"
"""Message attribute that carries the attempt where the queue tells it (the name Google's own clients use)."""

log = logging.getLogger("revisit")
log.addHandler(logging.NullHandler())  # silent until `log_to` says otherwise

type Handler = Callable[[Any, Backend], None]
type Failure = Callable[[Any, Backend, str], None]

_backend: list[Backend] = []


def use(backend: Backend) -> None:
    """Handle all events of this process with this backend."""
    _backend[:] = [backend]


def current_backend() -> Backend:
    """The backend of this process: the one given to `use`, else the one the environment names.

    Raises:
        GiveUp: The environment names none.
    """
    if not _backend:
        data = os.environ.get("REVISIT_DATA")
        if not data:
            raise GiveUp("no backend: set REVISIT_DATA to a data folder")
        from revisit.local.backend import local_backend

        use(local_backend(Path(data)))
    return _backend[0]


def on(*kinds: type[Event], give_up: Failure | None = None) -> Callable[[Handler], Callable[[Any], None]]:
    """Make a handler the entry point of a function.

    Args:
        kinds: The events it hears; any other is put aside.
        give_up: Called in the handler's place when it cannot succeed, to record the reason where a user looks for it. Without
            it, and for what nobody foresaw, the message goes to the dead letters.
    """

    def register(handler: Handler) -> Callable[[Any], None]:
        @wraps(handler)
        def entry(cloud_event: Any) -> None:
            _handle(cloud_event["id"], cloud_event.data["message"], kinds, handler, give_up)

        wrapped: Callable[[Any], None] = functions_framework.cloud_event(entry)
        return wrapped

    return register


def _handle(message_id: str, message: dict[str, Any], kinds: tuple[type[Event], ...], handler: Handler, give_up: Failure | None) -> None:
    backend, name, begun = current_backend(), handler.__name__, time.perf_counter()
    attempt = int((message.get("attributes") or {}).get(ATTEMPT, 1))
    envelope: wire.Envelope | None = None
    outcome = "done"
    try:
        envelope = wire.from_push(message)
        backend = backend.handling(envelope, name)
        if _already_done(backend):
            outcome = "repeated"
            return
        _guard(envelope, kinds, attempt, backend)
        handler(envelope.event, backend)
    except GiveUp as error:
        outcome = f"gave up: {error}"
        heard = envelope is not None and isinstance(envelope.event, kinds)
        _put_aside(backend, message_id, message, envelope, str(error), attempt, give_up if heard else None)
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
        if not isinstance(error, Retry):
            log.exception("%s did not foresee this", name)
        if attempt < MAX_ATTEMPTS:
            raise
        outcome = f"gave up after {attempt} attempts: {outcome}"
        _put_aside(backend, message_id, message, envelope, outcome, attempt, give_up, unforeseen=True)
    finally:
        _write_line(name, envelope, outcome, attempt, begun)


def _already_done(backend: Backend) -> bool:
    return backend.records.transact(lambda transaction: transaction.marked(backend.done_mark))


def _guard(envelope: wire.Envelope, kinds: tuple[type[Event], ...], attempt: int, backend: Backend) -> None:
    event, age = envelope.event, backend.now() - envelope.time
    if not isinstance(event, kinds):
        raise GiveUp(f"{event.topic} is not an event this function hears")
    if backend.max_age is not None and age > backend.max_age:
        raise GiveUp(f"the event is {age} old, more than {backend.max_age}; replay it if it still matters")
    if envelope.hops > MAX_HOPS:
        raise GiveUp(f"the event went through {envelope.hops} handlers, more than {MAX_HOPS}: a loop")
    if envelope.path.count(event.topic) > 1:
        raise GiveUp(f"{event.topic} caused itself by way of {' > '.join(envelope.path)}: a loop")
    if attempt > MAX_ATTEMPTS:
        raise GiveUp(f"every one of {MAX_ATTEMPTS} attempts ended without an answer; the work may need more memory than there is")


def _put_aside(backend: Backend, message_id: str, message: dict[str, Any], envelope: wire.Envelope | None, reason: str, attempt: int,
               give_up: Failure | None, unforeseen: bool = False) -> None:
    if envelope and give_up:
        give_up(envelope.event, backend, reason)
        if not unforeseen:
            return
    letter = DeadLetter(
        id=f"{envelope.id if envelope else message_id}:{backend.handler or 'unread'}",
        function=backend.handler,
        topic=envelope.event.topic if envelope else "",
        reason=reason,
        at=backend.now(),
        attempts=attempt,
        body=envelope.encode().decode() if envelope else str(message.get("data", "")),
    )
    backend.commit(lambda commit: commit.put(letter), last=False)


def _write_line(function: str, envelope: wire.Envelope | None, outcome: str, attempt: int, begun: float) -> None:
    severity = logging.INFO if outcome in ("done", "repeated") else logging.WARNING
    log.log(severity, "%s", function, extra={"line": {
        "function": function,
        "event": envelope.event.topic if envelope else "",
        "subject": envelope.event.subject if envelope else "",
        "trace": envelope.trace or envelope.id if envelope else "",
        "attempt": attempt,
        "ms": round((time.perf_counter() - begun) * 1e3, 1),
        "outcome": outcome,
    }})


class JsonLines(logging.Formatter):
    """Log records as one JSON object a line, in the fields Cloud Logging reads."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"severity": record.levelname, "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
                "message": record.getMessage(), **getattr(record, "line", {})}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_to(stream: Any = None, level: int = logging.INFO) -> None:
    """Write the log as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines())
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False
