"""What a search of the catalog asks for, and what that is in the catalog's own terms."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from revisit.domain.product import LEVELS, Level, Product
from revisit.domain.product_filter import (
    And,
    BooleanLiteral,
    ColumnComparison,
    ColumnIn,
    ProductFilter,
    all_of,
)
from revisit.ports.catalog import Query

if TYPE_CHECKING:
    from revisit.stac.cql2 import Filter

RESULTS_COLLECTION = "results"
"""The collection of what an owner's own jobs made."""
MAX_SENSING_SPREAD = timedelta(hours=1)
"""Products of one acquisition are not sensed farther apart, whatever their sources take for that moment."""
_ACQUISITION_COLUMNS = ("level", "platform", "tile", "datatake", "relative_orbit")
"""Columns that all reprocessings of one acquisition share, but for the level, which is judged before they are
compared."""


@dataclass(frozen=True, slots=True)
class ItemQuery:
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

        return tuple(
            level for level in LEVELS if not self.collections or COLLECTIONS[level] in self.collections
        )

    @property
    def includes_results(self) -> bool:
        return not self.collections or RESULTS_COLLECTION in self.collections


def build_catalog_query(query: ItemQuery) -> Query | None:
    """What the catalog is asked: all that is wanted is among the answers. None where nothing can be."""
    from revisit.stac.cql2 import pushdown_condition
    from revisit.stac.search_area import area_bounds

    levels = query.levels
    condition = pushdown_condition(query.filter) if query.filter is not None else BooleanLiteral()
    if query.newest:
        condition = _acquisition_condition(condition)
    asked = Query(
        query.tiles,
        bounds=area_bounds(query.shape) if query.shape is not None else None,
        ids=() if query.newest else query.ids,
        start=query.start and query.start - MAX_SENSING_SPREAD * query.newest,
        end=query.end and query.end + MAX_SENSING_SPREAD * query.newest,
        level=levels[0] if len(levels) == 1 else None,
        latest_first=query.latest_first,
    )
    if not levels or condition == BooleanLiteral(False):
        return None
    return _push_down(asked, condition)


def _acquisition_condition(condition: ProductFilter) -> ProductFilter:
    """What is left of a condition that either all reprocessings of an acquisition meet or none."""
    kept = [
        part
        for part in _parts(condition)
        if isinstance(part, ColumnComparison | ColumnIn) and part.column in _ACQUISITION_COLUMNS
    ]
    return all_of(kept)


def _parts(condition: ProductFilter) -> tuple[ProductFilter, ...]:
    return condition.parts if isinstance(condition, And) else (condition,)


def _push_down(query: Query, condition: ProductFilter) -> Query | None:
    """The query with what of the condition it can say itself: catalogs look first at tiles, times and ids."""
    tiles, ids, start, end, level = (
        set(query.tiles) or None,
        set(query.ids) or None,
        query.start,
        query.end,
        query.level,
    )
    for part in _parts(condition):
        match part:
            case ColumnComparison("tile" | "id" as column, "=", value):
                named: Any = {value}
            case ColumnIn("tile" | "id" as column, values, True):
                named = set(values)
            case ColumnIn("level", (value,), True):
                if level not in (None, value):
                    return None
                level = cast(Level, value)
                continue
            case ColumnComparison("sensing_time", sign, value) if sign != "<>":
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
    rest = all_of(
        part
        for part in _parts(condition)
        if not (
            isinstance(part, ColumnComparison | ColumnIn)
            and part.column in ("tile", "id")
            and _is_positive(part)
        )
    )
    return replace(
        query,
        tiles=tuple(sorted(tiles or ())),
        ids=tuple(sorted(ids or ())),
        start=start,
        end=end,
        level=level,
        condition=None if rest == BooleanLiteral() else rest,
    )


def _is_positive(part: ColumnComparison | ColumnIn) -> bool:
    return part.operator == "=" if isinstance(part, ColumnComparison) else part.is_in


def sort_key(product: Product) -> tuple[datetime, str, str]:
    """Where a product stands in the order of a search."""
    return product.sensing_time, product.id, product.source
