"""What the bus gave up is put on record where its user looks."""

import pytest

from backends import with_adapters
from products import FIELD, product
from revisit.adapters.local.backend import local_backend
from revisit.chain.job_lifecycle import start_jobs
from revisit.chain.outbox_sweep import record_dead_letter, sweep
from revisit.domain.events import DeliveriesDue, JobExtracted, ProductNew
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe
from revisit.ports.cloudevents import Envelope
from revisit.ports.system_records import DeadLetter
from samples import NOON, StoppedClock


@pytest.fixture
def backend(tmp_path):
    return local_backend(tmp_path / "data", now=StoppedClock())


def job(**facts) -> Job:
    return Job(
        **{
            "id": "job_1",
            "product": product(1),
            "aoi": FIELD,
            "recipe": Recipe(indices=("NDVI",)),
            "created": NOON,
            **facts,
        }
    )


def letter(event, body=None) -> DeadLetter:
    text = body or Envelope(event, NOON).encode().decode()
    return DeadLetter("event_1:index", "index", "job.extracted", "failed after 8 attempts", NOON, 8, text)


def test_a_job_whose_function_never_answered_is_failed_with_the_reason(backend):
    backend.records.transact(lambda transaction: transaction.put(job(state="extracted")))
    for _ in range(2):
        record_dead_letter(letter(JobExtracted("job_1")), backend)
    kept = backend.get_record(Job, "job_1")
    assert (kept.state, kept.reason, kept.finished) == ("failed", "failed after 8 attempts", NOON)
    assert [one.id for one in backend.records.find(DeadLetter)] == ["event_1:index"]


def test_a_job_that_ended_meanwhile_stays_as_it_is(backend):
    backend.records.transact(lambda transaction: transaction.put(job(state="done")))
    record_dead_letter(letter(JobExtracted("job_1")), backend)
    assert backend.get_record(Job, "job_1").state == "done"


@pytest.mark.parametrize(
    "body", ["not ours", "bm90IG91cnM=", Envelope(ProductNew("P"), NOON).encode().decode()]
)
def test_what_belongs_to_no_job_is_kept_as_a_dead_letter_only(backend, body):
    record_dead_letter(letter(None, body), backend)
    assert [one.body for one in backend.records.find(DeadLetter)] == [body]


class InterruptedBus:
    """A bus after a crash: it holds one event to publish and one dead letter."""

    def __init__(self, dead_letter: DeadLetter):
        self.dead_letters = [dead_letter]
        self.unpublished = 1

    def publish_pending(self):
        self.unpublished = 0

    def collect_dead_letters(self, save):
        while self.dead_letters:
            save(self.dead_letters[0])
            self.dead_letters.pop(0)


def test_a_sweep_publishes_what_is_pending_and_records_dead_letters(backend):
    bus = InterruptedBus(letter(JobExtracted("job_1")))
    sweep(with_adapters(backend, bus=lambda: bus))
    assert (bus.unpublished, bus.dead_letters) == (0, [])
    assert [each.reason for each in backend.records.find(DeadLetter)] == ["failed after 8 attempts"]


def test_a_recorded_dead_letter_does_not_complete_the_tick_that_found_it(backend):
    tick = backend.with_cause(Envelope(DeliveriesDue("now"), NOON), "deliver")
    record_dead_letter(letter(None, "not ours"), tick)
    assert tick.commit(lambda commit: "the rest of the tick") == "the rest of the tick"


def test_a_message_that_waits_in_the_queue_is_not_published_twice_and_never_counts_as_lost(backend):
    start_jobs(backend, [job()], completes_event=False)
    for _ in range(20):
        backend.now.advance(86_400)
        sweep(backend)
    assert backend.get_record(Job, "job_1").republished == 0
    assert [message.attempt for message in backend.bus.lease(("extract",), 9)] == [1]
