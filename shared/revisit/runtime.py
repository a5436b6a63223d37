"""Runs handlers: decodes a message, guards against repeats and loops, and turns errors into answers.

    @on(JobStarted)
    def extract(event: JobStarted, backend: Backend) -> None: ...

HTTP 200 acknowledges a message, 500 has it redelivered. An event that was handled already is acknowledged
without effect. An event that is too old, passed through too many handlers, caused itself or was tried too
often becomes a dead letter with its reason. A `PermanentError` is recorded and acknowledged; any other error
is redelivered until the attempts are used up.
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
from typing import Any, Literal

import functions_framework
from flask import Flask, current_app, has_request_context, request

from revisit.domain.clock import format_rfc3339
from revisit.domain.events import Event
from revisit.errors import PermanentError, TransientError
from revisit.ports import cloudevents as wire
from revisit.ports.backend import Backend
from revisit.ports.system_records import DeadLetter

MAX_ATTEMPTS = 8
MAX_HOPS = 8

ATTEMPT_ATTRIBUTE = "googclient_deliveryattempt"
"""Message attribute with the delivery attempt in a CloudEvent, named as in Google's client libraries; a push
request has it beside the message."""

BACKEND_EXTENSION = "revisit.backend"
"""Key of the backend among the Flask application's extensions."""

type Result = Literal["done", "repeated", "retried", "failed"]
"""How a function ended with an event; the metric `handled` of terraform/monitoring.tf counts by it."""

log = logging.getLogger("revisit")
log.addHandler(logging.NullHandler())  # silent until `configure_logging` is called

type Handler = Callable[[Any, Backend], None]
"""Takes an event of one of the types it is registered for."""

type FailureHandler = Callable[[Any, Backend, str], None]
"""Takes such an event and the reason."""


def use_backend(app: Flask, backend: Backend) -> None:
    """Handle all events of a functions-framework application with this backend."""
    app.extensions[BACKEND_EXTENSION] = backend


def current_backend() -> Backend:
    """The backend of the current application: the one given to `use_backend`, else the environment's.

    Raises:
        PermanentError: The environment names no backend.
    """
    backend: Backend | None = current_app.extensions.get(BACKEND_EXTENSION)
    if backend is None:
        try:
            backend = backend_from_environment()
        except PermanentError as error:
            # Only Pub/Sub sees the answer, and retries until the configuration is fixed or the message is
            # dead.
            configure_logging()
            log.critical("%s", error)
            raise
        # Another thread may have been faster; both then use its backend.
        backend = current_app.extensions.setdefault(BACKEND_EXTENSION, backend)
    return backend


def backend_from_environment() -> Backend:
    """The backend that the environment names: a data folder (REVISIT_DATA) or a Google Cloud project
    (REVISIT_PROJECT).

    Raises:
        PermanentError: The environment names neither or both, or the name is invalid.
    """
    data, project = os.environ.get("REVISIT_DATA"), os.environ.get("REVISIT_PROJECT")
    if data and project:
        raise PermanentError("REVISIT_DATA and REVISIT_PROJECT are both set; unset one of them")
    if data:
        from revisit.adapters.local.backend import local_backend

        return local_backend(Path(data))
    if project is None and not any(name.endswith("_EMULATOR_HOST") for name in os.environ):
        raise PermanentError(
            "no backend is configured; set REVISIT_DATA to a data folder, or REVISIT_PROJECT to a Google "
            "Cloud "
            "project id"
        )
    from revisit.adapters.gcp.backend import gcp_backend

    configure_logging()
    return gcp_backend()


def on(
    *event_types: type[Event], on_failure: FailureHandler | None = None
) -> Callable[[Handler], Callable[[Any], None]]:
    """Decorator that makes a handler the entry point of a function.

    Args:
        event_types: The events it handles; any other becomes a dead letter.
        on_failure: Called with the reason when the handler cannot succeed, to record it where a user sees it.
            Without it, and for unexpected errors, the message becomes a dead letter.
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
    backend, name, started_s = current_backend(), handler.__name__, time.perf_counter()
    message = _pubsub_message(cloud_event)
    attempt = _delivery_attempt(message)
    envelope: wire.Envelope | None = None
    result: Result = "done"
    outcome = "done"
    try:
        envelope = wire.from_cloud_event(cloud_event)
        backend = backend.with_cause(envelope, name)
        if _already_done(backend):
            result = outcome = "repeated"
            return
        _check_guards(envelope, event_types, attempt, backend)
        handler(envelope.event, backend)
    except PermanentError as error:
        result, outcome = "failed", f"gave up: {error}"
        handled = envelope is not None and isinstance(envelope.event, event_types)
        _record_failure(
            backend,
            cloud_event["id"],
            message,
            envelope,
            str(error),
            attempt,
            on_failure if handled else None,
        )
    except Exception as error:
        result, outcome = "retried", f"{type(error).__name__}: {error}"
        if not isinstance(error, TransientError):
            log.exception("unexpected error in %s", name)
        if attempt < MAX_ATTEMPTS:
            raise
        result, outcome = "failed", f"gave up after {attempt} attempts: {outcome}"
        _record_failure(
            backend, cloud_event["id"], message, envelope, outcome, attempt, on_failure, unexpected=True
        )
    finally:
        _log_outcome(name, envelope, result, outcome, attempt, started_s)


def _pubsub_message(cloud_event: Any) -> dict[str, Any]:
    """The Pub/Sub message in a CloudEvent; empty if there is none."""
    message = cloud_event.data.get("message") if isinstance(cloud_event.data, dict) else None
    return message if isinstance(message, dict) else {}


def _delivery_attempt(message: dict[str, Any]) -> int:
    """The delivery attempt of a message, from 1; 1 if it is not stated."""
    attempt = (message.get("attributes") or {}).get(ATTEMPT_ATTRIBUTE)
    if attempt is None and has_request_context() and request.is_json:
        body = request.get_json(silent=True)
        attempt = body.get("deliveryAttempt") if isinstance(body, dict) else None
    return int(str(attempt)) if str(attempt or "").isdigit() else 1


def _already_done(backend: Backend) -> bool:
    return backend.records.transact(lambda transaction: transaction.has_dedupe_key(backend.dedupe_key))


def _check_guards(
    envelope: wire.Envelope, event_types: tuple[type[Event], ...], attempt: int, backend: Backend
) -> None:
    event, age, max_age = envelope.event, backend.now() - envelope.time, backend.settings.max_event_age
    if not isinstance(event, event_types):
        raise PermanentError(f"this function does not handle {event.topic} events")
    if max_age is not None and age > max_age:
        raise PermanentError(f"the event is {age} old, more than {max_age}; replay it if it is still needed")
    if envelope.hops > MAX_HOPS:
        raise PermanentError(
            f"the event passed through {envelope.hops} handlers, more than {MAX_HOPS}: a loop"
        )
    if envelope.path.count(event.topic) > 1:
        raise PermanentError(f"{event.topic} caused itself through {' > '.join(envelope.path)}: a loop")
    if attempt > MAX_ATTEMPTS:
        raise PermanentError(
            f"all {MAX_ATTEMPTS} attempts ended without an answer; the function may need more memory"
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
    function: str,
    envelope: wire.Envelope | None,
    result: Result,
    outcome: str,
    attempt: int,
    started_s: float,
) -> None:
    severity = logging.INFO if result in ("done", "repeated") else logging.WARNING
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
                "result": result,
                "outcome": outcome,
            }
        },
    )


class JsonFormatter(logging.Formatter):
    """Formats log records as one JSON object per line, with the fields of Cloud Logging."""

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
    """Fields that link a log line to its request
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
    """Write the log as JSON lines, to stdout unless a stream is given."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False
