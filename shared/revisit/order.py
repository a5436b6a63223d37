"""A one-off request over a period; a subscription's backfill is an order too."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from revisit.recipe import Recipe

State = Literal["running", "finished"]


@dataclass(frozen=True, slots=True)
class Order:
    """One request and the jobs made of it; it is finished when none of them is open."""

    id: str
    aoi: dict[str, Any]
    """GeoJSON geometry, lon/lat degrees, as `AOI` normalised it."""
    recipe: Recipe
    created: datetime
    jobs: tuple[str, ...] = ()
    """Ids of its jobs, by sensing time."""
    open: int = 0
    """How many of them have not finished."""
    owner: str = "local"
    start: datetime | None = None
    end: datetime | None = None
    source: str = ""
    """SPEC of the only source to take products from; empty takes all."""
    subscription: str = ""
    """Id of the subscription whose past this is; empty for an order of its own."""

    @property
    def state(self) -> State:
        return "running" if self.open else "finished"

    def updated(self, **changes: Any) -> "Order":
        """The same order with some fields changed."""
        return replace(self, **changes)
