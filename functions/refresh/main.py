"""catalog.refresh: list a source, add what is new to the catalog, publish it.

order.created: list the sources of an order, select its products, start its jobs.
"""

from revisit.chain.refresh import record_failure, refresh_sources
from revisit.domain.events import OrderCreated, RefreshDue
from revisit.ports.backend import Backend
from revisit.runtime import on
from revisit.services.orders.deferred_selection import complete_order, fail_order


def record_reason(event: RefreshDue | OrderCreated, backend: Backend, reason: str) -> None:
    if isinstance(event, OrderCreated):
        fail_order(backend, event.order, reason)
    else:
        record_failure(event, backend, reason)


@on(RefreshDue, OrderCreated, on_failure=record_reason)
def refresh(event: RefreshDue | OrderCreated, backend: Backend) -> None:
    if isinstance(event, OrderCreated):
        complete_order(backend, event.order)
    else:
        refresh_sources(backend, [event.source] if event.source else backend.sources)
        backend.mark_done()
