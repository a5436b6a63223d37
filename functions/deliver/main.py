"""job.finished: a clear acquisition becomes an alert and is carried outward; deliveries.due: what waits, or
got stuck, is tried again."""

from revisit.chain.dispatch import create_deliveries, dispatch, due_deliveries
from revisit.chain.outbox_sweep import sweep
from revisit.domain.events import DeliveriesDue, JobFinished
from revisit.runtime import on


@on(JobFinished, DeliveriesDue)
def deliver(event, backend):
    if isinstance(event, JobFinished):
        dispatch(create_deliveries(event.job, backend), backend, skip_failing_hosts=True)
    else:
        sweep(backend)
        dispatch(due_deliveries(backend), backend)
