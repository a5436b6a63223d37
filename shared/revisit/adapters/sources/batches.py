"""Products as they are found, into batches of those that the catalog has not seen."""

from collections.abc import Callable, Iterable, Iterator
from itertools import batched
from typing import TYPE_CHECKING, Any

from revisit.domain.product import Product
from revisit.ports.sources import Listing

if TYPE_CHECKING:
    import pyarrow as pa

Found = Product | tuple[str, str]
"""A product, or the name of what could not be understood and the reason."""

ROWS = 10_000
"""Of one batch."""

KEPT = 1_000
"""Rejections kept with their reason; the others are counted."""


def batches(found: Iterable[Found], unseen: Callable[[Any], Any], listing: Listing, end: Callable[[], None],
            rows: int = ROWS) -> "Iterator[pa.Table]":  # fmt: skip
    """Tables of the unseen products, counting rows and rejections into `listing`.

    Args:
        found: Read as the tables are asked for.
        unseen: See `Source.listing`.
        listing: Whose fields are kept up to date.
        end: Called when `found` is used up; it may raise.
        rows: Products in one table at most.
    """
    from revisit.ports.catalog_schema import to_table

    def products() -> Iterator[Product]:
        for one in found:
            if isinstance(one, Product):
                listing.rows += 1
                yield one
            else:
                reject(listing, [one])

    for batch in batched(products(), rows):
        once = list({product.id: product for product in batch}.values())
        fresh = unseen([product.id for product in once])
        if any(fresh):
            yield to_table(product for product, new in zip(once, fresh, strict=True) if new)
    end()


def reject(listing: Listing, rejected: list[tuple[str, str]]) -> None:
    """Count what could not be understood, and keep the first of it."""
    listing.rejections += len(rejected)
    listing.rejected += rejected[: max(0, KEPT - len(listing.rejected))]
