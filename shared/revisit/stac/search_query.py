"""Query of an item search, and its translation into a query of the catalog."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from revisit.domain.filters import Comparison, Constant, Filter, InList
from revisit.domain.product import LEVELS, Level, Product
from revisit.ports.catalog import Query

RESULTS_COLLECTION = "results"
"""Collection of the results of an owner's own jobs."""
MAX_SENSING_SPREAD = timedelta(hours=1)
"""Upper bound of the differences between the sensing times that sources state for products of one
acquisition."""
_ACQUISITION_COLUMNS = ("level", "platform", "tile", "datatake", "relative_orbit")
"""Columns with one value for all reprocessings of an acquisition. The level differs between its products, but
a search compares only products of the levels it asks for."""


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """Items to find; every condition given must hold."""

    collections: tuple[str, ...] = ()
    """Ids; empty means all."""
    ids: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    shape: Any = None
    """A shapely geometry that the footprint intersects; `coverage` is relative to it."""
    start: datetime | None = None
    end: datetime | None = None
    filter: Filter | None = None
    newest: bool = False
    """Whether to return only the best product of each acquisition."""
    coverage: float | None = None
    """Minimum percent of the shape's area that the footprint covers."""
    latest_first: bool = True

    @property
    def levels(self) -> tuple[Level, ...]:
        """Levels of the products wanted; empty where only results are."""
        from revisit.stac.product_item import COLLECTIONS

        return tuple(
            level for level in LEVELS if not self.collections or COLLECTIONS[level] in self.collections
        )

    @property
    def includes_results(self) -> bool:
        return not self.collections or RESULTS_COLLECTION in self.collections


def build_catalog_query(query: ItemQuery) -> Query | None:
    """Query whose answer contains every product wanted, or None where no product can match.

    With `newest` it contains every product of the acquisitions wanted, since the best one of each is chosen
    before the other conditions apply.
    """
    from revisit.geo.bounds import bounds_of
    from revisit.stac.cql2 import push_down

    levels = query.levels
    conditions = push_down(query.filter).conditions if query.filter is not None else ()
    if query.newest:
        conditions = tuple(part for part in conditions if _is_of_acquisition(part) or part == Constant(False))
    catalog_query = Query(
        query.tiles,
        bounds=bounds_of(query.shape) if query.shape is not None else None,
        ids=() if query.newest else query.ids,
        start=query.start and query.start - MAX_SENSING_SPREAD * query.newest,
        end=query.end and query.end + MAX_SENSING_SPREAD * query.newest,
        level=levels[0] if len(levels) == 1 else None,
        latest_first=query.latest_first,
    )
    if not levels or Constant(False) in conditions:
        return None
    return _use_index_fields(catalog_query, conditions)


def _is_of_acquisition(condition: Filter) -> bool:
    """Whether all reprocessings of an acquisition meet the condition, or none."""
    return isinstance(condition, Comparison | InList) and condition.name in _ACQUISITION_COLUMNS


def _use_index_fields(query: Query, conditions: tuple[Filter, ...]) -> Query | None:
    """Move conditions into the fields of a query that catalogs have an index for: tiles, ids, times and
    level.

    Returns:
        None where the conditions contradict each other.
    """
    names: dict[str, set[str] | None] = {"tile": set(query.tiles) or None, "id": set(query.ids) or None}
    start, end, level = query.start, query.end, query.level
    rest: list[Filter] = []
    for part in conditions:
        match part:
            case Comparison("tile" | "id" as column, "=", str(word)):
                wanted = {word}
            case InList("tile" | "id" as column, values, True):
                wanted = {str(value) for value in values}
            case _:
                rest.append(part)
                match part:
                    case InList("level", (value,), True):
                        if level not in (None, value):
                            return None
                        level = cast(Level, value)
                    case Comparison("sensing_time", operator, datetime() as instant) if operator != "<>":
                        if operator in (">", ">=", "="):
                            start = max(start or instant, instant)
                        if operator in ("<", "<=", "="):
                            end = min(end or instant, instant)
                continue
        known = names[column]
        names[column] = wanted if known is None else known & wanted
        if not names[column]:
            return None
    return replace(
        query,
        tiles=tuple(sorted(names["tile"] or ())),
        ids=tuple(sorted(names["id"] or ())),
        start=start,
        end=end,
        level=level,
        conditions=tuple(rest),
    )


def sort_key(product: Product) -> tuple[datetime, str, str]:
    """Key of the default order of a search."""
    return product.sensing_time, product.id, product.source
