"""What is done at every turn of the clock for what got stuck: events a crash left unpublished, messages that
nobody ever answered."""

from revisit.chain import job_lifecycle
from revisit.domain.events import JobExtracted, JobStarted
from revisit.errors import PermanentError
from revisit.ports import cloudevents
from revisit.ports.backend import Backend
from revisit.ports.system_records import DeadLetter


def sweep(backend: Backend) -> None:
    """Publish what is left in the outbox, and put on record what the bus gave up."""
    backend.bus.publish_pending()
    backend.bus.collect_dead_letters(lambda letter: record_dead_letter(letter, backend))


def record_dead_letter(letter: DeadLetter, backend: Backend) -> None:
    """Keep a message that was tried too often where its user looks: with its job, and among the dead
    letters."""
    backend.commit(lambda commit: commit.put(letter), completes_event=False)
    try:
        event = cloudevents.decode(letter.body.encode()).event
    except PermanentError:
        return
    if isinstance(event, JobStarted | JobExtracted):
        job_lifecycle.fail(event, backend, letter.reason)
