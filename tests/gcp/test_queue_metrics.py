"""Pub/Sub's figures come from Cloud Monitoring; without it, status reports everything else and why."""

import pytest
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

from backends import with_adapters
from emulators import free_port, new_project
from emulators.monitoring_server import TOKEN, MonitoringServer, error_body
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.event_bus import PubSubBus
from revisit.adapters.gcp.outbox import Outbox
from revisit.adapters.gcp.queue_metrics import OLDEST_AGE_METRIC, UNDELIVERED_METRIC
from revisit.adapters.gcp.queue_metrics import Monitoring as Asked
from revisit.adapters.gcp.records import create_client
from revisit.adapters.gcp.settings import Settings
from revisit.domain.events import JobStarted
from revisit.ports.cloudevents import Envelope
from revisit.ports.event_bus import BusStatistics, QueueDepth
from revisit.services.operations.doctor import Finding, check_queue
from revisit.services.operations.status import queue_status
from samples import NOON, StoppedClock

WAITS = {
    "extract.job.started": 3,
    "extract.job.started.backfill": 120,
    "deliver.deliveries.due": 1,
    "deliver.job.finished": 2,
    "notify.product.new": 0,
    "dead-letters": 7,
    "of-somebody-else": 99,
}
AGES = {
    "extract.job.started": 42,
    "extract.job.started.backfill": 86_000,
    "deliver.job.finished": 5,
    "of-somebody-else": 90_000,
}
FIGURES = {UNDELIVERED_METRIC: WAITS, OLDEST_AGE_METRIC: AGES}
AT = "2024-06-01T11:58:00Z"
UNKNOWN = "queue depths are unknown: "


@pytest.fixture
def played():
    played = MonitoringServer(AT, FIGURES)
    yield played
    played.stop()


@pytest.fixture
def clock():
    return StoppedClock()


def asked(played: MonitoringServer, clock, url: str = "", token: str = TOKEN) -> Asked:
    return Asked(Settings("demo-lakes"), clock, AuthorizedSession(Credentials(token)), url or played.url)


@pytest.mark.parametrize("page", [1000, 2])
def test_each_subscription_of_the_suite_is_listed_by_function_and_lane(played, clock, page):
    played.page = page
    statistics = asked(played, clock).statistics()
    assert set(statistics.depths) == {
        QueueDepth("extract", "live", 3, 0, 0, 42.0),
        QueueDepth("extract", "backfill", 120, 0, 0, 86_000.0),
        QueueDepth("deliver", "live", 2, 0, 0, 5.0),
        QueueDepth("deliver", "live", 1, 0, 0, 0.0),
    }, "the newest figure of each, none of another project"
    assert (statistics.measured_at.isoformat(), statistics.note) == ("2024-06-01T11:58:00+00:00", "")
    assert len(played.queries) == (2 if page == 1000 else 4 + 2)
    assert {query["filter"] for query in played.queries} == {
        f'metric.type = "{metric}" AND resource.type = "pubsub_subscription"' for metric in FIGURES
    }
    assert {(query["interval.startTime"], query["interval.endTime"]) for query in played.queries} == {
        ("2024-06-01T11:50:00Z", "2024-06-01T12:00:00Z")
    }


def test_one_answer_serves_all_who_ask_within_half_a_minute(played, clock):
    monitoring = asked(played, clock)
    first = monitoring.statistics()
    clock.advance(29)
    assert monitoring.statistics() is first and len(played.queries) == 2
    clock.advance(1)
    assert monitoring.statistics() == first and len(played.queries) == 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            (
                403,
                error_body(
                    403,
                    "PERMISSION_DENIED",
                    "Permission monitoring.timeSeries.list denied (or the resource may not exist).",
                ),
            ),
            (
                "refuses this account",
                "Permission monitoring.timeSeries.list denied",
                "grant it roles/monitoring.viewer",
            ),
        ),
        ((200, {"unit": "1"}), ("no figures of the last 10 minutes for project demo-lakes",)),
        (
            (
                429,
                error_body(
                    429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Time series queries'."
                ),
            ),
            ("does not answer", "Quota exceeded"),
        ),
        ((502, "<html>Bad Gateway</html>"), ("does not answer", "Bad Gateway")),
        ((404, error_body(404, "NOT_FOUND", "The project was deleted.")), ("The project was deleted.",)),
        (
            (200, {"timeSeries": [{"points": [{"interval": {}, "value": {"doubleValue": 1.0}}]}]}),
            ("has an unknown form", "update Revisit"),
        ),
    ],
)
def test_where_monitoring_tells_nothing_one_sentence_says_why(played, clock, answer, words):
    played.error_answer = answer
    statistics = asked(played, clock).statistics()
    assert (
        statistics == BusStatistics(note=statistics.note)
        and statistics.note.startswith(UNKNOWN)
        and "\n" not in statistics.note
    )
    assert all(word in statistics.note for word in words), statistics.note


def test_who_does_not_answer_or_does_not_know_us_is_said_so(played, clock):
    assert (
        "does not answer within 5 s (ConnectionError)"
        in asked(played, clock, f"http://127.0.0.1:{free_port()}/v3").statistics().note
    )
    assert "no Google credentials" in asked(played, clock, token="over").statistics().note, (
        "401, and no way to a new token"
    )


# ---- status


@pytest.fixture
def backend(google, played, clock, monkeypatch):
    """A deployment with one event in its outbox and Pub/Sub's figures as played."""
    settings = Settings(new_project())
    backend = gcp_backend(settings, clock)
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "flush", lambda *_: 0)
        backend.records.transact(lambda transaction: transaction.send(Envelope(JobStarted("job_1"), NOON)))
    monitoring = Asked(settings, clock, AuthorizedSession(Credentials(TOKEN)), played.url)
    clock.advance(60)
    bus = PubSubBus(settings, Outbox(create_client(settings), lambda _: [], clock), clock, monitoring)
    return with_adapters(backend, bus=lambda: bus)


def test_status_adds_what_pubsub_holds_to_what_waits_in_the_outbox(backend):
    queue = queue_status(backend)
    assert {
        (one["function"], one["lane"]): (one["ready"], one["oldest_s"]) for one in queue["functions"]
    } == {
        ("deliver", "live"): (3, 5.0),
        ("extract", "backfill"): (120, 86_000.0),
        ("extract", "live"): (4, 60.0),
    }
    assert (queue["ready"], queue["leased"], queue["delayed"], queue["oldest_s"]) == (127, 0, 0, 86_000.0)
    assert (queue["as_of"], queue["note"]) == (AT, None)


def test_status_tells_the_outbox_and_the_role_that_is_lacking(backend, played):
    played.error_answer = 403, error_body(403, "PERMISSION_DENIED", "Permission denied.")
    queue = queue_status(backend)
    assert [(one["function"], one["ready"], one["oldest_s"]) for one in queue["functions"]] == [
        ("extract", 1, 60.0)
    ]
    assert queue["as_of"] is None and "grant it roles/monitoring.viewer" in queue["note"]


def test_doctor_takes_a_live_message_that_waits_long_for_a_problem_and_one_of_a_backfill_for_none(
    backend, played, clock
):
    assert check_queue(backend) == Finding("queue", True, "Pub/Sub holds 126 messages, of which none is late")
    played.figures = {UNDELIVERED_METRIC: WAITS, OLDEST_AGE_METRIC: {**AGES, "deliver.job.finished": 1000}}
    clock.advance(30)
    found = check_queue(backend)
    assert not found.ok and found.message == (
        "Pub/Sub has held a message for deliver for 17 minutes, 126 in all: see whether revisit-deliver "
        "runs, and what its log says"
    )


def test_with_emulators_the_statistics_are_unknown(google):
    statistics = gcp_backend(Settings(new_project())).bus.statistics()
    assert statistics == BusStatistics(note=f"{UNKNOWN}Cloud Monitoring does not measure emulators")
