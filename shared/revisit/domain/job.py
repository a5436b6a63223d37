"""Jobs: the processing of one pass for one AOI and one recipe."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from revisit.domain.ids import derive_id
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe

State = Literal["started", "extracted", "done", "skipped", "failed"]
FINISHED_STATES: tuple[State, ...] = ("done", "skipped", "failed")
Lane = Literal["live", "backfill"]
ClearBase = Literal["aoi", "seen"]
"""What a clear share is a part of: all pixels of the AOI, or those with data."""

STALL_AFTER = timedelta(minutes=15)
"""Time after which an open job that has not changed its state is checked, where no setting says otherwise."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Pixels of the job's grid whose centre is inside the AOI, counted by class."""

    aoi: int
    """All pixels of the AOI, including those beyond the product."""
    valid: int
    """Pixels that were seen: with data in all bands of at least one index or band that is ordered, and of a
    class other than no data. The sum of clear, cloud, shadow and saturated."""
    clear: int
    """Valid and vegetation, bare, water, unclassified or snow (SCL 4, 5, 6, 7, 11); all valid pixels
    that are not saturated without a mask."""
    cloud: int = 0
    """Valid and cloud of medium or high probability, or thin cirrus (SCL 8, 9, 10)."""
    shadow: int = 0
    """Valid and cloud shadow or topographic shadow (SCL 2, 3)."""
    snow: int = 0
    """Valid and snow or ice (SCL 11)."""
    mask: Literal["SCL", "none"] = "SCL"
    saturated: int = 0
    """Valid and saturated or defective (SCL 1), or saturated in a band (DN 65535) of every index and band
    that is ordered: seen, but without a value."""

    @property
    def coverage(self) -> float:
        """Share of the AOI that has data, 0 to 1."""
        return self.valid / self.aoi if self.aoi else 0.0

    @property
    def clear_fraction(self) -> float:
        """Share of the valid pixels that are clear, 0 to 1."""
        return self.clear / self.valid if self.valid else 0.0

    @property
    def clear_of_aoi(self) -> float:
        """Share of all pixels of the AOI that are clear, 0 to 1."""
        return self.clear / self.aoi if self.aoi else 0.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics over the clear pixels of the AOI, with equal weights; only the count if it is 0."""

    count: int
    mean: float | None = None
    std: float | None = None
    """Population standard deviation (ddof 0)."""
    min: float | None = None
    max: float | None = None
    median: float | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a job made."""

    name: str
    """Key in the job's item: "bands", "NDVI", "preview"."""
    path: str
    """Path relative to the root of the assets."""
    media_type: str
    size: int
    """Size in bytes."""
    sha256: str
    """SHA-256, hexadecimal."""
    roles: tuple[str, ...] = ("data",)
    about: dict[str, Any] = field(default_factory=dict)
    """STAC fields that describe the pixels: proj:shape, raster:bands, ..."""


@dataclass(frozen=True, slots=True)
class JobCost:
    """Cost of a job; not a part of the receipt, because equal results may differ in it."""

    pixels: int = 0
    """Pixels of the job's grid, each counted once whatever the number of bands."""
    bytes_read: int | None = None
    """Compressed bytes read from the source; None if the reader does not count them."""
    seconds: float = 0.0
    """Seconds in the functions that process its pixels."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job from start to end; the record holds everything that the functions need."""

    id: str
    product: Product
    aoi: dict[str, Any]
    """GeoJSON geometry, lon/lat degrees."""
    recipe: Recipe
    created: datetime
    owner: str = "local"
    subscription: str = ""
    """Id of its subscription; empty for a one-off order."""
    orders: tuple[str, ...] = ()
    """Ids of the orders that include it."""
    lane: Lane = "live"
    again: int = 0
    """Number of restarts, after a failure or because further products of the pass appeared: tells its runs
    apart."""
    min_clear: float | None = None
    """Minimum clear share in percent, of what `min_clear_of` says; below it the job is skipped."""
    state: State = "started"
    reason: str = ""
    """Why it was skipped or failed, or what could not be checked."""
    finished: datetime | None = None
    cover: Cover | None = None
    assets: tuple[Asset, ...] = ()
    indices: dict[str, Statistics] = field(default_factory=dict)
    bands: dict[str, Statistics] = field(default_factory=dict)
    """Statistics of the reflectance of the recipe's bands."""
    notes: tuple[str, ...] = ()
    """Notes for readers of the result, such as an index whose bands the product lacks."""
    pass_id: str = ""
    """Id of the pass; empty for a job of one acquisition, or of one product that an order names."""
    parts: tuple[Product, ...] = ()
    """Further products of the pass, which fill what `product` leaves open of the AOI, in this order: parts of
    its acquisition, then other tiles."""
    alternates: tuple[Product, ...] = ()
    """The same products as other sources have them, tried in this order when one cannot be read."""
    receipt: dict[str, Any] = field(default_factory=dict)
    """The receipt: hrefs, checksums, scales, offsets, mask, code version, parameters."""
    spent: JobCost = JobCost()
    min_coverage: float | None = None
    """Minimum coverage in percent; below it the job is skipped."""
    min_clear_of: ClearBase = "seen"
    """What `min_clear` is a percentage of; jobs of earlier versions judged the seen part."""
    previous: "Job | None" = None
    """The last run that was done, while a further run is under way; it stays valid if that run fails."""
    files: str = ""
    """Mark of a product's files whose change restarted the job last."""
    recheck: datetime | None = None
    """When the sweep checks whether the job has advanced, or whether its end was reported; None where it was,
    and in a job of an earlier version."""
    republished: int = 0
    """How often the sweep has published its event again since its state changed last."""

    @property
    def recheck_at(self) -> datetime | None:
        """When the sweep checks the job; None once it has ended, and an alert was created where it is due."""
        if self.state in FINISHED_STATES:
            return self.recheck
        return self.recheck or self.created + STALL_AFTER

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state not in FINISHED_STATES

    @property
    def shown(self) -> "Job":
        """The run to show to users: the previous one while a further one is under way."""
        return self.previous if self.previous and self.state not in FINISHED_STATES else self

    @property
    def acquisition(self) -> str:
        """Id of the acquisition of `product`."""
        return self.product.acquisition

    @property
    def products(self) -> tuple[Product, ...]:
        """`product`, which decides the grid, and its `parts`."""
        return (self.product, *self.parts)

    @property
    def contributors(self) -> tuple[Product, ...]:
        """The products that gave pixels, in the order of `products`; `product` where none is known yet."""
        stated = self.receipt.get("mosaic", {}).get("products", ())
        ids = {each["product"] for each in stated}
        return tuple(product for product in self.products if product.id in ids) or (self.product,)

    @property
    def observed(self) -> str:
        """Id of what the job observes: its pass, or its acquisition where it has no pass."""
        return self.pass_id or self.acquisition

    def asset(self, name: str) -> Asset | None:
        """The asset with that name, or None."""
        return next((asset for asset in self.assets if asset.name == name), None)

    def restarted(self, **changes: Any) -> "Job":
        """The job at the start of its next run, without results of the runs before."""
        return self.with_changes(
            state="started",
            again=self.again + 1,
            reason="",
            finished=None,
            cover=None,
            assets=(),
            indices={},
            bands={},
            notes=(),
            receipt={},
            spent=JobCost(),
            previous=self.with_changes(previous=None) if self.state == "done" else self.previous,
            **changes,
        )

    def with_changes(self, **changes: Any) -> "Job":
        """The same job with some fields changed."""
        return replace(self, **changes)


def job_id(requester_id: str, observed: str, recipe: Recipe) -> str:
    """Id of the job of a subscription or order, a pass (or acquisition, where tiles are kept apart) and a
    recipe; a reprocessed product gives the same id."""
    return derive_id("job", requester_id, observed, recipe.id)


def former_job_ids(job: Job, tiles: Iterable[str] = ()) -> tuple[str, ...]:
    """Ids under which earlier versions, which made one job an acquisition, stored the job of this pass.

    A pass that has such a job gets no second one. Empty for a job without a pass.

    Args:
        job: The job of a pass, of a subscription or an order.
        tiles: All tiles of the pass (`PassSelection.tiles`); those of the job's products are always included.
    """
    requester_id = job.subscription or "".join(job.orders[:1])
    if not job.pass_id or not requester_id:
        return ()
    return tuple(
        job_id(requester_id, f"{job.pass_id}_T{tile}", job.recipe)
        for tile in sorted({*tiles, *(product.tile for product in job.products)})
    )
