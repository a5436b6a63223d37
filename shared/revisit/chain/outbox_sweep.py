"""Sweep of the outbox, of the bus's dead letters and of jobs whose message was lost, at every tick."""

from functools import partial

from revisit.chain import job_lifecycle
from revisit.domain.events import JobExtracted, JobStarted
from revisit.domain.job import Job
from revisit.errors import PermanentError
from revisit.ports import cloudevents
from revisit.ports.backend import Backend, Commit
from revisit.ports.event_bus import SupportsLookup
from revisit.ports.system_records import DeadLetter

MAX_RECHECKED = 200
"""Open jobs of one state that a tick checks, those that are due longest first."""
MAX_REPUBLISHED = 6
"""How often a job's event is published again before the job is failed. The waits double, from a quarter of an
hour to eight: a message service that is late for half a day loses no job.
"""


def sweep(backend: Backend) -> None:
    """Publish events that a crash left in the outbox, record the bus's dead letters, and publish the events
    of jobs again that have not advanced for the backend's `stall_after`."""
    backend.bus.publish_pending()
    backend.bus.collect_dead_letters(lambda letter: record_dead_letter(letter, backend))
    recheck_jobs(backend)


def recheck_jobs(backend: Backend) -> None:
    """Publish the events of open jobs again that are due for a check: the bus lost their message.

    A handler that was only slow ignores the repeat. A job whose event was published `MAX_REPUBLISHED` times
    without success is failed, or keeps its earlier result. The cost follows the jobs that are due.
    """
    now = backend.now()
    for state in ("extracted", "started"):
        for job in backend.records.find_sorted(Job, sort="recheck_at", limit=MAX_RECHECKED, state=state):
            if job.recheck_at is None or job.recheck_at > now:
                break
            event = _awaited_event(job)
            if isinstance(backend.bus, SupportsLookup) and backend.bus.holds(event.id):
                work = partial(_postpone, seen=job)
            elif job.republished < MAX_REPUBLISHED:
                work = partial(_republish, seen=job, backend=backend)
            else:
                reason = (
                    f"its event {event.topic} was published {MAX_REPUBLISHED + 1} times and never handled; "
                    "see the log of the function, then order it again"
                )
                job_lifecycle.fail(event, backend, reason, completes_event=False)
                continue
            backend.commit(work, completes_event=False)


def _awaited_event(job: Job) -> JobStarted | JobExtracted:
    kind = JobStarted if job.state == "started" else JobExtracted
    return kind(job.id, job.lane, job.again)


def _postpone(commit: Commit, seen: Job) -> None:
    if (job := commit.get(Job, seen.id)) == seen:
        commit.put(job.with_changes(recheck=commit.recheck))


def _republish(commit: Commit, seen: Job, backend: Backend) -> None:
    if (job := commit.get(Job, seen.id)) == seen:
        wait = backend.settings.stall_after * 2 ** (job.republished + 1)
        commit.put(job.with_changes(recheck=backend.now() + wait, republished=job.republished + 1))
        commit.emit(_awaited_event(job))


def record_dead_letter(letter: DeadLetter, backend: Backend) -> None:
    """Record a dead letter, and fail its job if it belongs to one, so that the job's user sees the reason."""
    backend.commit(lambda commit: commit.put(letter), completes_event=False)
    try:
        event = cloudevents.decode(letter.body.encode()).event
    except PermanentError:
        return
    if isinstance(event, JobStarted | JobExtracted):
        job_lifecycle.fail(event, backend, letter.reason, completes_event=False)
