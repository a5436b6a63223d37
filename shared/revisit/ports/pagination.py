"""Pagination over records and catalog, by keyset."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from revisit.domain.product import Product
from revisit.errors import InvalidInputError
from revisit.ports.catalog import Catalog, Query
from revisit.ports.record_types import sort_key
from revisit.ports.records import RecordReader

PAGE_SIZE = 1000


def find_all[T](records: RecordReader, kind: type[T], **fields: Any) -> Iterator[T]:
    """All records of a kind whose indexed fields equal the given values, by id."""
    after = ""
    while True:
        page = records.find(kind, after=after, limit=PAGE_SIZE, **fields)
        yield from page
        if len(page) < PAGE_SIZE:
            return
        after = str(page[-1].id)  # type: ignore[attr-defined]  # every kind has an id


@dataclass(frozen=True, slots=True)
class Page[T]:
    """One page of a sorted list."""

    items: list[T]
    next: str = ""
    """Id to continue after; empty on the last page."""


def find_page[T](
    records: RecordReader,
    kind: type[T],
    *,
    sort: str,
    after: str = "",
    limit: int = 100,
    descending: bool = False,
    **fields: Any,
) -> Page[T]:
    """A page of a sorted list, after the record with the id `after`.

    Raises:
        InvalidInputError: No record of the list has that id.
    """
    last = records.get(kind, after) if after else None
    if after and (last is None or not _is_in_list(last, fields)):
        raise InvalidInputError(f"{after[:80]!r} is not in this list; give the `next` of the previous page")
    position = (sort_key(last, sort) or "", after) if last else None
    found = records.find_sorted(kind, sort, after=position, limit=limit + 1, descending=descending, **fields)
    return Page(found[:limit], str(_id(found[limit - 1])) if len(found) > limit else "")


def find_all_sorted[T](
    records: RecordReader, kind: type[T], *, sort: str, descending: bool = False, **fields: Any
) -> Iterator[T]:
    """Every record of a sorted list; no page is read before it is needed."""
    position = None
    while True:
        found = records.find_sorted(
            kind, sort, after=position, limit=PAGE_SIZE, descending=descending, **fields
        )
        yield from found
        if len(found) < PAGE_SIZE:
            return
        position = sort_key(found[-1], sort) or "", _id(found[-1])


def _is_in_list(record: Any, fields: dict[str, Any]) -> bool:
    """Whether a record has the values of a list; its state may have changed since the previous page."""
    values = {name: getattr(record, name) for name in fields if name != "state"}
    return all(
        fields[name] in value if isinstance(value, tuple) else fields[name] == value
        for name, value in values.items()
    )


def _id(record: Any) -> str:
    return str(record.id)


def search_all(catalog: Catalog, query: Query) -> Iterator[Product]:
    """All products that match the query, in its order, read page by page on demand; its limit is the page
    size."""
    while True:
        page = catalog.search(query)
        yield from page.products
        if not page.next:
            return
        query = replace(query, after=page.next)
