"""Search for items in another order than by time, a page at a time by keyset.

The catalog sorts by its own columns, so that a page reads what it shows. For other properties, and with
`newest`, every match is read and the page is selected with a bounded heap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from heapq import merge, nsmallest
from itertools import islice
from typing import Any, cast, get_args

import msgspec

from revisit.domain.clock import format_rfc3339, parse_instant
from revisit.errors import InvalidInputError
from revisit.ports.backend import Backend
from revisit.ports.catalog import OrderBy, SortColumn
from revisit.ports.catalog_query import Position, encode_position
from revisit.stac.cql2 import PROPERTIES
from revisit.stac.item_search import (
    MAX_ITEMS,
    SearchHit,
    SearchPage,
    find_items,
    find_results,
    find_sorted_products,
    search_page,
)
from revisit.stac.search_query import ItemQuery

MAX_SORT_KEYS = 5
SORTABLE_PROPERTIES = tuple(name for name, known in PROPERTIES.items() if known.kind != "geometry")
_SORT_COLUMNS: tuple[str, ...] = get_args(SortColumn.__value__)
_STORED_ORDERS = tuple(name for name, known in PROPERTIES.items() if known.column in _SORT_COLUMNS)
"""Properties that the catalog sorts by."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """A property to sort by."""

    name: str
    descending: bool = False


def parse_sort_key(name: str, direction: str) -> SortKey:
    """Parse a sort key of a request.

    Raises:
        InvalidInputError: There is no such property or direction.
    """
    bare = name.removeprefix("properties.")
    if bare not in SORTABLE_PROPERTIES:
        raise InvalidInputError(
            f"items cannot be sorted by {name[:60]!r}; choose from {', '.join(SORTABLE_PROPERTIES)}"
        )
    if direction not in ("asc", "desc"):
        raise InvalidInputError(f"the sort direction {direction[:20]!r} is unknown; use asc or desc")
    return SortKey(bare, direction == "desc")


def find_sorted_page(
    backend: Backend, query: ItemQuery, keys: Sequence[SortKey], owner: str, limit: int, after: str = ""
) -> SearchPage:
    """A page of items in the order of the keys; the latest come first among equals and where there are no
    keys.

    Args:
        owner: Id of the account whose results are searched too.
        after: `next` of the previous page.

    Raises:
        InvalidInputError: Too many items match to be sorted by these keys, or `after` is not a token of this
            order.
    """
    if len(keys) > MAX_SORT_KEYS:
        raise InvalidInputError(
            f"there are {len(keys)} sort keys; sort by at most {MAX_SORT_KEYS} properties"
        )
    if _is_by_time(keys):
        return search_page(
            backend, replace(query, latest_first=not keys or keys[0].descending), owner, limit, after
        )
    last = _parse_cursor(after, keys) if after else None
    compare = cmp_to_key(lambda left, right: _compare(left, right, keys))  # type: ignore[arg-type]
    query = replace(query, latest_first=True)
    matched = None
    if not query.newest and all(key.name in _STORED_ORDERS for key in keys):
        hits = _read_in_order(backend, query, keys, owner, limit, last)
        page = list(islice(hits, limit + 1))
        if last is None and len(page) <= limit:
            matched = len(page)
    else:
        matches = list(islice(find_items(backend, query, owner), MAX_ITEMS + 1))
        matched = len(matches)
        if matched > MAX_ITEMS:
            raise InvalidInputError(
                f"more than {MAX_ITEMS:,} items match, too many to sort by "
                f"{', '.join(key.name for key in keys)}; narrow "
                f"the search, or sort by {', '.join(_STORED_ORDERS)} without newest"
            )
        rest = (hit for hit in matches if last is None or _compare(_cursor_of(hit, keys), last, keys) > 0)
        page = nsmallest(limit + 1, rest, key=lambda hit: compare(_cursor_of(hit, keys)))
    shown = tuple(page[:limit])
    token = msgspec.json.encode(_cursor_of(shown[-1], keys)).decode() if len(page) > limit else ""
    return SearchPage(shown, token, matched)


def _read_in_order(
    backend: Backend,
    query: ItemQuery,
    keys: Sequence[SortKey],
    owner: str,
    limit: int,
    last: "_Cursor | None",
) -> Iterator[SearchHit]:
    """Items after a cursor: products as the catalog sorts them, merged with the owner's results."""
    order_by = tuple(OrderBy(cast(SortColumn, PROPERTIES[key.name].column), key.descending) for key in keys)
    token = ""
    if last is not None:
        *values, moment, id = last
        cells = tuple(
            value if value is None else _to_comparable(key, value)
            for key, value in zip(keys, values, strict=True)
        )
        # The same product of another source was shown with the last one; with an empty source it does not
        # follow.
        token = encode_position(Position(cells, parse_instant(str(moment)), str(id), ""))
    products = (
        SearchHit(product) for product in find_sorted_products(backend, query, order_by, token, limit)
    )
    if not query.includes_results:
        return products
    compare = cmp_to_key(lambda left, right: _compare(left, right, keys))  # type: ignore[arg-type]

    def key_of(hit: SearchHit) -> Any:
        return compare(_cursor_of(hit, keys))

    results = (
        hit
        for hit in find_results(backend, query, owner)
        if last is None or _compare(_cursor_of(hit, keys), last, keys) > 0
    )
    return merge(products, nsmallest(limit + 1, results, key=key_of), key=key_of)


def _is_by_time(keys: Sequence[SortKey]) -> bool:
    """Whether this is the order of the catalog, ascending or descending."""
    names = [key.name for key in keys]
    return names in ([], ["datetime"], ["datetime", "id"]) and len({key.descending for key in keys}) <= 1


type _Cursor = list[str | float | None]
"""Values of the keys, then datetime and id, which identify an item."""


def _cursor_of(hit: SearchHit, keys: Sequence[SortKey]) -> _Cursor:
    get = hit.getter()
    values = [get(key.name) for key in keys]
    return [
        *(format_rfc3339(value) if hasattr(value, "astimezone") else value for value in values),
        format_rfc3339(hit.product.sensing_time),
        hit.id,
    ]


def _compare(left: _Cursor, right: _Cursor, keys: Sequence[SortKey]) -> int:
    for key, mine, theirs in zip(
        (*keys, SortKey("datetime", True), SortKey("id", True)), left, right, strict=True
    ):
        if mine != theirs:
            # Items without the property come last in either direction.
            if mine is None or theirs is None:
                return 1 if mine is None else -1
            a, b = _to_comparable(key, mine), _to_comparable(key, theirs)
            if a != b:
                return 1 if (a > b) != key.descending else -1
    return 0


def _to_comparable(key: SortKey, value: Any) -> Any:
    return parse_instant(value) if PROPERTIES[key.name].kind == "instant" else value


def _parse_cursor(after: str, keys: Sequence[SortKey]) -> _Cursor:
    try:
        cursor = msgspec.json.decode(after, type=list[str | float | None])
        kinds = [PROPERTIES[key.name].kind for key in keys] + ["instant", "text"]
        fits = (
            len(cursor) == len(kinds)
            and None not in cursor[-2:]
            and all(
                value is None or isinstance(value, float if kind == "number" else str)
                for value, kind in zip(cursor, kinds, strict=True)
            )
        )
        if fits:
            for value, kind in zip(cursor, kinds, strict=True):
                if kind == "instant" and value is not None:
                    parse_instant(str(value))
            return cursor
    except (msgspec.MsgspecError, UnicodeEncodeError):
        pass
    raise InvalidInputError(
        f"{after[:80]!r} is not a page token of this order; use the token of the previous page"
    )
