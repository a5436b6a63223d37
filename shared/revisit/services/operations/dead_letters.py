"""Messages put aside: seen, and sent again once their cause is mended."""

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
    """All of them, the oldest first."""
    return sorted(find_all(backend.records, DeadLetter), key=lambda letter: (letter.at, letter.id))


def get_dead_letter(backend: Backend, id: str) -> DeadLetter:
    """One of them.

    Raises:
        NotFoundError: There is none of that id.
    """
    found = backend.records.get(DeadLetter, id)
    if found is None:
        raise NotFoundError(f"there is no dead letter {id!r}; see `revisit dead-letters list`")
    return found


def replay_dead_letter(backend: Backend, id: str) -> DeadLetter:
    """Send a dead letter's event again, as if it had just happened, and put the letter away; one commit.

    Functions that had handled the event already take no notice of it. A job that was closed as failed is
    opened and begun anew
    from its first step, since what it made before may be gone.

    Raises:
        NotFoundError: There is no such dead letter.
        ConflictError: It holds no event of ours, so there is nothing to send.
    """
    letter = get_dead_letter(backend, id)
    try:
        envelope = cloudevents.decode(letter.body.encode())
    except PermanentError as error:
        raise ConflictError(f"dead letter {id!r} cannot be sent again: {error}") from None

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
        anew = job.with_changes(state="started", reason="", finished=None, again=job.again + 1)
        transaction.put(anew)
        for order in orders:
            transaction.put(order.reopen_failed_job())
        transaction.delete(DeadLetter, id)
        transaction.send(
            cloudevents.Envelope(
                JobStarted(anew.id, anew.lane, anew.again), backend.now(), path=(JobStarted.topic,)
            )
        )

    backend.records.transact(work)
    return letter
