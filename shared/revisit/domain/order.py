"""An order: a one-off request over a period or a list of products. A backfill is an order too."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from revisit.domain.job import STALL_AFTER, ClearBase
from revisit.domain.product import LevelChoice
from revisit.domain.recipe import Recipe

State = Literal["selecting", "running", "finished", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Order:
    """One request and its jobs: finished when no job is open, unless it was cancelled before.

    An order whose sources must be listed first is `selecting`: its products are selected and its jobs are
    written by the chain.
    """

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
    """Id of the subscription this backfills; empty for a one-off order."""
    level: LevelChoice | None = None
    """The only level wanted; None takes L2A where any acquisition has it, otherwise L1C; "any" mixes them."""
    max_cloud: float | None = None
    """Percent over the whole product at most."""
    min_clear: float | None = None
    """Minimum clear share in percent, of what `min_clear_of` says."""
    products: tuple[str, ...] = ()
    """Ids of exactly the products wanted; empty takes the best of each pass in the period."""
    estimate: dict[str, Any] = field(default_factory=dict)
    """The `Estimate` made when its products were selected; empty where there is none."""
    cancelled: datetime | None = None
    """When it was cancelled."""
    finished: datetime | None = None
    """When its last job ended; None while one is open, and for an order without jobs."""
    reply: str = ""
    """Form of the results in OGC API Processes: "raw" or "document", then "value" or "reference"."""
    tile: str = ""
    """MGRS id where the whole tile was ordered; only its own products are taken then."""
    published_since: datetime | None = None
    """Take only products published at or after this; set where a resumed subscription catches up."""
    selecting: bool = False
    """Whether the chain still has to select its products or to write jobs of them."""
    selections: int = 0
    """How often the selection was requested; tells the events of two requests apart."""
    selection: str = ""
    """Digest of the products selected last; empty until the chain has selected any."""
    reason: str = ""
    """Why its products could not be selected."""
    per_tile: bool = False
    """Whether each tile of a pass gets a job of its own."""
    notes: tuple[str, ...] = ()
    """What was left out when its products were selected, and why."""
    failed_jobs: int | None = None
    """How many of its jobs failed; None in an order of an earlier version, which did not count them."""
    min_coverage: float | None = None
    """Minimum coverage of the AOI in percent; None accepts any."""
    min_clear_of: ClearBase = "seen"
    """What `min_clear` is a percentage of; orders of earlier versions meant the seen part."""
    skipped_jobs: int | None = None
    """How many of its jobs were skipped; None in an order of an earlier version, which did not count them."""

    recheck: datetime | None = None
    """When the sweep checks whether its products were selected."""
    republished: int = 0
    """How often the sweep has published its event again."""

    @property
    def recheck_at(self) -> datetime | None:
        """When the sweep checks the order; None where its products are selected."""
        if not self.selecting or self.cancelled:
            return None
        return self.recheck or self.created + STALL_AFTER

    @property
    def state(self) -> State:
        if self.cancelled:
            return "cancelled"
        if self.selecting:
            return "selecting"
        if self.reason and not self.jobs:
            return "failed"
        return "running" if self.open else "finished"

    @property
    def is_active(self) -> bool:
        """Whether it is still selecting or has open jobs; a cancelled order can have open jobs."""
        return self.open > 0 or (self.selecting and not self.cancelled)

    @property
    def done_jobs(self) -> int | None:
        """How many of its jobs are done; None in an order of an earlier version."""
        if self.failed_jobs is None or self.skipped_jobs is None:
            return None
        return max(len(self.jobs) - self.open - self.failed_jobs - self.skipped_jobs, 0)

    def close_jobs(self, count: int, now: datetime | None, failed: int = 0, skipped: int = 0) -> "Order":
        """The order with `count` fewer open jobs, which ended at `now`: so many of them failed, or were
        skipped."""
        left = max(self.open - count, 0)
        return self.with_changes(
            open=left,
            finished=self.finished if left or not count else now,
            failed_jobs=_plus(self.failed_jobs, failed),
            skipped_jobs=_plus(self.skipped_jobs, skipped),
        )

    def reopen_job(self, state: str) -> "Order":
        """The order with one open job more, which had ended in that state."""
        return self.with_changes(
            open=self.open + 1,
            finished=None,
            failed_jobs=_plus(self.failed_jobs, -(state == "failed")),
            skipped_jobs=_plus(self.skipped_jobs, -(state == "skipped")),
        )

    def extend(self, planned: "Order") -> "Order":
        """The order with the jobs, estimate and selection of `planned` added to its own."""
        added = tuple(job for job in planned.jobs if job not in set(self.jobs))
        return self.with_changes(
            jobs=self.jobs + added,
            open=self.open + len(added),
            finished=None if added else self.finished,
            estimate=planned.estimate or self.estimate,
            source=planned.source or self.source,
            selection=planned.selection,
            notes=planned.notes,
            reason="",
        )

    def with_changes(self, **changes: Any) -> "Order":
        """The same order with some fields changed."""
        return replace(self, **changes)


def _plus(count: int | None, change: int) -> int | None:
    """A count after a change; None where an earlier version did not count."""
    return None if count is None else max(count + change, 0)
