"""Column predicates as SQL that BigQuery and DuckDB both accept.

Column names and operators come from fixed lists; every value is a query parameter.
"""

from typing import Any, get_args

from revisit.domain.filters import (
    ANY_CHARACTERS,
    COMPARISON_OPERATORS,
    ONE_CHARACTER,
    And,
    Bounds,
    BoundsOverlap,
    Column,
    Comparison,
    Constant,
    Filter,
    InList,
    IsNull,
    Like,
    LikePattern,
    Or,
    SpatialPredicate,
    Value,
)

COLUMNS: tuple[str, ...] = get_args(Column.__value__)


def to_sql(filter: Filter, values: dict[str, Any]) -> str:
    """SQL of a filter over columns.

    Args:
        values: Parameters of the statement; those of the filter are added.
    """
    match filter:
        case And(parts):
            return f"({' AND '.join(to_sql(part, values) for part in parts)})"
        case Or(parts):
            return f"({' OR '.join(to_sql(part, values) for part in parts)})"
        case Constant(holds):
            return "TRUE" if holds else "FALSE"
        case BoundsOverlap(bounds):
            return _overlap_sql(bounds, values)
        case SpatialPredicate():
            raise TypeError("a spatial predicate is pushed down as BoundsOverlap")
    column = COLUMNS[COLUMNS.index(filter.name)]
    match filter:
        case IsNull(_, is_null):
            return f"{column} IS {'' if is_null else 'NOT '}NULL"
        case Comparison(_, operator, value):
            operator = COMPARISON_OPERATORS[COMPARISON_OPERATORS.index(operator)]
            return f"{column} {operator} {_add_parameter(value, values)}"
        case InList(_, wanted, is_in):
            # One parameter per value, not an array: BigQuery prunes clustered blocks only for constants.
            listed = ", ".join(_add_parameter(value, values) for value in wanted)
            return (
                f"{column} {'' if is_in else 'NOT '}IN ({listed})"
                if wanted
                else f"({column} IS NOT NULL AND {'FALSE' if is_in else 'TRUE'})"
            )
        case Like(_, pattern, is_match):
            return f"{column} {'' if is_match else 'NOT '}LIKE {_add_parameter(_like_text(pattern), values)}"


def _like_text(pattern: LikePattern) -> str:
    return "".join(
        {ANY_CHARACTERS: "%", ONE_CHARACTER: "_"}.get(element, element) or "" for element in pattern
    )


def _add_parameter(value: Value, values: dict[str, Any]) -> str:
    name = f"value_{len(values)}"
    values[name] = float(value) if isinstance(value, int) else value
    return f"@{name}"


def _overlap_sql(bounds: Bounds, values: dict[str, Any]) -> str:
    left, bottom, right, top = (_add_parameter(float(degrees), values) for degrees in bounds)
    latitudes_overlap = f"south <= {top} AND north >= {bottom}"
    if bounds[0] > bounds[2]:
        return f"({latitudes_overlap} AND (west > east OR west <= {right} OR east >= {left}))"
    return (
        f"({latitudes_overlap} AND ((west <= {right} AND east >= {left}) "
        f"OR (west > east AND (west <= {right} OR east >= {left}))))"
    )
