"""What a product's columns must hold, in words that every catalog can answer: no row of which it cannot be
said is found.

There is no `not`: whoever makes a condition turns each comparison round instead, which is the same for a
column that holds nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

type Column = Literal[
    "id",
    "level",
    "platform",
    "tile",
    "sensing_time",
    "datatake",
    "cloud_cover",
    "relative_orbit",
    "baseline",
    "published",
    "size",
]
"""What a condition may be about: fields of `product.Product`."""
type Value = str | float | datetime
type ComparisonOperator = Literal["=", "<>", "<", "<=", ">", ">="]
type Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east crosses the antimeridian."""

COMPARISON_OPERATORS: tuple[ComparisonOperator, ...] = ("=", "<>", "<", "<=", ">", ">=")
NEGATED_OPERATORS: dict[ComparisonOperator, ComparisonOperator] = {
    "=": "<>",
    "<>": "=",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}
"""What holds where a comparison does not."""


@dataclass(frozen=True, slots=True)
class ColumnComparison:
    """The column is so related to the value."""

    column: Column
    operator: ComparisonOperator
    value: Value


@dataclass(frozen=True, slots=True)
class ColumnIn:
    """The column is one of the values, or none of them."""

    column: Column
    values: tuple[Value, ...]
    is_in: bool = True


@dataclass(frozen=True, slots=True)
class ColumnIsNull:
    """The column holds nothing, or something."""

    column: Column
    is_null: bool = True


@dataclass(frozen=True, slots=True)
class ColumnLike:
    """The text fits the pattern, or does not: % stands for any signs, _ for one; there is no backslash in it,
    and none is escaped."""

    column: Column
    pattern: str
    is_match: bool = True


@dataclass(frozen=True, slots=True)
class BoundsOverlap:
    """The product's bounds overlap these, or touch them."""

    bounds: Bounds


@dataclass(frozen=True, slots=True)
class BooleanLiteral:
    """Holds for all products, or for none."""

    holds: bool = True


@dataclass(frozen=True, slots=True)
class And:
    """All of them hold."""

    parts: "tuple[ProductFilter, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """One of them holds."""

    parts: "tuple[ProductFilter, ...]"


type ProductFilter = (
    ColumnComparison | ColumnIn | ColumnIsNull | ColumnLike | BoundsOverlap | BooleanLiteral | And | Or
)


def all_of(parts: "Iterable[ProductFilter]") -> "ProductFilter":
    """All of them hold, in the fewest words."""
    kept: list[ProductFilter] = []
    for part in parts:
        if part == BooleanLiteral(False):
            return part
        if part != BooleanLiteral():
            kept += part.parts if isinstance(part, And) else (part,)
    return kept[0] if len(kept) == 1 else And(tuple(kept)) if kept else BooleanLiteral()


def any_of(parts: "Iterable[ProductFilter]") -> "ProductFilter":
    """One of them holds, in the fewest words."""
    kept: list[ProductFilter] = []
    for part in parts:
        if part == BooleanLiteral():
            return part
        if part != BooleanLiteral(False):
            kept += part.parts if isinstance(part, Or) else (part,)
    return kept[0] if len(kept) == 1 else Or(tuple(kept)) if kept else BooleanLiteral(False)


def matches_filter(predicate: ProductFilter, product: Any) -> bool:
    """Whether a product's columns hold what is wanted."""
    match predicate:
        case And(parts):
            return all(matches_filter(part, product) for part in parts)
        case Or(parts):
            return any(matches_filter(part, product) for part in parts)
        case BooleanLiteral(holds):
            return holds
        case BoundsOverlap(bounds):
            return bool(bounds_overlap(bounds, product.west, product.south, product.east, product.north))
        case ColumnIsNull(column, empty):
            return (getattr(product, column) is None) == empty
    held = getattr(product, predicate.column)
    if held is None:
        return False
    match predicate:
        case ColumnComparison(_, sign, value):
            return bool(compare(sign, held, value))
        case ColumnIn(_, values, among):
            return (held in values) == among
        case ColumnLike(_, pattern, wanted):
            return matches_like(held, pattern) == wanted


def compare(operator: ComparisonOperator, actual: Any, value: Any) -> Any:
    """The comparison, of one value or of an array."""
    match operator:
        case "=":
            return actual == value
        case "<>":
            return actual != value
        case "<":
            return actual < value
        case "<=":
            return actual <= value
        case ">":
            return actual > value
        case ">=":
            return actual >= value


ANY_CHARACTERS, ONE_CHARACTER = "%", "_"
"""What a pattern has for any signs, and for one."""


def matches_like(text: str, pattern: Sequence[str | None]) -> bool:
    """Whether the whole text fits a pattern, in as many steps as the two are long together, multiplied at
    worst.

    Args:
        pattern: Of `ColumnLike`; a list may have None for `ONE` and an empty text for `ANY`, and then holds
            the two as themselves.
    """
    literal = not isinstance(pattern, str)
    at = place = 0
    star = resumed = -1
    while at < len(text):
        wanted = pattern[place] if place < len(pattern) else "end"
        if wanted == ("" if literal else ANY_CHARACTERS):
            star, resumed, place = place, at, place + 1
        elif place < len(pattern) and (wanted == text[at] or wanted == (None if literal else ONE_CHARACTER)):
            at, place = at + 1, place + 1
        elif star >= 0:
            resumed += 1
            at, place = resumed, star + 1
        else:
            return False
    return all(sign == ("" if literal else ANY_CHARACTERS) for sign in pattern[place:])


def bounds_overlap(bounds: Bounds, west: Any, south: Any, east: Any, north: Any) -> Any:
    """Whether bounds overlap (or touch) the wanted ones, of one product or of arrays; west > east means
    across the antimeridian, on either side."""
    left, bottom, right, top = bounds
    starts_before, ends_after = west <= right, east >= left
    either = starts_before | ends_after
    sideways = (
        (starts_before & ends_after) | ((west > east) & either) if left <= right else (west > east) | either
    )
    return sideways & (south <= top) & (north >= bottom)
