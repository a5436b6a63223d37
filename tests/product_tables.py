"""Products out of the tables that catalogs and sources exchange."""

import pyarrow as pa

from revisit.domain.product import Product
from revisit.ports.catalog_schema import from_row


def to_products(table: pa.Table) -> list[Product]:
    """Rows as products."""
    return [from_row(row) for row in table.to_pylist()]
