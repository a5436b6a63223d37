"""Products as they are found, into batches of those that the catalog has not seen."""

from collections.abc import Callable, Iterable, Iterator
from itertools import batched
from typing import TYPE_CHECKING, Any

from revisit.domain.product import Product
from revisit.ports.sources import Listing

if TYPE_CHECKING:
    import pyarrow as pa

ProductOrRejection = Product | tuple[str, str]
"""A product, or the name of what could not be understood and the reason."""

BATCH_ROWS = 10_000
"""Of one batch."""

MAX_REJECTIONS = 1_000
"""Rejections kept with their reason; the others are counted."""


def batch_unseen(entries: Iterable[ProductOrRejection], missing_mask: Callable[[Any], Any], listing: Listing, on_end: Callable[[], None],
            batch_rows: int = BATCH_ROWS) -> "Iterator[pa.Table]":  # fmt: skip
    """Tables of the unseen products, counting rows and rejections into `list_products`.

    Args:
        found: Read as the tables are asked for.
        unseen: See `Source.listing`.
        listing: Whose fields are kept up to date.
        end: Called when `found` is used up; it may raise.
        rows: Products in one table at most.
    """
    from revisit.ports.catalog_schema import to_table

    def products() -> Iterator[Product]:
        for one in entries:
            if isinstance(one, Product):
                listing.rows += 1
                yield one
            else:
                record_rejections(listing, [one])

    for batch in batched(products(), batch_rows):
        once = list({product.id: product for product in batch}.values())
        fresh = missing_mask([product.id for product in once])
        if any(fresh):
            yield to_table(product for product, new in zip(once, fresh, strict=True) if new)
    on_end()


def record_rejections(listing: Listing, rejected: list[tuple[str, str]]) -> None:
    """Count what could not be understood, and keep the first of it."""
    listing.rejection_count += len(rejected)
    listing.rejection_examples += rejected[: max(0, MAX_REJECTIONS - len(listing.rejection_examples))]
