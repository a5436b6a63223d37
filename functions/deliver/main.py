"""job.finished: creates the alert of a finished job and sends it; deliveries.due: sends what is due."""

from revisit.chain.delivery_ledger import create_deliveries, due_deliveries
from revisit.chain.dispatch import dispatch
from revisit.chain.outbox_sweep import sweep
from revisit.domain.events import DeliveriesDue, JobFinished
from revisit.ports.backend import Backend
from revisit.runtime import on


@on(JobFinished, DeliveriesDue)
def deliver(event: JobFinished | DeliveriesDue, backend: Backend) -> None:
    if isinstance(event, JobFinished):
        dispatch(create_deliveries(event.job, backend), backend, skip_failing_hosts=True)
    else:
        sweep(backend)
        dispatch(due_deliveries(backend), backend)
