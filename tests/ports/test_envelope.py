"""Events survive the wire, and what is not ours is refused."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cloudevents.http import from_json
from hypothesis import given
from hypothesis import strategies as st

from revisit.domain.events import (
    EVENTS,
    DeliveriesDue,
    JobExtracted,
    JobFinished,
    JobStarted,
    ProductNew,
    RefreshDue,
)
from revisit.errors import PermanentError
from revisit.ports import cloudevents

NOW = datetime(2026, 5, 1, 10, 30, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_characters="\x1f", exclude_categories=("Cs",)), max_size=60)
LANES = st.sampled_from(["live", "backfill"])
ANY_EVENT = st.one_of(
    st.builds(RefreshDue, at=TEXT, source=TEXT),
    st.builds(ProductNew, product=TEXT, published=TEXT),
    st.builds(JobStarted, job=TEXT, lane=LANES),
    st.builds(JobExtracted, job=TEXT, lane=LANES),
    st.builds(JobFinished, job=TEXT, lane=LANES),
    st.builds(DeliveriesDue, at=TEXT),
)


@given(ANY_EVENT, st.integers(0, 20))
def test_an_event_survives_the_wire(event, hops):
    sent = cloudevents.Envelope(event, NOW, hops, "trace", (event.topic,))
    body = cloudevents.push_body(sent, "projects/p/subscriptions/s", "1", 1)
    assert cloudevents.from_push(json.loads(json.dumps(body))["message"]) == sent


@given(ANY_EVENT)
def test_an_event_has_the_same_id_every_time_and_another_event_has_another(event):
    assert event.id == replace(event).id
    assert event.id != ProductNew("another product").id


def test_the_cloudevents_sdk_reads_what_we_send():
    event = from_json(cloudevents.Envelope(JobStarted("job_1"), NOW).encode())
    assert (event["specversion"], event["type"], event["subject"], event["id"]) == (
        "1.0",
        "io.revisit.job.started",
        "job_1",
        JobStarted("job_1").id,
    )
    assert event.data == {"job": "job_1", "lane": "live", "again": 0}


@pytest.mark.parametrize(
    "golden",
    [
        (
            "catalog.refresh",
            RefreshDue("2026-05-01T10:30:00Z", "folder:/a"),
            {"at": "2026-05-01T10:30:00Z", "source": "folder:/a"},
        ),
        ("product.new", ProductNew("S2A_x", "0511|"), {"product": "S2A_x", "published": "0511|"}),
        ("job.started", JobStarted("job_1", "backfill"), {"job": "job_1", "lane": "backfill"}),
        ("job.extracted", JobExtracted("job_1"), {"job": "job_1"}),
        ("job.finished", JobFinished("job_1"), {"job": "job_1"}),
        ("deliveries.due", DeliveriesDue("2026-05-01T10:30:00Z"), {"at": "2026-05-01T10:30:00Z"}),
    ],
    ids=lambda golden: golden[0],
)
def test_events_of_the_first_release_are_read_for_ever(golden):
    topic, event, data = golden
    text = json.dumps(
        {
            "specversion": "1.0",
            "id": "event_0",
            "source": "revisit",
            "type": f"io.revisit.{topic}",
            "subject": "s",
            "time": "2026-05-01T10:30:00Z",
            "datacontenttype": "application/json",
            "hops": 1,
            "trace": "t",
            "path": topic,
            "data": data,
        }
    )
    assert cloudevents.decode(text.encode()).event == event
    assert topic in EVENTS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"junk",
        b"{}",
        b"[1]",
        b'{"type": "io.revisit.job.started"}',
        b"\xff\xfe",
        b'{"type": "com.other", "time": "2026-05-01T10:30:00Z", "data": {}}',
        b'{"type": "io.revisit.job.started", "time": "2026-05-01T10:30:00Z", "data": {"job": 7}}',
        b'{"type": "io.revisit.job.started", "time": "2026-05-01T10:30:00", "data": {"job": "job_1"}}',
    ],
)
def test_an_unknown_event_is_a_permanent_error(body):
    with pytest.raises(PermanentError):
        cloudevents.decode(body)
    with pytest.raises(PermanentError):
        cloudevents.from_push({"data": base64.b64encode(body).decode()})


@pytest.mark.parametrize("message", [{}, {"data": None}, {"data": 5}, {"data": "***"}, {"data": "\xe9"}])
def test_a_push_without_data_is_a_permanent_error(message):
    with pytest.raises(PermanentError, match="no message data"):
        cloudevents.from_push(message)
