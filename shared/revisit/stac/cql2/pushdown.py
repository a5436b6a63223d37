"""What the catalog's columns hold of every product that a filter says yes to; there may be more such
products."""

import re
from typing import Any

from revisit.domain.product_filter import (
    BooleanLiteral,
    BoundsOverlap,
    ColumnComparison,
    ColumnIn,
    ColumnIsNull,
    ColumnLike,
    ProductFilter,
    all_of,
    any_of,
    compare,
    matches_like,
)
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
from revisit.stac.product_item import COLLECTIONS, MISSION
from revisit.stac.search_area import area_bounds

_PLATFORMS = {f"S2{letter.upper()}": f"sentinel-2{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"}
_ACQUISITION_PATTERN = re.compile(r"(S2[A-Z])_(\d{8}T\d{6})_T(\d{2}[A-Z]{3})")
_BASELINE_PATTERN = re.compile(r"(\d\d)\.(\d\d)")
_GRID_PREFIX = "MGRS-"
_COLUMNS: dict[str, Any] = {
    "id": "id",
    "s2:mgrs_tile": "tile",
    "eo:cloud_cover": "cloud_cover",
    "sat:relative_orbit": "relative_orbit",
    "datetime": "sensing_time",
    "published": "published",
}
"""Properties that a column holds as they are."""

type _Predicate = Comparison | InList | PatternMatch | IsNull


def pushdown_condition(filter: Filter) -> ProductFilter:
    """A condition that every product meets that passes the filter."""
    match filter:
        case And(parts):
            return all_of(pushdown_condition(part) for part in parts)
        case Or(parts):
            return any_of(pushdown_condition(part) for part in parts)
        case Constant(said):
            return BooleanLiteral(said)
        case SpatialPredicate(relation, shape, holds):
            return (
                BoundsOverlap(area_bounds(shape)) if (relation != "s_disjoint") == holds else BooleanLiteral()
            )
    name = filter.property.name
    if filter.property.results_only:
        return BooleanLiteral(isinstance(filter, IsNull) and filter.missing)
    if isinstance(filter, IsNull):
        return _null_condition(name, filter.missing)
    if name in _COLUMNS:
        return _column_condition(_COLUMNS[name], filter)
    if name == "platform":
        return _enum_condition("platform", _PLATFORMS, filter)
    if name in ("constellation", "mission"):
        return BooleanLiteral(_matches(MISSION, filter))
    if name == "collection":
        return _enum_condition("level", dict(COLLECTIONS), filter)
    if name == "grid:code":
        return _grid_code_condition(filter)
    if name == "s2:processing_baseline":
        return _baseline_condition(filter)
    return _acquisition_condition(filter)


def _null_condition(name: str, missing: bool) -> ProductFilter:
    column = {"s2:processing_baseline": "baseline"}.get(name) or _COLUMNS.get(name)
    if column in ("cloud_cover", "relative_orbit", "published", "baseline"):
        return ColumnIsNull(column, missing)  # type: ignore[arg-type]  # one of Column
    return BooleanLiteral(not missing)


def _column_condition(column: Any, filter: _Predicate) -> ProductFilter:
    match filter:
        case Comparison(_, sign, value):
            return ColumnComparison(column, sign, value)
        case InList(_, values, among):
            return ColumnIn(column, values, among)
        case PatternMatch(_, pattern, fit):
            text = _like_pattern(pattern)
            return BooleanLiteral() if text is None else ColumnLike(column, text, fit)
    raise AssertionError(filter)


def _enum_condition(column: Any, labels: dict[Any, str], filter: _Predicate) -> ProductFilter:
    """Of a column of few words: those that pass are named."""
    passing = tuple(held for held, word in labels.items() if _matches(word, filter))
    return BooleanLiteral(bool(passing)) if len(passing) in (0, len(labels)) else ColumnIn(column, passing)


def _matches(text: str, filter: _Predicate) -> bool:
    match filter:
        case Comparison(_, sign, value):
            return bool(compare(sign, text, value))
        case InList(_, values, among):
            return (text in values) == among
        case PatternMatch(_, pattern, fit):
            return matches_like(text, pattern) == fit
    raise AssertionError(filter)


def _grid_code_condition(filter: _Predicate) -> ProductFilter:
    match filter:
        case Comparison(_, sign, value) if value.startswith(_GRID_PREFIX):
            return ColumnComparison("tile", sign, value.removeprefix(_GRID_PREFIX))
        case Comparison(_, "=", _):
            return BooleanLiteral(False)
        case InList(_, values, among):
            return ColumnIn(
                "tile",
                tuple(value.removeprefix(_GRID_PREFIX) for value in values if value.startswith(_GRID_PREFIX)),
                among,
            )
        case PatternMatch(_, pattern, fit) if pattern[: len(_GRID_PREFIX)] == tuple(_GRID_PREFIX):
            text = _like_pattern(pattern[len(_GRID_PREFIX) :])
            return BooleanLiteral() if text is None else ColumnLike("tile", text, fit)
    return BooleanLiteral()


def _baseline_condition(filter: _Predicate) -> ProductFilter:
    match filter:
        case Comparison(_, sign, value) if found := _BASELINE_PATTERN.fullmatch(value):
            return ColumnComparison("baseline", sign, found[1] + found[2])
        case InList(_, values, among) if all(_BASELINE_PATTERN.fullmatch(value) for value in values):
            return ColumnIn("baseline", tuple(value.replace(".", "") for value in values), among)
    return ColumnIsNull("baseline", is_null=False)


def _acquisition_condition(filter: _Predicate) -> ProductFilter:
    match filter:
        case Comparison(_, "=", value):
            return _acquisition_equals(value)
        case InList(_, values, True):
            return any_of(_acquisition_equals(value) for value in values)
    return BooleanLiteral()


def _acquisition_equals(acquisition: str) -> ProductFilter:
    found = _ACQUISITION_PATTERN.fullmatch(acquisition)
    if not found:
        return BooleanLiteral(False)
    return all_of(
        (
            ColumnComparison("tile", "=", found[3]),
            ColumnComparison("platform", "=", found[1]),
            ColumnComparison("datatake", "=", found[2]),
        )
    )


def _like_pattern(pattern: tuple[str | None, ...]) -> str | None:
    """As `ColumnLike` has it, or None where that cannot say it."""
    if any(sign in ("%", "_", "\\") for sign in pattern):
        return None
    return "".join("_" if sign is None else sign or "%" for sign in pattern)
