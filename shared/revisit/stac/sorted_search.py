"""Items in another order than by time: all of them are held at once, so that there is a limit to how many they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from itertools import islice
from typing import Any

import msgspec

from revisit.domain.clock import instant, rfc3339
from revisit.errors import BadInput
from revisit.ports.backend import Backend
from revisit.stac.cql2 import PROPERTIES
from revisit.stac.item_search import MOST, Found, Pageful, find, page
from revisit.stac.search_query import Wanted

MOST_KEYS = 5
SORTABLE = tuple(name for name, known in PROPERTIES.items() if known.kind != "geometry")


@dataclass(frozen=True, slots=True)
class Key:
    """A property to sort by."""

    name: str
    descending: bool = False


def key_of(name: str, direction: str) -> Key:
    """A key as a request names it.

    Raises:
        BadInput: There is no such property, or direction.
    """
    bare = name.removeprefix("properties.")
    if bare not in SORTABLE:
        raise BadInput(f"items cannot be sorted by {name[:60]!r}; choose from {', '.join(SORTABLE)}")
    if direction not in ("asc", "desc"):
        raise BadInput(f"a direction to sort in is asc or desc, not {direction[:20]!r}")
    return Key(bare, direction == "desc")


def sorted_page(backend: Backend, wanted: Wanted, keys: Sequence[Key], owner: str, limit: int, after: str = "") -> Pageful:
    """A page of items in the order of the keys; what is alike in them, and where there are none, the latest first.

    Raises:
        BadInput: There are too many to be sorted otherwise than by time, or `after` is no place in this order.
    """
    if len(keys) > MOST_KEYS:
        raise BadInput(f"items are sorted by {MOST_KEYS} properties at most")
    if _is_by_time(keys):
        return page(backend, replace(wanted, latest_first=not keys or keys[0].descending), owner, limit, after)
    found = list(islice(find(backend, wanted, owner), MOST + 1))
    if len(found) > MOST:
        raise BadInput(f"more than {MOST:,} items match, which can be sorted by datetime only; narrow the search, or leave sortby out")
    order = cmp_to_key(lambda one, other: _compared(one, other, keys))  # type: ignore[arg-type]
    places = sorted(((_place(one, keys), one) for one in found), key=lambda place: order(place[0]))
    if after:
        last = _read(after, keys)
        places = [(where, one) for where, one in places if _compared(where, last, keys) > 0]
    shown = tuple(one for _, one in places[:limit])
    return Pageful(shown, msgspec.json.encode(places[limit - 1][0]).decode() if len(places) > limit else "", len(found))


def _is_by_time(keys: Sequence[Key]) -> bool:
    """Whether that is the order of the catalog, forward or backward."""
    named = [key.name for key in keys]
    return named in ([], ["datetime"], ["datetime", "id"]) and len({key.descending for key in keys}) <= 1


type _Place = list[str | float | None]
"""The values of the keys, then datetime and id, which tell all items apart."""


def _place(one: Found, keys: Sequence[Key]) -> _Place:
    values = one.values()
    return [*(values.get(key.name) for key in keys), rfc3339(one.product.sensing_time), one.id]


def _compared(one: _Place, other: _Place, keys: Sequence[Key]) -> int:
    for key, mine, theirs in zip((*keys, Key("datetime", True), Key("id", True)), one, other, strict=True):
        if mine != theirs:
            # What has no such property comes last, whichever way the others are sorted.
            if mine is None or theirs is None:
                return 1 if mine is None else -1
            a, b = _comparable(key, mine), _comparable(key, theirs)
            if a != b:
                return 1 if (a > b) != key.descending else -1
    return 0


def _comparable(key: Key, value: Any) -> Any:
    return instant(value) if PROPERTIES[key.name].kind == "instant" else value


def _read(after: str, keys: Sequence[Key]) -> _Place:
    try:
        place = msgspec.json.decode(after, type=list[str | float | None])
        kinds = [PROPERTIES[key.name].kind for key in keys] + ["instant", "text"]
        fits = len(place) == len(kinds) and None not in place[-2:] and all(
            value is None or isinstance(value, float if kind == "number" else str) for value, kind in zip(place, kinds, strict=True))
        if fits:
            for value, kind in zip(place, kinds, strict=True):
                if kind == "instant" and value is not None:
                    instant(str(value))
            return place
    except (msgspec.MsgspecError, UnicodeEncodeError):
        pass
    raise BadInput(f"{after[:80]!r} is no place to go on from in this order; give the token of the page before")
