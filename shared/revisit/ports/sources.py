"""Port for sources of products, and the optional abilities of a source."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from revisit.domain.bands import BandFiles, SourceFile
from revisit.domain.product import Product
from revisit.ports.catalog import Query, StagedProducts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Announcement:
    """A product that the catalog knows and that is to be announced."""

    product: Product
    files: str = ""
    """Mark of its files where it was announced before and they have changed since."""


@dataclass(slots=True)
class Listing:
    """What a source lists, batch by batch; the other fields are valid once `batches` is exhausted."""

    batches: "Iterator[pa.Table | StagedProducts]"
    """Products that the catalog lacks, of `revisit.ports.catalog_schema.SCHEMA`; read one at a time."""
    rows: int = 0
    """Products read, known ones included."""
    rejection_examples: list[tuple[str, str]] = field(default_factory=list)
    """(row or name, reason) of at most the first 1,000 rows that could not be read."""
    rejection_count: int = 0
    """Rows that could not be read; they do not stop the listing."""
    remarks: list[tuple[str, str]] = field(default_factory=list)
    """(name, sentence) of at most the first 1,000 products that are listed although some of their bands
    cannot be used."""
    unchanged: bool = False
    """Whether nothing was read because nothing changed (ETag)."""
    unfinished: bool = False
    """Whether time ran out: the next listing continues and states how many rows there are."""
    held: frozenset[str] = frozenset()
    """Ids of products that are evidently incomplete and still change: they are not announced yet."""
    announcements: list[Announcement] = field(default_factory=list)
    """Products that are complete by now, or whose files have changed since they were announced."""
    incomplete: dict[str, str] = field(default_factory=dict)
    """Product id -> what is missing, for products that are incomplete."""
    is_gone: Callable[[Product], bool] | None = None
    """Whether a product of an earlier listing is no longer in the source; None where no product can be.

    Asked before `batches` are read, so that a product that moved is new again at its other place, and once
    more after them.
    """
    state: dict[str, Any] = field(default_factory=dict)
    """Input of the next listing: watermark, ETag. Stored only after all batches are."""


class Source(Protocol):
    """Lists products and locates their files."""

    @property
    def spec(self) -> str:
        """Canonical SPEC: folder:PATH, google-index:PATH-or-URL, stac:URL#collection."""
        ...

    @property
    def announces_all(self) -> bool:
        """Whether every product of the first listing is new (a folder), or only those of the last 10 days
        (a feed)."""
        ...

    def list_products(
        self, state: dict[str, Any], missing_mask: "Callable[[Any], Any]", now: datetime
    ) -> Listing:
        """List the products that the catalog lacks.

        Args:
            state: `Listing.state` of the previous listing; empty the first time. Feeds continue at its
                watermark less 24 h, and read the last 10 days again once a day.
            missing_mask: Takes ids and returns a numpy bool array of those that the catalog lacks.
            now: The current time.

        Raises:
            TransientError: The source does not answer or the transfer breaks off.
            PermanentError: The source does not match its SPEC, its columns changed, or it is empty although
                it was not before.
        """
        ...

    def check(self) -> None:
        """Send one small request, as `revisit doctor` does.

        Raises:
            TransientError: The source does not answer.
            PermanentError: The source does not exist or does not match its SPEC.
        """
        ...

    def bands(self, product: Product) -> BandFiles:
        """The band files of a product by band name (B02, SCL), with scale and offset from its metadata, and
        the reason for each band whose file is not used.

        Raises:
            TransientError: The source does not answer.
            PermanentError: The metadata cannot be read, or no band is left; the message states the reasons.
        """
        ...

    def files(self, product: Product) -> list[SourceFile]:
        """All files of a product, with sizes and checksums if the source states them.

        Raises:
            TransientError: The source does not answer.
            PermanentError: The product does not exist, or names files outside the source.
        """
        ...


@runtime_checkable
class SupportsHistory(Protocol):
    """A source that can be searched by place and period, so that it need not be listed as a whole."""

    def history(self, query: Query, missing_mask: "Callable[[Any], Any]") -> Listing:
        """List the products of a place and period that the catalog lacks, however old.

        Args:
            query: Bounds or tiles (one of them is required), start and end; other conditions are ignored.
            missing_mask: As for `Source.list_products`.

        Raises:
            InvalidInputError: The query has neither bounds nor tiles.
            TransientError: The source does not answer.
            PermanentError: There are too many products.
        """
        ...


@runtime_checkable
class SupportsBatchFiles(Protocol):
    """A source that describes the files of several products in one request."""

    @property
    def batch_size(self) -> int:
        """Most products of one request."""
        ...

    def files_and_bands(self, products: Sequence[Product]) -> dict[str, tuple[list[SourceFile], BandFiles]]:
        """`Source.files` and `Source.bands` by product id; products that are not found are left out.

        Raises:
            TransientError: The source does not answer.
            PermanentError: The source does not support such requests.
        """
        ...
