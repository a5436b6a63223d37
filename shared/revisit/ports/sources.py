"""Ports for where products are found and read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from revisit.domain.bands import BandFile, SourceFile
from revisit.domain.product import Product
from revisit.ports.catalog import StagedProducts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Listing:
    """What a source has, batch by batch; the other fields are right once `batches` is used up."""

    batches: "Iterator[pa.Table | StagedProducts]"
    """Products that the catalog had not seen, of `revisit.catalog_schema.SCHEMA`; never all in memory at
    once."""
    rows: int = 0
    """Products read, known ones included."""
    rejection_examples: list[tuple[str, str]] = field(default_factory=list)
    """(row or name, reason) of what could not be understood: at most the first 1,000; the refresh goes on
    without them."""
    rejection_count: int = 0
    """How many there were in all."""
    unchanged: bool = False
    """Nothing was read because nothing changed (ETag)."""
    unfinished: bool = False
    """There is more, for which there was no time: the next listing goes on, and says how many rows there
    are."""
    state: dict[str, Any] = field(default_factory=dict)
    """To be given back at the next listing: watermark, ETag. Only stored after the batches are."""


class Source(Protocol):
    """Where products are found and their bands read."""

    spec: str
    """As the user wrote it: folder:PATH, google-index:PATH-or-URL, stac:URL#collection."""
    announces_all: bool
    """Whether its first listing is news as a whole (a folder) or history but for the last 10 days (a
    feed)."""

    def list_products(
        self, state: dict[str, Any], missing_mask: "Callable[[Any], Any]", now: datetime
    ) -> Listing:
        """What is there now and the catalog has not seen.

        Args:
            state: Of the listing before; empty the first time. Feeds read on from its watermark less 24 h,
                and all of the last
                10 days once a day.
            unseen: Takes ids, gives the numpy bool array of those the catalog lacks.
            now: The present.

        Raises:
            TransientError: The source does not answer, or is cut off in the middle.
            PermanentError: It is not what the SPEC says, its columns changed, or it is empty where it was not
                before.
        """
        ...

    def check(self) -> None:
        """Ask it one small question, as `revisit doctor` does.

        Raises:
            TransientError: It does not answer.
            PermanentError: It is not there, or not what the SPEC says.
        """
        ...

    def bands(self, product: Product) -> dict[str, BandFile]:
        """The band files of a product by band name (B02, SCL), with scale and offset from its own metadata.

        Raises:
            TransientError: The source does not answer.
            PermanentError: The metadata cannot be read or names files outside the source.
        """
        ...

    def files(self, product: Product) -> list[SourceFile]:
        """All files of a product, with sizes and checksums where the source states them.

        Raises:
            TransientError: The source does not answer.
            PermanentError: There is no such product, or it names files outside the source.
        """
        ...
