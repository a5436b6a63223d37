"""Port for the catalog of products."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from revisit.domain.filters import Filter
from revisit.domain.product import Level, Product

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Query:
    """Which products to find; every condition given must hold."""

    tiles: tuple[str, ...] = ()
    """MGRS tiles; empty means any."""
    bounds: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees; west > east crosses the antimeridian. Bounds overlap, exact
    geometry is the caller's."""
    start: datetime | None = None
    """Sensed at or after."""
    end: datetime | None = None
    """Sensed at or before."""
    max_cloud: float | None = None
    """Percent; products that do not state their cloud cover are found too."""
    level: Level | None = None
    source: str = ""
    """SPEC; empty means any."""
    ids: tuple[str, ...] = ()
    """Only these; empty means any."""
    conditions: tuple[Filter, ...] = ()
    """Predicates on columns that must all hold."""
    latest_first: bool = False
    """Whether the order runs backward."""
    after: str = ""
    """The `next` of the page before."""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Products by (sensing_time, id, source), forward or backward, and where to go on."""

    products: tuple[Product, ...]
    next: str = ""
    """Give it as `after` to get what follows; empty at the end."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How current one source is."""

    source: str
    rows: int
    """Products known from it."""
    last_sensing: datetime | None = None
    last_published: datetime | None = None


@dataclass(frozen=True, slots=True)
class StagedProducts:
    """Products that lie where the catalog does, and need not travel: from a source of the same home, for its
    catalog only."""

    sql: str
    """What stands for them in that catalog's language."""
    parameters: Mapping[str, Any]
    """That go with the text."""
    rows: int
    start: datetime | None
    end: datetime | None
    """In which they, and all versions of them, were sensed; None where that is not known."""


class Catalog(Protocol):
    """All products known, found by tile, place, time and cloud; a log that can also be read in the order it
    grew.

    Batches are pyarrow tables of `revisit.catalog_schema.SCHEMA`: many million rows pass here, one Python
    object each would not do.
    """

    def missing_mask(self, source: str, ids: "pa.Array | Sequence[str]") -> "Any":
        """Which of the ids are not in the catalog from this source: a numpy bool array of the same length."""
        ...

    def add(self, batch: "pa.Table | StagedProducts") -> int:
        """Merge products by (source, id, published), durably, all or nothing; returns how many were new.
        Never appends twice."""
        ...

    def get(self, product: str, source: str = "") -> Product | None:
        """The product of that id, the one published last where there are several."""
        ...

    def search(self, query: Query) -> Page:
        """Products that meet the query, in its order; stable under additions between two pages."""
        ...

    def read_additions(
        self, cursor: int, limit: int = 10_000, min_sensing_times: Mapping[str, datetime] | None = None
    ) -> "tuple[list[Product], int]":
        """Products in the order they were added, and the cursor to go on from; 0 is the beginning.

        Args:
            past: Source and a moment: its products sensed before it are passed over, at a small part of what
                reading them costs.
        """
        ...

    def freshness(self) -> list[Freshness]:
        """One entry a source."""
        ...
