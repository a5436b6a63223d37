"""Dead letters: list, show and replay of messages that failed too often."""

from revisit.domain.events import JobExtracted, JobStarted
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.errors import ConflictError, NotFoundError, PermanentError
from revisit.ports import cloudevents
from revisit.ports.backend import Backend
from revisit.ports.pagination import find_all
from revisit.ports.records import Transaction
from revisit.ports.system_records import DeadLetter


def list_dead_letters(backend: Backend) -> list[DeadLetter]:
    """All dead letters, oldest first."""
    return sorted(find_all(backend.records, DeadLetter), key=lambda letter: (letter.at, letter.id))


def get_dead_letter(backend: Backend, id: str) -> DeadLetter:
    """A dead letter by its id.

    Raises:
        NotFoundError: There is no dead letter with that id.
    """
    found = backend.records.get(DeadLetter, id)
    if found is None:
        raise NotFoundError(f"there is no dead letter {id!r}; see `revisit dead-letters list`")
    return found


def replay_dead_letter(backend: Backend, id: str) -> DeadLetter:
    """Publish the event of a dead letter as if it had just happened, and delete the dead letter, in one
    commit.

    Functions that have already handled the event ignore it. A failed job starts again from its first step,
    because its earlier files may be gone.

    Raises:
        NotFoundError: There is no such dead letter.
        ConflictError: It is not an event of Revisit, so it cannot be published.
    """
    letter = get_dead_letter(backend, id)
    try:
        envelope = cloudevents.decode(letter.body.encode())
    except PermanentError as error:
        raise ConflictError(f"dead letter {id!r} cannot be replayed: {error}") from None

    def work(transaction: Transaction) -> None:
        if transaction.get(DeadLetter, id) is None:
            return
        job = (
            transaction.get(Job, envelope.event.subject)
            if isinstance(envelope.event, JobStarted | JobExtracted)
            else None
        )
        if job is None or job.state != "failed":
            transaction.delete(DeadLetter, id)
            transaction.send(cloudevents.reset_for_replay(envelope, backend.now()))
            return
        orders = [order for order in (transaction.get(Order, waiting) for waiting in job.orders) if order]
        restarted = job.restarted(recheck=backend.now() + backend.settings.stall_after, republished=0)
        transaction.put(restarted)
        for order in orders:
            transaction.put(order.reopen_job(job.state))
        transaction.delete(DeadLetter, id)
        transaction.send(
            cloudevents.Envelope(
                JobStarted(restarted.id, restarted.lane, restarted.again),
                backend.now(),
                path=(JobStarted.topic,),
            )
        )

    backend.records.transact(work)
    return letter
