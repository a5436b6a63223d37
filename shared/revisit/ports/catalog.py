"""Port of the product catalog: queries, pages and the `Catalog` Protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from revisit.domain.filters import Filter
from revisit.domain.product import Level, Product

if TYPE_CHECKING:
    import pyarrow as pa


type SortColumn = Literal["sensing_time", "cloud_cover", "relative_orbit", "tile"]
"""Columns that every catalog can sort a search by."""


@dataclass(frozen=True, slots=True)
class OrderBy:
    """One key of the order of a search; products without a value come last in either direction."""

    column: SortColumn
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Products to find; every condition given must hold."""

    tiles: tuple[str, ...] = ()
    """MGRS tiles; empty means any."""
    bounds: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees; west > east crosses the antimeridian. Only bounds are compared;
    the caller tests exact geometry."""
    start: datetime | None = None
    """Sensed at or after."""
    end: datetime | None = None
    """Sensed at or before."""
    max_cloud: float | None = None
    """Percent; products without a stated cloud cover are found too."""
    level: Level | None = None
    source: str = ""
    """SPEC; empty means any."""
    ids: tuple[str, ...] = ()
    """Only these; empty means any."""
    conditions: tuple[Filter, ...] = ()
    """Predicates on columns that must all hold."""
    latest_first: bool = False
    """Whether the order is descending; with `order_by` this applies to (sensing_time, id, source), which
    breaks ties."""
    order_by: tuple[OrderBy, ...] = ()
    """Keys that precede (sensing_time, id, source)."""
    after: str = ""
    """`next` of the previous page."""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Products in the order of the query."""

    products: tuple[Product, ...]
    next: str = ""
    """Keyset token: pass it as `after` to get the next page; empty at the end."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How current the products of a source are."""

    source: str
    rows: int
    """Number of products of the source."""
    last_sensing: datetime | None = None
    last_published: datetime | None = None


@dataclass(frozen=True, slots=True)
class StagedProducts:
    """Products that are already stored beside the catalog, for a source and a catalog of the same backend."""

    sql: str
    """Query in the catalog's SQL dialect that returns them."""
    parameters: Mapping[str, Any]
    """Parameters of the query."""
    rows: int
    start: datetime | None
    end: datetime | None
    """Period in which they and all their versions were sensed; None where it is unknown."""


class Catalog(Protocol):
    """All known products, searched by tile, place, time and cloud cover, and read as a log in the order of
    additions.

    Batches are pyarrow tables of `catalog_schema.SCHEMA`: with millions of rows, one Python object each is
    too slow.
    """

    def missing_mask(self, source: str, ids: "pa.Array | Sequence[str]") -> "Any":
        """Numpy bool array, True for each id that the catalog does not have from this source."""
        ...

    def add(self, batch: "pa.Table | StagedProducts") -> int:
        """Merge products by (source, id, published), durably and atomically; returns the number of new rows.

        Idempotent: products that are in the catalog already are not added again.
        """
        ...

    def remove(self, source: str, ids: "Sequence[str]") -> int:
        """Remove every version of products of one source, durably and atomically; returns how many it had.

        Idempotent. A product that is added later is new again.
        """
        ...

    def get(self, product: str, source: str = "") -> Product | None:
        """Product with this id; of several versions, the one published last."""
        ...

    def search(self, query: Query) -> Page:
        """A page of products that meet the query, in its order.

        Keyset pagination: additions between two pages neither repeat nor hide a product.

        Raises:
            InvalidInputError: A tile, the bounds or `after` is invalid.
        """
        ...

    def read_additions(
        self, cursor: int, limit: int = 10_000, min_sensing_times: Mapping[str, datetime] | None = None
    ) -> "tuple[list[Product], int]":
        """Products in the order of their addition, and the cursor of the next call.

        Args:
            cursor: 0 for the first call.
            min_sensing_times: By source; products sensed before are skipped, which costs far less than
                reading them.
        """
        ...

    def freshness(self) -> list[Freshness]:
        """One entry per source."""
        ...
