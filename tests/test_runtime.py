"""The guards before a handler, and what becomes of what it raises."""

import io
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, current_app

from backends import with_settings
from revisit import runtime
from revisit.adapters.gcp.backend import MAX_EVENT_AGE
from revisit.adapters.local.backend import local_backend
from revisit.domain.events import JobExtracted, JobStarted, ProductNew
from revisit.errors import PermanentError, TransientError
from revisit.ports import cloudevents as wire
from revisit.ports.system_records import DeadLetter

NOW = datetime(2026, 5, 1, 10, 30, tzinfo=UTC)


@pytest.fixture
def backend(tmp_path):
    backend, app = local_backend(tmp_path / "data", now=lambda: NOW), Flask(__name__)
    runtime.use_backend(app, backend)
    with app.app_context():
        yield backend


def push(entry, envelope, attempt=1):
    """Hand a function one message as functions-framework does."""
    body = (
        wire.push_body(envelope, "s", "m1", attempt)
        if isinstance(envelope, wire.Envelope)
        else wire.raw_push_body(envelope, "s", "m1", attempt)
    )
    body["message"]["attributes"][runtime.ATTEMPT_ATTRIBUTE] = str(attempt)

    class Event(dict):
        data = json.loads(json.dumps({"message": body["message"]}))

    entry(Event(id="m1"))


def letters(backend):
    return backend.records.find(DeadLetter)


def handler_of(*kinds, does=lambda event, backend: backend.commit(lambda commit: None), **options):
    calls = []

    def tried(event, backend):
        calls.append(event)
        does(event, backend)

    return runtime.on(*kinds, **options)(tried), calls


def test_an_event_reaches_its_handler_once_however_often_it_is_delivered(backend):
    entry, calls = handler_of(JobStarted)
    for _ in range(3):
        push(entry, wire.Envelope(JobStarted("job_1"), NOW))
    assert calls == [JobStarted("job_1")]


def test_a_permanent_error_is_a_dead_letter_with_its_reason_and_no_redelivery(backend):
    def refuse(event, backend):
        raise PermanentError("band B99 is not there")

    entry, calls = handler_of(JobStarted, does=refuse)
    push(entry, wire.Envelope(JobStarted("job_1"), NOW))
    (letter,) = letters(backend)
    assert (letter.reason, letter.topic, letter.function) == ("band B99 is not there", "job.started", "tried")
    assert wire.decode(letter.body.encode()).event == JobStarted("job_1")


def test_a_permanent_error_is_recorded_by_the_failure_handler_and_nowhere_else(backend):
    def refuse(event, backend):
        raise PermanentError("no")

    noted = []
    entry, _ = handler_of(
        JobStarted, does=refuse, on_failure=lambda event, backend, reason: noted.append((event.job, reason))
    )
    push(entry, wire.Envelope(JobStarted("job_1"), NOW))
    assert noted == [("job_1", "no")]
    assert letters(backend) == []


@pytest.mark.parametrize("error", [TransientError("busy"), ZeroDivisionError("x / 0"), MemoryError()])
def test_anything_else_is_redelivered_until_the_attempts_run_out(backend, error):
    def fail(event, backend):
        raise error

    noted = []
    entry, _ = handler_of(
        JobStarted, does=fail, on_failure=lambda event, backend, reason: noted.append(reason)
    )
    for attempt in range(1, 8):
        with pytest.raises(type(error)):
            push(entry, wire.Envelope(JobStarted("job_1"), NOW), attempt)
    assert letters(backend) == noted == []
    push(entry, wire.Envelope(JobStarted("job_1"), NOW), 8)
    (letter,) = letters(backend)
    assert letter.attempts == 8
    assert noted == [letter.reason]
    assert type(error).__name__ in letter.reason


def test_a_message_whose_workers_all_died_is_dead_lettered_without_another_attempt(backend):
    entry, calls = handler_of(JobStarted)
    push(entry, wire.Envelope(JobStarted("job_1"), NOW), attempt=9)
    assert calls == []
    assert "memory" in letters(backend)[0].reason


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        (wire.Envelope(ProductNew("S2A_x"), NOW), "this function does not handle product.new"),
        (wire.Envelope(JobStarted("job_1"), NOW, hops=9), "9 handlers"),
        (
            wire.Envelope(
                JobStarted("job_1"), NOW, hops=2, path=("job.started", "job.extracted", "job.started")
            ),
            "caused itself",
        ),
        (b"junk", "not a CloudEvent of ours"),
    ],
)
def test_what_no_handler_should_see_goes_to_the_dead_letters_with_its_reason(backend, envelope, reason):
    entry, calls = handler_of(JobStarted)
    push(entry, envelope)
    assert calls == []
    assert reason in letters(backend)[0].reason


def test_an_event_that_a_function_does_not_hear_is_none_that_it_can_note_as_failed(backend):
    noted = []
    entry, _ = handler_of(JobStarted, on_failure=lambda event, backend, reason: noted.append(event.job))
    push(entry, wire.Envelope(ProductNew("S2A_x"), NOW))
    assert noted == []
    assert "this function does not handle product.new" in letters(backend)[0].reason


def test_an_event_older_than_the_backends_limit_is_dead_lettered(backend):
    entry, calls = handler_of(JobStarted)
    old = wire.Envelope(JobStarted("job_1"), NOW - timedelta(hours=21))
    runtime.use_backend(current_app, with_settings(backend, max_event_age=MAX_EVENT_AGE))
    push(entry, old)
    assert calls == []
    assert "21:00:00 old" in letters(backend)[0].reason
    runtime.use_backend(current_app, backend)
    push(entry, old)
    assert calls == [JobStarted("job_1")]


def test_what_a_handler_emits_remembers_its_way_so_that_a_loop_ends(backend):
    sent = []

    def forward(event, backend):
        backend.commit(lambda commit: commit.emit(JobExtracted(event.job)))
        sent.append(backend.cause.follow_up(JobStarted("job_2"), NOW))

    entry, _ = handler_of(JobStarted, does=forward)
    push(entry, wire.Envelope(JobStarted("job_1"), NOW, path=("job.started",)))
    assert sent[0].hops == 1
    assert sent[0].path == ("job.started", "job.started")
    assert sent[0].trace == JobStarted("job_1").id
    push(entry, sent[0])
    assert "a loop" in letters(backend)[0].reason


def test_the_log_tells_the_time_in_utc_wherever_the_computer_is(backend, capsys, monkeypatch):
    entry, _ = handler_of(JobStarted)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        runtime.configure_logging()
        push(entry, wire.Envelope(JobStarted("job_1"), NOW))
    finally:
        monkeypatch.undo()
        time.tzset()
    logged = datetime.fromisoformat(json.loads(capsys.readouterr().out)["time"])
    assert abs(datetime.now(UTC) - logged) < timedelta(minutes=1)


def test_every_run_writes_one_line_of_json(backend, capsys):
    entry, _ = handler_of(JobStarted)
    runtime.configure_logging()
    push(entry, wire.Envelope(JobStarted("job_1"), NOW))
    line = json.loads(capsys.readouterr().out)
    keys = ("severity", "function", "event", "subject", "result", "outcome")
    assert tuple(line[key] for key in keys) == (
        "INFO",
        "tried",
        "job.started",
        "job_1",
        "done",
        "done",
    )


@pytest.mark.parametrize(
    ("headers", "span"),
    [
        ({"traceparent": f"00-{'ab' * 16}-00f067aa0ba902b7-01"}, "00f067aa0ba902b7"),
        ({"X-Cloud-Trace-Context": f"{'ab' * 16}/18446744073709551615;o=1"}, "ffffffffffffffff"),
        ({"X-Cloud-Trace-Context": "ab" * 16}, None),
    ],
)
def test_a_line_names_the_request_it_belongs_to_as_cloud_logging_reads_it(headers, span, monkeypatch):
    monkeypatch.setenv("REVISIT_PROJECT", "a-project")
    output = io.StringIO()
    handlers, level = runtime.log.handlers[:], runtime.log.level
    try:
        runtime.configure_logging(output)
        with Flask("any").test_request_context(headers=headers):
            runtime.log.warning("within")
        runtime.log.warning("outside")
    finally:
        runtime.log.handlers[:] = handlers
        runtime.log.setLevel(level)
    within, outside = map(json.loads, output.getvalue().splitlines())
    assert (within["severity"], within["message"]) == ("WARNING", "within")
    assert within["logging.googleapis.com/trace"] == f"projects/a-project/traces/{'ab' * 16}"
    assert within.get("logging.googleapis.com/spanId") == span
    assert "logging.googleapis.com/trace" not in outside


def test_each_application_has_its_own_backend(backend, tmp_path):
    entry, _ = handler_of(JobStarted)
    other, app = local_backend(tmp_path / "other", now=lambda: NOW), Flask(__name__)
    runtime.use_backend(app, other)
    with app.app_context():
        push(entry, b"junk")
    assert (len(letters(backend)), len(letters(other))) == (0, 1)
