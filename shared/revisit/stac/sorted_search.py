"""Items in another order than by time: all of them are held at once, so that there is a limit to how many
they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from itertools import islice
from typing import Any

import msgspec

from revisit.domain.clock import format_rfc3339, parse_instant
from revisit.errors import InvalidInputError
from revisit.ports.backend import Backend
from revisit.stac.cql2 import PROPERTIES
from revisit.stac.item_search import MAX_ITEMS, SearchHit, SearchPage, find_items, search_page
from revisit.stac.search_query import ItemQuery

MAX_SORT_KEYS = 5
SORTABLE_PROPERTIES = tuple(name for name, known in PROPERTIES.items() if known.kind != "geometry")


@dataclass(frozen=True, slots=True)
class SortKey:
    """A property to sort by."""

    name: str
    descending: bool = False


def parse_sort_key(name: str, direction: str) -> SortKey:
    """A key as a request names it.

    Raises:
        InvalidInputError: There is no such property, or direction.
    """
    bare = name.removeprefix("properties.")
    if bare not in SORTABLE_PROPERTIES:
        raise InvalidInputError(
            f"items cannot be sorted by {name[:60]!r}; choose from {', '.join(SORTABLE_PROPERTIES)}"
        )
    if direction not in ("asc", "desc"):
        raise InvalidInputError(f"a direction to sort in is asc or desc, not {direction[:20]!r}")
    return SortKey(bare, direction == "desc")


def find_sorted_page(
    backend: Backend, query: ItemQuery, keys: Sequence[SortKey], owner: str, limit: int, after: str = ""
) -> SearchPage:
    """A page of items in the order of the keys; what is alike in them, and where there are none, the latest
    first.

    Raises:
        InvalidInputError: There are too many to be sorted otherwise than by time, or `after` is no place in
            this order.
    """
    if len(keys) > MAX_SORT_KEYS:
        raise InvalidInputError(f"items are sorted by {MAX_SORT_KEYS} properties at most")
    if _is_by_time(keys):
        return search_page(
            backend, replace(query, latest_first=not keys or keys[0].descending), owner, limit, after
        )
    found = list(islice(find_items(backend, query, owner), MAX_ITEMS + 1))
    if len(found) > MAX_ITEMS:
        raise InvalidInputError(
            f"more than {MAX_ITEMS:,} items match, which can be sorted by datetime only; narrow the search, or leave sortby out"
        )
    order = cmp_to_key(lambda one, other: _compare(one, other, keys))  # type: ignore[arg-type]
    places = sorted(((_cursor_of(one, keys), one) for one in found), key=lambda place: order(place[0]))
    if after:
        last = _parse_cursor(after, keys)
        places = [(where, one) for where, one in places if _compare(where, last, keys) > 0]
    shown = tuple(one for _, one in places[:limit])
    return SearchPage(
        shown, msgspec.json.encode(places[limit - 1][0]).decode() if len(places) > limit else "", len(found)
    )


def _is_by_time(keys: Sequence[SortKey]) -> bool:
    """Whether that is the order of the catalog, forward or backward."""
    named = [key.name for key in keys]
    return named in ([], ["datetime"], ["datetime", "id"]) and len({key.descending for key in keys}) <= 1


type _Cursor = list[str | float | None]
"""The values of the keys, then datetime and id, which tell all items apart."""


def _cursor_of(hit: SearchHit, keys: Sequence[SortKey]) -> _Cursor:
    values = hit.values()
    return [*(values.get(key.name) for key in keys), format_rfc3339(hit.product.sensing_time), hit.id]


def _compare(left: _Cursor, right: _Cursor, keys: Sequence[SortKey]) -> int:
    for key, mine, theirs in zip(
        (*keys, SortKey("datetime", True), SortKey("id", True)), left, right, strict=True
    ):
        if mine != theirs:
            # What has no such property comes last, whichever way the others are sorted.
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
        place = msgspec.json.decode(after, type=list[str | float | None])
        kinds = [PROPERTIES[key.name].kind for key in keys] + ["instant", "text"]
        fits = (
            len(place) == len(kinds)
            and None not in place[-2:]
            and all(
                value is None or isinstance(value, float if kind == "number" else str)
                for value, kind in zip(place, kinds, strict=True)
            )
        )
        if fits:
            for value, kind in zip(place, kinds, strict=True):
                if kind == "instant" and value is not None:
                    parse_instant(str(value))
            return place
    except (msgspec.MsgspecError, UnicodeEncodeError):
        pass
    raise InvalidInputError(
        f"{after[:80]!r} is no place to go on from in this order; give the token of the page before"
    )
