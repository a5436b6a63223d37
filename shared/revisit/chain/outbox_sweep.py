"""Sweep of the outbox, the bus's dead letters, and jobs and orders whose message was lost, at every tick."""

from functools import partial

from revisit.chain import job_lifecycle
from revisit.domain.events import Event, JobExtracted, JobFinished, JobStarted, OrderCreated
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.errors import PermanentError
from revisit.ports import cloudevents
from revisit.ports.backend import Backend, Commit
from revisit.ports.event_bus import SupportsLookup
from revisit.ports.system_records import DeadLetter

MAX_RECHECKED = 200
"""Jobs of one state, and orders, that a tick checks, those that are due longest first."""
MAX_REPUBLISHED = 6
"""How often a job's event is published again before the job is failed. The waits double, from a quarter of an
hour to eight: a message service that is late for half a day loses no job.
"""


def sweep(backend: Backend) -> None:
    """Publish events that a crash left in the outbox, record the bus's dead letters, and publish the events
    of jobs and orders again that have not advanced for the backend's `stall_after`."""
    backend.bus.publish_pending()
    backend.bus.collect_dead_letters(lambda letter: record_dead_letter(letter, backend))
    recheck_jobs(backend)
    recheck_orders(backend)


def recheck_jobs(backend: Backend) -> None:
    """Publish the events of jobs again that are due for a check, open ones and finished ones without their
    alert: the bus lost their message.

    A handler that was only slow ignores the repeat. An open job whose event was published `MAX_REPUBLISHED`
    times without success is failed, or keeps its earlier result; a finished one is checked no longer. The
    cost follows the jobs that are due.
    """
    now = backend.now()
    for state in ("done", "extracted", "started"):
        for job in backend.records.find_sorted(Job, sort="recheck_at", limit=MAX_RECHECKED, state=state):
            if job.recheck_at is None or job.recheck_at > now:
                break
            event = _awaited_event(job)
            if job.republished < MAX_REPUBLISHED or _is_held(backend, event):
                _publish_again(backend, job, event)
            elif job.is_open:
                reason = (
                    f"its event {event.topic} was published {MAX_REPUBLISHED + 1} times and never handled; "
                    "see the log of the function, then order it again"
                )
                job_lifecycle.fail(event, backend, reason, completes_event=False)
            else:
                backend.commit(partial(_check_no_longer, seen=job), completes_event=False)


def recheck_orders(backend: Backend) -> None:
    """Publish the events of orders again whose products were not selected in time, at last with the longest
    wait."""
    now = backend.now()
    for order in backend.records.find_sorted(Order, sort="recheck_at", limit=MAX_RECHECKED):
        if order.recheck_at is None or order.recheck_at > now:
            break
        _publish_again(backend, order, OrderCreated(order.id, order.selections))


def _awaited_event(job: Job) -> JobStarted | JobExtracted | JobFinished:
    if job.state == "started":
        return JobStarted(job.id, job.lane, job.again)
    kind = JobExtracted if job.state == "extracted" else JobFinished
    return kind(job.id, job.lane, job.again)


def _is_held(backend: Backend, event: Event) -> bool:
    return isinstance(backend.bus, SupportsLookup) and backend.bus.holds(event.id)


def _publish_again(backend: Backend, seen: Job | Order, event: Event) -> None:
    """Publish the event of a job or an order again, unless the bus says that it holds it, and set when it is
    checked next."""
    work = partial(_postpone, seen=seen)
    if not _is_held(backend, event):
        work = partial(_republish, seen=seen, event=event, backend=backend)
    backend.commit(work, completes_event=False)


def _postpone(commit: Commit, seen: Job | Order) -> None:
    if (stored := commit.get(type(seen), seen.id)) == seen:
        commit.put(stored.with_changes(recheck=commit.recheck))


def _republish(commit: Commit, seen: Job | Order, event: Event, backend: Backend) -> None:
    if (stored := commit.get(type(seen), seen.id)) == seen:
        number = min(stored.republished + 1, MAX_REPUBLISHED)
        wait = backend.settings.stall_after * 2**number
        commit.put(stored.with_changes(recheck=backend.now() + wait, republished=number))
        commit.emit(event)


def _check_no_longer(commit: Commit, seen: Job) -> None:
    if (stored := commit.get(Job, seen.id)) == seen:
        commit.put(stored.with_changes(recheck=None))


def record_dead_letter(letter: DeadLetter, backend: Backend) -> None:
    """Record a dead letter, and fail its job if it belongs to one, so that the job's user sees the reason."""
    backend.commit(lambda commit: commit.put(letter), completes_event=False)
    try:
        event = cloudevents.decode(letter.body.encode()).event
    except PermanentError:
        return
    if isinstance(event, JobStarted | JobExtracted):
        job_lifecycle.fail(event, backend, letter.reason, completes_event=False)
