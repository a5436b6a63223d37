"""What a search of the catalog asks for, and what that is in the catalog's own terms."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from revisit.domain.product import LEVELS, Level, Product
from revisit.domain.product_filter import Always, And, Compare, Condition, In, every
from revisit.ports.catalog import Query

if TYPE_CHECKING:
    from revisit.stac.cql2 import Filter

RESULTS = "results"
"""The collection of what an owner's own jobs made."""
APART = timedelta(hours=1)
"""Products of one acquisition are not sensed farther apart, whatever their sources take for that moment."""
_OF_ACQUISITION = ("level", "platform", "tile", "datatake", "relative_orbit")
"""Columns that all reprocessings of one acquisition share, but for the level, which is judged before they are compared."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which items to find; every condition given must hold."""

    collections: tuple[str, ...] = ()
    """Ids; empty means all."""
    ids: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    shape: Any = None
    """A shapely geometry that the footprint touches, and that `coverage` is of."""
    start: datetime | None = None
    end: datetime | None = None
    filter: "Filter | None" = None
    newest: bool = False
    """Whether only the best product of each acquisition is wanted."""
    coverage: float | None = None
    """Percent of the shape's area that the footprint covers at least."""
    latest_first: bool = True

    @property
    def levels(self) -> tuple[Level, ...]:
        """Those of the products wanted; none where only results are."""
        from revisit.stac.product_item import COLLECTIONS

        return tuple(level for level in LEVELS if not self.collections or COLLECTIONS[level] in self.collections)

    @property
    def results(self) -> bool:
        return not self.collections or RESULTS in self.collections


def query(wanted: Wanted) -> Query | None:
    """What the catalog is asked: all that is wanted is among the answers. None where nothing can be."""
    from revisit.stac.cql2 import narrowed
    from revisit.stac.search_area import bounds

    levels = wanted.levels
    condition = narrowed(wanted.filter) if wanted.filter is not None else Always()
    if wanted.newest:
        condition = _of_acquisitions(condition)
    asked = Query(wanted.tiles, bounds=bounds(wanted.shape) if wanted.shape is not None else None, ids=() if wanted.newest else wanted.ids,
                  start=wanted.start and wanted.start - APART * wanted.newest, end=wanted.end and wanted.end + APART * wanted.newest,
                  level=levels[0] if len(levels) == 1 else None, latest_first=wanted.latest_first)
    if not levels or condition == Always(False):
        return None
    return _taken(asked, condition)


def _of_acquisitions(condition: Condition) -> Condition:
    """What is left of a condition that either all reprocessings of an acquisition meet or none."""
    kept = [part for part in _parts(condition) if isinstance(part, Compare | In) and part.column in _OF_ACQUISITION]
    return every(kept)


def _parts(condition: Condition) -> tuple[Condition, ...]:
    return condition.parts if isinstance(condition, And) else (condition,)


def _taken(asked: Query, condition: Condition) -> Query | None:
    """The query with what of the condition it can say itself: catalogs look first at tiles, times and ids."""
    tiles, ids, start, end, level = set(asked.tiles) or None, set(asked.ids) or None, asked.start, asked.end, asked.level
    for part in _parts(condition):
        match part:
            case Compare("tile" | "id" as column, "=", value):
                named: Any = {value}
            case In("tile" | "id" as column, values, True):
                named = set(values)
            case In("level", (value,), True):
                if level not in (None, value):
                    return None
                level = cast(Level, value)
                continue
            case Compare("sensing_time", sign, value) if sign != "<>":
                moment = cast(datetime, value)
                if sign in (">", ">=", "="):
                    start = max(start or moment, moment)
                if sign in ("<", "<=", "="):
                    end = min(end or moment, moment)
                continue
            case _:
                continue
        if column == "tile":
            tiles = named if tiles is None else tiles & named
        else:
            ids = named if ids is None else ids & named
        if not named or tiles == set() or ids == set():
            return None
    rest = every(part for part in _parts(condition) if not (isinstance(part, Compare | In) and part.column in ("tile", "id") and _said(part)))
    return replace(asked, tiles=tuple(sorted(tiles or ())), ids=tuple(sorted(ids or ())), start=start, end=end, level=level,
                   condition=None if rest == Always() else rest)


def _said(part: Compare | In) -> bool:
    return part.sign == "=" if isinstance(part, Compare) else part.among


def key(product: Product) -> tuple[datetime, str, str]:
    """Where a product stands in the order of a search."""
    return product.sensing_time, product.id, product.source
