"""A condition as text that BigQuery and DuckDB both understand: names of columns and signs out of lists,
every value a parameter."""

from typing import Any, get_args

from revisit.domain.product_filter import (
    COMPARISON_OPERATORS,
    And,
    BooleanLiteral,
    Bounds,
    BoundsOverlap,
    Column,
    ColumnComparison,
    ColumnIn,
    ColumnIsNull,
    ColumnLike,
    Or,
    ProductFilter,
    Value,
)

COLUMNS: tuple[str, ...] = get_args(Column.__value__)


def to_sql(condition: ProductFilter, values: dict[str, Any]) -> str:
    """The text of a condition; adds to the values of its question."""
    match condition:
        case And(parts):
            return f"({' AND '.join(to_sql(part, values) for part in parts)})"
        case Or(parts):
            return f"({' OR '.join(to_sql(part, values) for part in parts)})"
        case BooleanLiteral(holds):
            return "TRUE" if holds else "FALSE"
        case BoundsOverlap(bounds):
            return _overlap_sql(bounds, values)
    column = COLUMNS[COLUMNS.index(condition.column)]
    match condition:
        case ColumnIsNull(_, empty):
            return f"{column} IS {'' if empty else 'NOT '}NULL"
        case ColumnComparison(_, sign, value):
            return f"{column} {COMPARISON_OPERATORS[COMPARISON_OPERATORS.index(sign)]} {_add_parameter(value, values)}"
        case ColumnIn(_, wanted, among):
            # Named one by one, not as an array: BigQuery looks only into the blocks of a constant's tile.
            listed = ", ".join(_add_parameter(value, values) for value in wanted)
            return (
                f"{column} {'' if among else 'NOT '}IN ({listed})"
                if wanted
                else f"({column} IS NOT NULL AND {'FALSE' if among else 'TRUE'})"
            )
        case ColumnLike(_, pattern, fit):
            return f"{column} {'' if fit else 'NOT '}LIKE {_add_parameter(pattern, values)}"


def _add_parameter(value: Value, values: dict[str, Any]) -> str:
    name = f"value_{len(values)}"
    values[name] = float(value) if isinstance(value, int) else value
    return f"@{name}"


def _overlap_sql(bounds: Bounds, values: dict[str, Any]) -> str:
    left, bottom, right, top = (_add_parameter(float(degrees), values) for degrees in bounds)
    upright = f"south <= {top} AND north >= {bottom}"
    if bounds[0] > bounds[2]:
        return f"({upright} AND (west > east OR west <= {right} OR east >= {left}))"
    return f"({upright} AND ((west <= {right} AND east >= {left}) OR (west > east AND (west <= {right} OR east >= {left}))))"
