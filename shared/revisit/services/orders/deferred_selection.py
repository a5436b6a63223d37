"""Selection of an order's products in the chain, where its sources have to be listed first."""

from revisit.domain.aoi import AOI
from revisit.domain.order import Order
from revisit.ports.backend import Backend, Commit
from revisit.services.orders.create import plan_jobs, unwritten_jobs, without_jobs, write_order
from revisit.services.orders.selection import OrderRequest, select_products
from revisit.services.subscriptions.backfill import plan_backfill


def complete_order(backend: Backend, id: str) -> None:
    """List the sources of an order in state `selecting`, select its products and start its jobs.

    An order that was selected already, cancelled or deleted stays as it is.

    Raises:
        InvalidInputError: A product does not exist, or there are more than the plan allows.
        QuotaExceededError: More acquisitions than are left of the owner's day.
        TransientError: A source does not answer.
    """
    order = backend.records.get(Order, id)
    if order is None or not order.selecting or order.cancelled:
        backend.mark_done()
        return
    if order.subscription:
        planned, jobs = plan_backfill(backend, order)
    else:
        planned, jobs = plan_jobs(backend, order, select_products(backend, _request_of(order)))
    write_order(backend, planned, jobs, completes_event=True)


def fail_order(backend: Backend, id: str, reason: str) -> None:
    """Close an order whose products cannot be selected, with the reason."""
    unwritten = unwritten_jobs(backend, id, set())

    def close(commit: Commit) -> None:
        order = commit.get(Order, id)
        if order is not None and order.selecting:
            commit.put(without_jobs(order, unwritten).with_changes(selecting=False, reason=reason))

    backend.commit(close)


def _request_of(order: Order) -> OrderRequest:
    return OrderRequest(
        order.recipe,
        AOI.from_normalized(order.aoi),
        order.tile,
        order.products,
        order.source,
        order.start,
        order.end,
        order.level,
        order.max_cloud,
        order.min_clear,
        order.owner,
        order.min_coverage,
        order.min_clear_of,
        per_tile=order.per_tile,
    )
