"""What a filter says of one item, exactly."""

from collections.abc import Callable, Mapping
from typing import Any

from revisit.domain.clock import parse_instant
from revisit.domain.product_filter import compare, matches_like
from revisit.stac.cql2.ast import (
    And,
    Comparison,
    Constant,
    Filter,
    InList,
    IsNull,
    Or,
    PatternMatch,
    SpatialPredicate,
)


def evaluate(filter: Filter, values: Mapping[str, Any], shape: Callable[[], Any]) -> bool:
    """Whether an item passes.

    Args:
        values: Its properties, its id and collection among them.
        shape: Gives its geometry, as a shapely one.
    """
    match filter:
        case And(parts):
            return all(evaluate(part, values, shape) for part in parts)
        case Or(parts):
            return any(evaluate(part, values, shape) for part in parts)
        case Constant(said):
            return said
        case SpatialPredicate():
            return _evaluate_spatial(filter, shape()) == filter.holds
        case IsNull(about, missing):
            return (about.kind != "geometry" and values.get(about.name) is None) == missing
    value: Any = values.get(filter.property.name)
    if value is None:
        return False
    if filter.property.kind == "instant":
        value = parse_instant(value)
    match filter:
        case Comparison(_, sign, wanted):
            return bool(compare(sign, value, wanted))
        case InList(_, wanted, among):
            return (value in wanted) == among
        case PatternMatch(_, pattern, fit):
            return matches_like(value, pattern) == fit


def _evaluate_spatial(predicate: SpatialPredicate, geometry: Any) -> bool:
    import shapely

    one, other = (predicate.shape, geometry) if predicate.swapped else (geometry, predicate.shape)
    return bool(getattr(shapely, predicate.relation.removeprefix("s_"))(one, other))
