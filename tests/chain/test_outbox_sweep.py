"""What the bus gave up is put on record where its user looks."""

import pytest

from products import FIELD, product
from revisit.adapters.local.backend import local_backend
from revisit.chain.outbox_sweep import record_dead_letter
from revisit.domain.events import JobExtracted, ProductNew
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
