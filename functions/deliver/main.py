"""job.finished: a clear acquisition becomes an alert and is carried outward; deliveries.due: what waits, or got stuck, is tried again."""

from revisit.chain.dispatch import announce, carry, due
from revisit.chain.outbox_sweep import sweep
from revisit.domain.events import DeliveriesDue, JobFinished
from revisit.runtime import on


@on(JobFinished, DeliveriesDue)
def deliver(event, backend):
    if isinstance(event, JobFinished):
        carry(announce(event.job, backend), backend, at_once=True)
    else:
        sweep(backend)
        carry(due(backend), backend)
