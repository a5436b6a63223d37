"""A one-off request over a period; a subscription's backfill is an order too."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from revisit.domain.product import Level
from revisit.domain.recipe import Recipe

State = Literal["running", "finished", "cancelled"]


@dataclass(frozen=True, slots=True)
class Order:
    """One request and the jobs made of it; it is finished when none of them is open, unless it was cancelled
    before."""

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
    level: Level | None = None
    """The only level wanted; None prefers L2A."""
    max_cloud: float | None = None
    """Percent over the whole product at most."""
    min_clear: float | None = None
    """Percent of the AOI's valid pixels that must be clear."""
    products: tuple[str, ...] = ()
    """Ids of exactly the products wanted; empty takes the best of each acquisition in the period."""
    estimate: dict[str, Any] = field(default_factory=dict)
    """What was expected of it before it ran (`Estimate`); empty where nobody reckoned."""
    cancelled: datetime | None = None
    """Since when it is wanted no more."""
    finished: datetime | None = None
    """When the last of its jobs ended; None while one is open, and where there was none."""
    reply: str = ""
    """How OGC API Processes is to answer with its results: "raw" or "document", "value" or "reference"."""

    @property
    def state(self) -> State:
        if self.cancelled:
            return "cancelled"
        return "running" if self.open else "finished"

    def close_jobs(self, count: int, now: datetime | None) -> "Order":
        """With so many open jobs less, which ended now."""
        left = max(self.open - count, 0)
        return self.with_changes(open=left, finished=self.finished if left or not count else now)

    def with_changes(self, **changes: Any) -> "Order":
        """The same order with some fields changed."""
        return replace(self, **changes)
