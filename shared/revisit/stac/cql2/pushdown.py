"""Pushdown of a CQL2 filter to predicates on the catalog's columns."""

import re
from dataclasses import dataclass
from typing import Any

from revisit.domain.filters import (
    And,
    BoundsOverlap,
    Comparison,
    Constant,
    Filter,
    InList,
    IsNull,
    Like,
    Or,
    SpatialPredicate,
    all_of,
    any_of,
    conjuncts,
    evaluate,
)
from revisit.domain.product_name import parse_acquisition_id
from revisit.geo.bounds import bounds_of
from revisit.stac.cql2.queryables import PROPERTIES
from revisit.stac.product_item import COLLECTIONS, MISSION

_PLATFORMS = {f"S2{letter.upper()}": f"sentinel-2{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"}
_BASELINE_PATTERN = re.compile(r"(\d\d)\.(\d\d)")
_GRID_PREFIX = "MGRS-"
_NULLABLE = {
    "eo:cloud_cover": "cloud_cover",
    "sat:relative_orbit": "relative_orbit",
    "published": "published",
    "s2:processing_baseline": "baseline",
}
"""Properties that a product may lack, with their columns."""


@dataclass(frozen=True, slots=True)
class Pushdown:
    """A filter in two parts: what the catalog answers, and what remains to evaluate for each product."""

    conditions: tuple[Filter, ...]
    """Predicates on columns that every passing product meets."""
    residual: Filter
    """What a product that meets the conditions must still pass; `Constant()` where they are exact."""


def push_down(filter: Filter) -> Pushdown:
    """Split a filter into predicates on columns and a residual."""
    conditions, residual = [], []
    for part in _flatten(filter):
        condition, is_exact = _translate(part)
        conditions.append(condition)
        if not is_exact:
            residual.append(part)
    return Pushdown(conjuncts(all_of(conditions)), all_of(residual))


def _flatten(filter: Filter) -> list[Filter]:
    if isinstance(filter, And):
        return [inner for part in filter.parts for inner in _flatten(part)]
    return [filter]


def _translate(filter: Filter) -> tuple[Filter, bool]:
    """Condition on columns that is implied by the filter, and whether it also implies the filter."""
    match filter:
        case And(parts) | Or(parts):
            translated = [_translate(part) for part in parts]
            combine = all_of if isinstance(filter, And) else any_of
            return combine(condition for condition, _ in translated), all(exact for _, exact in translated)
        case Constant() | BoundsOverlap():
            return filter, True
        case SpatialPredicate(relation, shape, holds):
            if (relation != "s_disjoint") == holds:
                return BoundsOverlap(bounds_of(shape)), False
            return Constant(), False
        case IsNull(name, is_null):
            if PROPERTIES[name].results_only:
                return Constant(is_null), True
            return (IsNull(_NULLABLE[name], is_null) if name in _NULLABLE else Constant(not is_null)), True
    name = filter.name
    if PROPERTIES[name].results_only:
        return Constant(False), True
    if PROPERTIES[name].column:
        return _rename(filter, PROPERTIES[name].column)
    match name:
        case "platform":
            return _among(filter, "platform", _PLATFORMS), True
        case "collection":
            return _among(filter, "level", dict(COLLECTIONS)), True
        case "constellation" | "mission":
            return Constant(evaluate(filter, lambda _: MISSION)), True
        case "grid:code":
            return _translate_grid_code(filter)
        case "s2:processing_baseline":
            return _translate_baseline(filter), False
    return _translate_acquisition(filter)


def _rename(filter: Comparison | InList | Like, column: str) -> tuple[Filter, bool]:
    """The same predicate on a column that holds the same value."""
    match filter:
        case Comparison(_, operator, value):
            return Comparison(column, operator, value), True
        case InList(_, values, is_in):
            return InList(column, values, is_in), True
        case Like(_, pattern, is_match):
            # BigQuery and DuckDB have no common way to escape a wildcard.
            if any(character in ("%", "_", "\\") for character in pattern):
                return Constant(), False
            return Like(column, pattern, is_match), True


def _among(filter: Comparison | InList | Like, column: str, labels: dict[Any, str]) -> Filter:
    """Values of a column with few distinct values whose labels pass."""
    passing = tuple(value for value, label in labels.items() if evaluate(filter, {filter.name: label}.get))
    return Constant(bool(passing)) if len(passing) in (0, len(labels)) else InList(column, passing)


def _translate_grid_code(filter: Comparison | InList | Like) -> tuple[Filter, bool]:
    match filter:
        case Comparison(_, operator, str(value)) if value.startswith(_GRID_PREFIX):
            return Comparison("tile", operator, value.removeprefix(_GRID_PREFIX)), True
        case Comparison(_, "=", _):
            return Constant(False), True
        case InList(_, values, is_in):
            codes = [str(value) for value in values if str(value).startswith(_GRID_PREFIX)]
            return InList("tile", tuple(code.removeprefix(_GRID_PREFIX) for code in codes), is_in), True
        case Like(_, pattern, is_match) if pattern[: len(_GRID_PREFIX)] == tuple(_GRID_PREFIX):
            return _rename(Like("", pattern[len(_GRID_PREFIX) :], is_match), "tile")
    return Constant(), False


def _translate_baseline(filter: Comparison | InList | Like) -> Filter:
    match filter:
        case Comparison(_, operator, str(value)) if _BASELINE_PATTERN.fullmatch(value):
            return Comparison("baseline", operator, value.replace(".", ""))
        case InList(_, values, is_in) if all(_BASELINE_PATTERN.fullmatch(str(value)) for value in values):
            return InList("baseline", tuple(str(value).replace(".", "") for value in values), is_in)
    return IsNull("baseline", is_null=False)


def _translate_acquisition(filter: Comparison | InList | Like) -> tuple[Filter, bool]:
    match filter:
        case Comparison(_, "=", value):
            return _acquisition_equals(str(value)), True
        case InList(_, values, True):
            return any_of(_acquisition_equals(str(value)) for value in values), True
    return Constant(), False


def _acquisition_equals(acquisition: str) -> Filter:
    parts = parse_acquisition_id(acquisition)
    if parts is None:
        return Constant(False)
    platform, datatake, tile = parts
    return all_of(
        (
            Comparison("tile", "=", tile),
            Comparison("platform", "=", platform),
            Comparison("datatake", "=", datatake),
        )
    )
