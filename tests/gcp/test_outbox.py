"""What is committed is published: right away, or by the sweep where a crash or an outage got in between."""

from contextlib import contextmanager

import pytest

from emulators import new_project
from emulators.project import create_topics, publish, pull_events
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.event_bus import DEAD_LETTER_TOPIC
from revisit.adapters.gcp.outbox import Outbox
from revisit.adapters.gcp.publisher import Publisher
from revisit.adapters.gcp.settings import Settings
from revisit.domain.events import JobFinished, JobStarted
from revisit.ports.cloudevents import reset_for_replay
from revisit.ports.system_records import DeadLetter
from samples import StoppedClock, envelope


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def settings(google):
    settings = Settings(new_project())
    create_topics(settings.project)
    return settings


@pytest.fixture
def backend(settings, clock):
    return gcp_backend(settings, clock)


def send(backend, *events):
    backend.records.transact(
        lambda transaction: [transaction.send(envelope(event, backend.now())) for event in events]
    )


def waiting(backend) -> int:
    return sum(depth.ready for depth in backend.bus.depth())


@contextmanager
def dying(monkeypatch, owner, name):
    """The process dies where this is called."""

    class Died(BaseException):
        pass

    def die(*_):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(Died):
            yield


def test_what_is_committed_is_published_and_leaves_the_outbox(backend, settings):
    send(backend, JobStarted("job_1"), JobFinished("job_2"))
    assert {sent.event for sent in pull_events(settings.project)} == {
        JobStarted("job_1"),
        JobFinished("job_2"),
    }
    assert waiting(backend) == 0


def test_what_a_crash_left_unpublished_is_published_by_the_sweeper_within_90_s(
    backend, settings, clock, monkeypatch
):
    with dying(monkeypatch, Outbox, "flush"):
        send(backend, JobStarted("job_1"))
    assert pull_events(settings.project) == [] and waiting(backend) == 1
    clock.advance(59)
    assert backend.bus.publish_pending() == 0, "its writer may still be publishing it"
    clock.advance(31)
    assert backend.bus.publish_pending() == 1
    assert [sent.event for sent in pull_events(settings.project)] == [JobStarted("job_1")]
    assert (waiting(backend), backend.bus.publish_pending()) == (0, 0)


def test_what_was_published_but_not_crossed_out_is_published_again_with_the_same_id(
    backend, settings, clock, monkeypatch
):
    with dying(monkeypatch, Outbox, "_remove"):
        send(backend, JobStarted("job_1"))
    clock.advance(61)
    assert backend.bus.publish_pending() == 1
    assert {sent.id for sent in pull_events(settings.project)} == {JobStarted("job_1").id}
    assert waiting(backend) == 0


def test_an_event_that_is_still_in_the_outbox_is_not_doubled(backend, settings, clock, monkeypatch):
    for _ in range(3):
        with dying(monkeypatch, Outbox, "flush"):
            send(backend, JobStarted("job_1"))
    assert waiting(backend) == 1
    clock.advance(61)
    assert backend.bus.publish_pending() == 1
    assert len(pull_events(settings.project)) == 1


def test_an_event_sent_again_while_the_first_is_being_crossed_out_stays(
    backend, settings, clock, monkeypatch
):
    real = Publisher.publish

    def slow(publisher, envelopes):
        out = real(publisher, envelopes)
        monkeypatch.setattr(Publisher, "publish", real)
        with dying(monkeypatch, Outbox, "flush"):
            clock.advance(1)
            again = reset_for_replay(envelopes[0], backend.now())
            gcp_backend(settings, clock).records.transact(lambda transaction: transaction.send(again))
        return out

    monkeypatch.setattr(Publisher, "publish", slow)
    send(backend, JobStarted("job_1"))
    assert waiting(backend) == 1, "the row written in between is another one"


def test_a_topic_that_is_away_keeps_its_events_and_no_others(backend, settings, clock, google):
    from google.cloud import pubsub_v1

    publisher = pubsub_v1.PublisherClient()
    path = publisher.topic_path(settings.project, "job.started")
    publisher.delete_topic(topic=path)
    send(backend, JobStarted("job_1"), JobFinished("job_2"))
    assert [sent.event for sent in pull_events(settings.project) if sent.event.topic == "job.finished"] == [
        JobFinished("job_2")
    ]
    assert [(depth.function, depth.ready) for depth in backend.bus.depth()] == [("extract", 1)]
    publisher.create_topic(name=path)
    clock.advance(61)
    assert backend.bus.publish_pending() == 1 and waiting(backend) == 0


def test_dead_letters_of_pubsub_are_handed_over_and_acknowledged_once_they_are_saved(backend, settings):
    body = envelope(JobStarted("job_1")).encode()
    about = {
        "CloudPubSubDeadLetterSourceSubscription": "extract.job.started",
        "CloudPubSubDeadLetterSourceDeliveryCount": "8",
    }
    publish(settings.project, DEAD_LETTER_TOPIC, body, **about)
    message = publish(settings.project, DEAD_LETTER_TOPIC, b"\xff not ours", **about)
    kept: list[DeadLetter] = []
    assert backend.bus.collect_dead_letters(kept.append) == 2
    ours, other = sorted(kept, key=lambda letter: not letter.id.startswith("event_"))
    assert (ours.id, ours.function, ours.topic, ours.attempts, ours.body) == (
        f"{JobStarted('job_1').id}:extract",
        "extract",
        "job.started",
        8,
        body.decode(),
    )
    assert (other.id, other.function, other.body) == (f"{message}:extract", "extract", "/yBub3Qgb3Vycw==")
    assert backend.bus.collect_dead_letters(kept.append) == 0


def test_what_cannot_be_kept_is_handed_over_again(backend, settings):
    publish(settings.project, DEAD_LETTER_TOPIC, envelope(JobStarted("job_1")).encode())

    def refuse(letter):
        raise KeyError("the records are away")

    with pytest.raises(KeyError):
        backend.bus.collect_dead_letters(refuse)
    kept: list[DeadLetter] = []
    for _ in range(20):
        if backend.bus.collect_dead_letters(kept.append):
            break
    assert [letter.id for letter in kept] == [f"{JobStarted('job_1').id}:unread"]
