"""The work for one acquisition over one AOI with one recipe."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from revisit.domain.ids import derive_id
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe

State = Literal["started", "extracted", "done", "skipped", "failed"]
FINISHED_STATES: tuple[State, ...] = ("done", "skipped", "failed")
Lane = Literal["live", "backfill"]


@dataclass(frozen=True, slots=True)
class Cover:
    """What lies over the AOI, counted in pixels of the job's grid whose centre is inside it."""

    aoi: int
    """All of the AOI, whether or not the product reaches that far."""
    valid: int
    """With data in every band read and a known class."""
    clear: int
    """Valid, and vegetation, bare, water, unclassified or snow (SCL 4, 5, 6, 7, 11); all valid ones without a
    mask."""
    cloud: int = 0
    """Valid, and cloud of medium or high probability or thin cirrus (SCL 8, 9, 10)."""
    shadow: int = 0
    """Valid, and cloud shadow or topographic shadow (SCL 2, 3)."""
    snow: int = 0
    """Valid, and snow or ice (SCL 11)."""
    mask: Literal["SCL", "none"] = "SCL"

    @property
    def coverage(self) -> float:
        """Share of the AOI that has data, 0 to 1."""
        return self.valid / self.aoi if self.aoi else 0.0

    @property
    def clear_fraction(self) -> float:
        """Share of the valid pixels that are clear, 0 to 1."""
        return self.clear / self.valid if self.valid else 0.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of a value over the clear pixels of the AOI, equal weights; only the count where it is 0."""

    count: int
    mean: float | None = None
    std: float | None = None
    """Population standard deviation (ddof 0)."""
    min: float | None = None
    max: float | None = None
    median: float | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """A file a job made."""

    name: str
    """Key in the job's item: "bands", "NDVI", "preview"."""
    path: str
    """Where the backend keeps it, relative to the assets' root."""
    media_type: str
    size: int
    """Bytes."""
    sha256: str
    """Hexadecimal."""
    roles: tuple[str, ...] = ("data",)
    about: dict[str, Any] = field(default_factory=dict)
    """STAC fields that describe the pixels: proj:shape, raster:bands, ..."""


@dataclass(frozen=True, slots=True)
class JobCost:
    """What the work took; no part of the receipt, since equal results may cost differently."""

    pixels: int = 0
    """Of the job's grid, each counted once however many bands there are."""
    bytes_read: int | None = None
    """Of the source, as they lie there, compressed; None where what reads them does not tell."""
    seconds: float = 0.0
    """In the functions that worked on its pixels."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job from its start to its end; the record holds all that the functions need to know of it."""

    id: str
    product: Product
    aoi: dict[str, Any]
    """GeoJSON geometry, lon/lat degrees."""
    recipe: Recipe
    created: datetime
    owner: str = "local"
    subscription: str = ""
    """Id of the subscription it serves; empty for an order of its own."""
    orders: tuple[str, ...] = ()
    """Ids of the orders that wait for it."""
    lane: Lane = "live"
    again: int = 0
    """How often it was begun anew after it had failed."""
    min_clear: float | None = None
    """Percent of the valid pixels that must be clear, else the job is skipped."""
    state: State = "started"
    reason: str = ""
    """Why it was skipped or failed, or what could not be judged."""
    finished: datetime | None = None
    cover: Cover | None = None
    assets: tuple[Asset, ...] = ()
    indices: dict[str, Statistics] = field(default_factory=dict)
    bands: dict[str, Statistics] = field(default_factory=dict)
    """Reflectance of the bands asked for by name."""
    notes: tuple[str, ...] = ()
    """Sentences a reader of the result must know, such as an index whose bands the product lacks."""
    receipt: dict[str, Any] = field(default_factory=dict)
    """What went in: hrefs, checksums, scales, offsets, mask, code version, parameters."""
    spent: JobCost = JobCost()

    @property
    def acquisition(self) -> str:
        return self.product.acquisition

    def asset(self, name: str) -> Asset | None:
        """The asset of that name, or None."""
        return next((asset for asset in self.assets if asset.name == name), None)

    def with_changes(self, **changes: Any) -> "Job":
        """The same job with some fields changed."""
        return replace(self, **changes)


def job_id(requester_id: str, acquisition: str, recipe: Recipe) -> str:
    """One job per subscription (or order), acquisition and recipe: a reprocessed product makes no second
    one."""
    return derive_id("job", requester_id, acquisition, recipe.id)
