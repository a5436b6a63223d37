"""Turns a message into a call of a handler, and what the handler did into an answer: 200 is done, 500 is try
again.

    @on(JobStarted)
    def extract(event, backend): ...

Guards come first: an event already handled is a no-op, and one that is too old, went through too many
handlers, came round in
a circle or was tried too often is put aside with its reason. What a handler raises decides the rest:
`PermanentError` is recorded and
done, anything else is redelivered until the attempts run out.
"""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import functions_framework
from flask import has_request_context, request

from revisit.domain.clock import format_rfc3339
from revisit.domain.events import Event
from revisit.errors import PermanentError, TransientError
from revisit.ports import cloudevents as wire
from revisit.ports.backend import Backend
from revisit.ports.system_records import DeadLetter

MAX_ATTEMPTS = 8
MAX_HOPS = 8

ATTEMPT_ATTRIBUTE = "googclient_deliveryattempt"
"""Message attribute that carries the attempt in a CloudEvent (the name Google's own clients use); a push
tells it beside the message."""

log = logging.getLogger("revisit")
log.addHandler(logging.NullHandler())  # silent until `configure_logging` says otherwise

type Handler = Callable[[Any, Backend], None]
type FailureHandler = Callable[[Any, Backend, str], None]

_backend: list[Backend] = []


def use_backend(backend: Backend) -> None:
    """Handle all events of this process with this backend."""
    _backend[:] = [backend]


def current_backend() -> Backend:
    """The backend of this process: the one given to `use`, else the one the environment names.

    Raises:
        PermanentError: The environment names none.
    """
    if not _backend:
        try:
            use_backend(backend_from_environment())
        except PermanentError as error:
            # Nobody is told of the answer but Pub/Sub, which tries again until it is put right or the message
            # is dead.
            configure_logging()
            log.critical("%s", error)
            raise
    return _backend[0]


def backend_from_environment() -> Backend:
    """The backend that the environment names: a data folder by REVISIT_DATA, or a Google Cloud project by
    REVISIT_PROJECT.

    Raises:
        PermanentError: It names none, or both, or one that cannot be.
    """
    data, project = os.environ.get("REVISIT_DATA"), os.environ.get("REVISIT_PROJECT")
    if data and project:
        raise PermanentError("both REVISIT_DATA and REVISIT_PROJECT are set; unset the one that is not meant")
    if data:
        from revisit.adapters.local.backend import local_backend

        return local_backend(Path(data))
    if project is None and not any(name.endswith("_EMULATOR_HOST") for name in os.environ):
        raise PermanentError(
            "no backend: set REVISIT_DATA to a data folder, or REVISIT_PROJECT to the id of a Google Cloud project"
        )
    from revisit.adapters.gcp.backend import gcp_backend

    configure_logging()
    return gcp_backend()


def on(
    *event_types: type[Event], on_failure: FailureHandler | None = None
) -> Callable[[Handler], Callable[[Any], None]]:
    """Make a handler the entry point of a function.

    Args:
        kinds: The events it hears; any other is put aside.
        give_up: Called in the handler's place when it cannot succeed, to record the reason where a user looks
            for it. Without
            it, and for what nobody foresaw, the message goes to the dead letters.
    """

    def register(handler: Handler) -> Callable[[Any], None]:
        @wraps(handler)
        def entry(cloud_event: Any) -> None:
            _handle(cloud_event, event_types, handler, on_failure)

        wrapped: Callable[[Any], None] = functions_framework.cloud_event(entry)
        return wrapped

    return register


def _handle(
    cloud_event: Any,
    event_types: tuple[type[Event], ...],
    handler: Handler,
    on_failure: FailureHandler | None,
) -> None:
    backend, name, begun = current_backend(), handler.__name__, time.perf_counter()
    message = _pubsub_message(cloud_event)
    attempt = _delivery_attempt(message)
    envelope: wire.Envelope | None = None
    outcome = "done"
    try:
        envelope = wire.from_cloud_event(cloud_event)
        backend = backend.with_cause(envelope, name)
        if _already_done(backend):
            outcome = "repeated"
            return
        _check_guards(envelope, event_types, attempt, backend)
        handler(envelope.event, backend)
    except PermanentError as error:
        outcome = f"gave up: {error}"
        heard = envelope is not None and isinstance(envelope.event, event_types)
        _record_failure(
            backend, cloud_event["id"], message, envelope, str(error), attempt, on_failure if heard else None
        )
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
        if not isinstance(error, TransientError):
            log.exception("%s did not foresee this", name)
        if attempt < MAX_ATTEMPTS:
            raise
        outcome = f"gave up after {attempt} attempts: {outcome}"
        _record_failure(
            backend, cloud_event["id"], message, envelope, outcome, attempt, on_failure, unexpected=True
        )
    finally:
        _log_outcome(name, envelope, outcome, attempt, begun)


def _pubsub_message(cloud_event: Any) -> dict[str, Any]:
    """The Pub/Sub message that the CloudEvent was made of; empty where there was none."""
    message = cloud_event.data.get("message") if isinstance(cloud_event.data, dict) else None
    return message if isinstance(message, dict) else {}


def _delivery_attempt(message: dict[str, Any]) -> int:
    """Which delivery of the message this is, 1 where nobody counts."""
    told = (message.get("attributes") or {}).get(ATTEMPT_ATTRIBUTE)
    if told is None and has_request_context() and request.is_json:
        body = request.get_json(silent=True)
        told = body.get("deliveryAttempt") if isinstance(body, dict) else None
    return int(str(told)) if str(told or "").isdigit() else 1


def _already_done(backend: Backend) -> bool:
    return backend.records.transact(lambda transaction: transaction.has_dedupe_key(backend.dedupe_key))


def _check_guards(
    envelope: wire.Envelope, event_types: tuple[type[Event], ...], attempt: int, backend: Backend
) -> None:
    event, age = envelope.event, backend.now() - envelope.time
    if not isinstance(event, event_types):
        raise PermanentError(f"{event.topic} is not an event this function hears")
    if backend.settings.max_event_age is not None and age > backend.settings.max_event_age:
        raise PermanentError(
            f"the event is {age} old, more than {backend.settings.max_event_age}; replay it if it still matters"
        )
    if envelope.hops > MAX_HOPS:
        raise PermanentError(f"the event went through {envelope.hops} handlers, more than {MAX_HOPS}: a loop")
    if envelope.path.count(event.topic) > 1:
        raise PermanentError(f"{event.topic} caused itself by way of {' > '.join(envelope.path)}: a loop")
    if attempt > MAX_ATTEMPTS:
        raise PermanentError(
            f"every one of {MAX_ATTEMPTS} attempts ended without an answer; the work may need more memory than there is"
        )


def _record_failure(
    backend: Backend,
    message_id: str,
    message: dict[str, Any],
    envelope: wire.Envelope | None,
    reason: str,
    attempt: int,
    on_failure: FailureHandler | None,
    unexpected: bool = False,
) -> None:
    if envelope and on_failure:
        on_failure(envelope.event, backend, reason)
        if not unexpected:
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
    backend.commit(lambda commit: commit.put(letter), completes_event=False)


def _log_outcome(
    function: str, envelope: wire.Envelope | None, outcome: str, attempt: int, started_s: float
) -> None:
    severity = logging.INFO if outcome in ("done", "repeated") else logging.WARNING
    log.log(
        severity,
        "%s",
        function,
        extra={
            "line": {
                "function": function,
                "event": envelope.event.topic if envelope else "",
                "subject": envelope.event.subject if envelope else "",
                "trace": envelope.trace or envelope.id if envelope else "",
                "attempt": attempt,
                "ms": round((time.perf_counter() - started_s) * 1e3, 1),
                "outcome": outcome,
            }
        },
    )


class JsonFormatter(logging.Formatter):
    """Log records as one JSON object a line, in the fields Cloud Logging reads."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "severity": record.levelname,
            "time": format_rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "message": record.getMessage(),
            **getattr(record, "line", {}),
            **_request_trace(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _request_trace() -> dict[str, str]:
    """Which request a line belongs to, in the fields by which Cloud Logging puts lines beside their request
    (https://cloud.google.com/logging/docs/structured-logging)."""
    project = os.environ.get("REVISIT_PROJECT")
    if not project or not has_request_context():
        return {}
    # W3C trace context: version-trace-span-flags; Cloud Run's older header: trace/span;o=1.
    found = _TRACEPARENT.match(request.headers.get("traceparent", "")) or _CLOUD_TRACE.match(
        request.headers.get("X-Cloud-Trace-Context", "")
    )
    if not found:
        return {}
    trace = {"logging.googleapis.com/trace": f"projects/{project}/traces/{found['trace']}"}
    span = found["span"] or ""
    return trace | (
        {"logging.googleapis.com/spanId": f"{int(span):016x}" if "/" in found[0] else span} if span else {}
    )


_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}")
_CLOUD_TRACE = re.compile(r"(?P<trace>[0-9a-f]{32})(?:/(?P<span>\d{1,20}))?")


def configure_logging(stream: Any = None, level: int = logging.INFO) -> None:
    """Write the log as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False
