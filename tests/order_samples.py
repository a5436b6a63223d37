"""Orders as tests create them."""

from datetime import datetime
from typing import Any

from revisit.domain.aoi import AOI
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.ports.backend import Backend
from revisit.services.orders.create import create_order
from revisit.services.orders.selection import OrderRequest


def order_acquisitions(
    backend: Backend,
    aoi: AOI | None,
    recipe: Recipe,
    source: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    owner: str = "local",
    **conditions: Any,
) -> Order:
    """Order every acquisition over an AOI in a period; `conditions` are further fields of `OrderRequest`."""
    return create_order(
        backend, OrderRequest(recipe, aoi, source=source, start=start, end=end, owner=owner, **conditions)
    )
