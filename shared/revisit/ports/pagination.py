"""All that matches, page by page: records, and products of the catalog."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from revisit.domain.product import Product
from revisit.ports.catalog import Catalog, Query
from revisit.ports.records import RecordReader

PAGE_SIZE = 1000


def find_all[T](records: RecordReader, kind: type[T], **fields: Any) -> Iterator[T]:
    """Every record of a kind whose indexed fields equal the values given, by id."""
    after = ""
    while True:
        page = records.find(kind, after=after, limit=PAGE_SIZE, **fields)
        yield from page
        if len(page) < PAGE_SIZE:
            return
        after = str(page[-1].id)  # type: ignore[attr-defined]  # every kind has an id


def search_all(catalog: Catalog, query: Query) -> Iterator[Product]:
    """Every product that meets the query, in its order; its limit is that of a page. No page is asked for
    before it is needed."""
    while True:
        page = catalog.search(query)
        yield from page.products
        if not page.next:
            return
        query = replace(query, after=page.next)
