"""Batches of the products of a listing that the catalog lacks."""

from collections.abc import Callable, Iterable, Iterator
from itertools import batched
from typing import TYPE_CHECKING, Any

from revisit.domain.bands import BANDS, BandFiles
from revisit.domain.product import Product
from revisit.ports.sources import Listing

if TYPE_CHECKING:
    import pyarrow as pa

ProductOrRejection = Product | tuple[str, str]
"""A product, or the name of an entry that could not be parsed and the reason."""

BATCH_ROWS = 10_000
"""Rows of one batch."""

MAX_REJECTIONS = 1_000
"""Rejections that are kept with their reason; further ones are only counted."""


def batch_unseen(
    entries: Iterable[ProductOrRejection],
    missing_mask: Callable[[Any], Any],
    listing: Listing,
    on_end: Callable[[], None],
    batch_rows: int = BATCH_ROWS,
) -> "Iterator[pa.Table]":
    """Tables of the products that the catalog lacks.

    Args:
        entries: Consumed while the tables are read.
        missing_mask: See `Source.list_products`.
        listing: Its counts of rows and rejections are kept up to date.
        on_end: Called after the last entry; it may raise.
        batch_rows: Products in one table at most.
    """
    from revisit.ports.catalog_schema import to_table

    def products() -> Iterator[Product]:
        for entry in entries:
            if isinstance(entry, Product):
                listing.rows += 1
                yield entry
            else:
                record_rejections(listing, [entry])

    for batch in batched(products(), batch_rows):
        unique = list({product.id: product for product in batch}.values())
        missing = missing_mask([product.id for product in unique])
        if any(missing):
            yield to_table(product for product, new in zip(unique, missing, strict=True) if new)
    on_end()


def record_left_out(listing: Listing, name: str, bands: BandFiles) -> None:
    """Keep why bands of a listed product are not used, if there are any."""
    if bands.remark and len(listing.remarks) < MAX_REJECTIONS:
        listing.remarks.append((name, f"although {bands.remark}"))
    if bands.left_out and len(listing.remarks) < MAX_REJECTIONS:
        names = [band for band in BANDS if band in bands.left_out]
        listing.remarks.append((name, f"without {', '.join(names)}, as {bands.left_out[names[0]]}"))


def record_rejections(listing: Listing, rejected: list[tuple[str, str]]) -> None:
    """Count rejections, and keep the first ones with their reasons."""
    listing.rejection_count += len(rejected)
    listing.rejection_examples += rejected[: max(0, MAX_REJECTIONS - len(listing.rejection_examples))]
