"""A condition as text that BigQuery and DuckDB both understand: names of columns and signs out of lists, every value a parameter."""

from typing import Any, get_args

from revisit.domain.product_filter import SIGNS, Always, And, Bounds, Column, Compare, Condition, In, Like, Null, Or, Overlap, Value

COLUMNS: tuple[str, ...] = get_args(Column.__value__)


def text_of(condition: Condition, values: dict[str, Any]) -> str:
    """The text of a condition; adds to the values of its question."""
    match condition:
        case And(parts):
            return f"({' AND '.join(text_of(part, values) for part in parts)})"
        case Or(parts):
            return f"({' OR '.join(text_of(part, values) for part in parts)})"
        case Always(holds):
            return "TRUE" if holds else "FALSE"
        case Overlap(bounds):
            return _overlap(bounds, values)
    column = COLUMNS[COLUMNS.index(condition.column)]
    match condition:
        case Null(_, empty):
            return f"{column} IS {'' if empty else 'NOT '}NULL"
        case Compare(_, sign, value):
            return f"{column} {SIGNS[SIGNS.index(sign)]} {_put(value, values)}"
        case In(_, wanted, among):
            # Named one by one, not as an array: BigQuery looks only into the blocks of a constant's tile.
            listed = ", ".join(_put(value, values) for value in wanted)
            return f"{column} {'' if among else 'NOT '}IN ({listed})" if wanted else f"({column} IS NOT NULL AND {'FALSE' if among else 'TRUE'})"
        case Like(_, pattern, fit):
            return f"{column} {'' if fit else 'NOT '}LIKE {_put(pattern, values)}"


def _put(value: Value, values: dict[str, Any]) -> str:
    name = f"value_{len(values)}"
    values[name] = float(value) if isinstance(value, int) else value
    return f"@{name}"


def _overlap(bounds: Bounds, values: dict[str, Any]) -> str:
    left, bottom, right, top = (_put(float(degrees), values) for degrees in bounds)
    upright = f"south <= {top} AND north >= {bottom}"
    if bounds[0] > bounds[2]:
        return f"({upright} AND (west > east OR west <= {right} OR east >= {left}))"
    return f"({upright} AND ((west <= {right} AND east >= {left}) OR (west > east AND (west <= {right} OR east >= {left}))))"
