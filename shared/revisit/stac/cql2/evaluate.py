"""What a filter says of one item, exactly."""

from collections.abc import Callable, Mapping
from typing import Any

from revisit.domain.clock import instant
from revisit.domain.product_filter import compared, fits
from revisit.stac.cql2.ast import All, Constant, Filter, Fits, Lies, Missing, OneOf, Some, Test


def holds(filter: Filter, values: Mapping[str, Any], shape: Callable[[], Any]) -> bool:
    """Whether an item passes.

    Args:
        values: Its properties, its id and collection among them.
        shape: Gives its geometry, as a shapely one.
    """
    match filter:
        case All(parts):
            return all(holds(part, values, shape) for part in parts)
        case Some(parts):
            return any(holds(part, values, shape) for part in parts)
        case Constant(said):
            return said
        case Lies():
            return _lies(filter, shape()) == filter.holds
        case Missing(about, missing):
            return (about.kind != "geometry" and values.get(about.name) is None) == missing
    value: Any = values.get(filter.property.name)
    if value is None:
        return False
    if filter.property.kind == "instant":
        value = instant(value)
    match filter:
        case Test(_, sign, wanted):
            return bool(compared(sign, value, wanted))
        case OneOf(_, wanted, among):
            return (value in wanted) == among
        case Fits(_, pattern, fit):
            return fits(value, pattern) == fit


def _lies(said: Lies, geometry: Any) -> bool:
    import shapely

    one, other = (said.shape, geometry) if said.turned else (geometry, said.shape)
    return bool(getattr(shapely, said.relation.removeprefix("s_"))(one, other))
