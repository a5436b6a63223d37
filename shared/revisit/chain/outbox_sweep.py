"""Sweep of the transactional outbox and of the bus's dead letters, at every tick."""

from revisit.chain import job_lifecycle
from revisit.domain.events import JobExtracted, JobStarted
from revisit.errors import PermanentError
from revisit.ports import cloudevents
from revisit.ports.backend import Backend
from revisit.ports.system_records import DeadLetter


def sweep(backend: Backend) -> None:
    """Publish events that a crash left in the outbox, and record the bus's dead letters."""
    backend.bus.publish_pending()
    backend.bus.collect_dead_letters(lambda letter: record_dead_letter(letter, backend))


def record_dead_letter(letter: DeadLetter, backend: Backend) -> None:
    """Record a dead letter, and fail its job if it belongs to one, so that the job's user sees the reason."""
    backend.commit(lambda commit: commit.put(letter), completes_event=False)
    try:
        event = cloudevents.decode(letter.body.encode()).event
    except PermanentError:
        return
    if isinstance(event, JobStarted | JobExtracted):
        job_lifecycle.fail(event, backend, letter.reason)
