"""What a product's columns must hold, in words that every catalog can answer: no row of which it cannot be said is found.

There is no `not`: whoever makes a condition turns each comparison round instead, which is the same for a column that holds nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

type Column = Literal["id", "level", "platform", "tile", "sensing_time", "datatake", "cloud_cover", "relative_orbit", "baseline", "published", "size"]
"""What a condition may be about: fields of `product.Product`."""
type Value = str | float | datetime
type Sign = Literal["=", "<>", "<", "<=", ">", ">="]
type Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east crosses the antimeridian."""

SIGNS: tuple[Sign, ...] = ("=", "<>", "<", "<=", ">", ">=")
OPPOSITE: dict[Sign, Sign] = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
"""What holds where a comparison does not."""


@dataclass(frozen=True, slots=True)
class Compare:
    """The column is so related to the value."""

    column: Column
    sign: Sign
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """The column is one of the values, or none of them."""

    column: Column
    values: tuple[Value, ...]
    among: bool = True


@dataclass(frozen=True, slots=True)
class Null:
    """The column holds nothing, or something."""

    column: Column
    empty: bool = True


@dataclass(frozen=True, slots=True)
class Like:
    """The text fits the pattern, or does not: % stands for any signs, _ for one; there is no backslash in it, and none is escaped."""

    column: Column
    pattern: str
    fit: bool = True


@dataclass(frozen=True, slots=True)
class Overlap:
    """The product's bounds overlap these, or touch them."""

    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Always:
    """Holds for all products, or for none."""

    holds: bool = True


@dataclass(frozen=True, slots=True)
class And:
    """All of them hold."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """One of them holds."""

    parts: "tuple[Condition, ...]"


type Condition = Compare | In | Null | Like | Overlap | Always | And | Or


def every(parts: "Iterable[Condition]") -> "Condition":
    """All of them hold, in the fewest words."""
    kept: list[Condition] = []
    for part in parts:
        if part == Always(False):
            return part
        if part != Always():
            kept += part.parts if isinstance(part, And) else (part,)
    return kept[0] if len(kept) == 1 else And(tuple(kept)) if kept else Always()


def some(parts: "Iterable[Condition]") -> "Condition":
    """One of them holds, in the fewest words."""
    kept: list[Condition] = []
    for part in parts:
        if part == Always():
            return part
        if part != Always(False):
            kept += part.parts if isinstance(part, Or) else (part,)
    return kept[0] if len(kept) == 1 else Or(tuple(kept)) if kept else Always(False)


def meets(condition: Condition, product: Any) -> bool:
    """Whether a product's columns hold what is wanted."""
    match condition:
        case And(parts):
            return all(meets(part, product) for part in parts)
        case Or(parts):
            return any(meets(part, product) for part in parts)
        case Always(holds):
            return holds
        case Overlap(bounds):
            return bool(overlap(bounds, product.west, product.south, product.east, product.north))
        case Null(column, empty):
            return (getattr(product, column) is None) == empty
    held = getattr(product, condition.column)
    if held is None:
        return False
    match condition:
        case Compare(_, sign, value):
            return bool(compared(sign, held, value))
        case In(_, values, among):
            return (held in values) == among
        case Like(_, pattern, wanted):
            return fits(held, pattern) == wanted


def compared(sign: Sign, held: Any, value: Any) -> Any:
    """The comparison, of one value or of an array."""
    match sign:
        case "=":
            return held == value
        case "<>":
            return held != value
        case "<":
            return held < value
        case "<=":
            return held <= value
        case ">":
            return held > value
        case ">=":
            return held >= value


ANY, ONE = "%", "_"
"""What a pattern has for any signs, and for one."""


def fits(text: str, pattern: Sequence[str | None]) -> bool:
    """Whether the whole text fits a pattern, in as many steps as the two are long together, multiplied at worst.

    Args:
        pattern: Of `Like`; a list may have None for `ONE` and an empty text for `ANY`, and then holds the two as themselves.
    """
    literal = not isinstance(pattern, str)
    at = place = 0
    star = resumed = -1
    while at < len(text):
        wanted = pattern[place] if place < len(pattern) else "end"
        if wanted == ("" if literal else ANY):
            star, resumed, place = place, at, place + 1
        elif place < len(pattern) and (wanted == text[at] or wanted == (None if literal else ONE)):
            at, place = at + 1, place + 1
        elif star >= 0:
            resumed += 1
            at, place = resumed, star + 1
        else:
            return False
    return all(sign == ("" if literal else ANY) for sign in pattern[place:])


def overlap(wanted: Bounds, west: Any, south: Any, east: Any, north: Any) -> Any:
    """Whether bounds overlap (or touch) the wanted ones, of one product or of arrays; west > east means across the antimeridian, on either side."""
    left, bottom, right, top = wanted
    starts_before, ends_after = west <= right, east >= left
    either = starts_before | ends_after
    sideways = (starts_before & ends_after) | ((west > east) & either) if left <= right else (west > east) | either
    return sideways & (south <= top) & (north >= bottom)
