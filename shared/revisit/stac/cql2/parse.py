"""Parsers of CQL2 text and CQL2 JSON into a filter tree.

The `cql2` library parses; this module checks names, kinds and limits.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast, get_args

import msgspec

from revisit.domain.clock import parse_instant
from revisit.domain.filters import (
    COMPARISON_OPERATORS,
    NEGATED_OPERATORS,
    And,
    Comparison,
    ComparisonOperator,
    Constant,
    Filter,
    InList,
    IsNull,
    Like,
    Or,
    SpatialPredicate,
    SpatialRelation,
    parse_like_pattern,
)
from revisit.errors import InvalidInputError
from revisit.stac.cql2.geometry_literals import require_positions
from revisit.stac.cql2.queryables import PROPERTIES, Property, find_property
from revisit.stac.search_area import parse_bbox, parse_geometry

MAX_TEXT = 4_000
"""Characters of a CQL2 text filter: the parser backtracks where brackets are not closed."""
MAX_JSON = 100_000
"""Characters of a CQL2 JSON filter; parsing that many takes 0.1 s."""
MAX_BRACKETS = 6
"""Nesting depth of brackets in CQL2 text."""
MAX_DEPTH = 20
"""Nesting depth of operators."""
MAX_COMPARISONS = 50
MAX_VALUES = 500
"""Values in all lists of a filter."""
MAX_SHAPES = 5
"""Geometries of a filter; each may have 2,000 vertices and is validated."""

_SPATIAL_OPERATORS: tuple[SpatialRelation, ...] = get_args(SpatialRelation.__value__)
_SWAPPED_OPERATORS = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
"""The operator of a comparison whose arguments are exchanged."""
_REPEATED_MINUS = re.compile(r"-(\s*-){6}")
"""The parser recurses for each minus sign: some thousand overflow the stack and end the process."""
_TOO_DEEP_MESSAGE = (
    "the filter is nested too deeply; compare a property with a value, which needs no arithmetic"
)
_OPEN_INTERVAL_SPAN = timedelta(days=400_000)


def parse_cql2_text(text: str) -> Filter:
    """Parse a filter written as CQL2 text.

    Raises:
        InvalidInputError: The text is not CQL2, names an unknown property or operator, or exceeds a limit.
    """
    import cql2

    if len(text) > MAX_TEXT:
        raise InvalidInputError(
            f"the filter has {len(text):,} characters, more than {MAX_TEXT:,}; write it as CQL2 JSON, which "
            "may be longer"
        )
    if _bracket_depth(text) > MAX_BRACKETS:
        raise InvalidInputError(
            f"brackets of the filter are nested more than {MAX_BRACKETS} deep; write it as CQL2 JSON, which "
            "may be deeper"
        )
    if _REPEATED_MINUS.search(text):
        raise InvalidInputError(
            "the filter has several minus signs in a row; write one before a number, or write the filter "
            "as CQL2 JSON"
        )
    require_positions(text)
    try:
        return _FilterParser().parse(cql2.parse_text(text).to_json())
    except (cql2.ParseError, cql2.ValidationError) as error:
        raise InvalidInputError(f"the filter is not CQL2 text: {_parser_message(str(error))}") from None
    except RecursionError:
        raise InvalidInputError(_TOO_DEEP_MESSAGE) from None


def parse_cql2_json(value: Any) -> Filter:
    """Parse a filter written as CQL2 JSON, already decoded.

    Raises:
        InvalidInputError: As for `parse_cql2_text`.
    """
    import cql2

    if not isinstance(value, dict | bool):
        raise InvalidInputError("a filter in CQL2 JSON is an object with op and args")
    text = msgspec.json.encode(value).decode()
    if len(text) > MAX_JSON:
        raise InvalidInputError(
            f"the filter has {len(text):,} characters, more than {MAX_JSON:,}; split it into several searches"
        )
    try:
        cql2.parse_json(text)
        # The library's own form is not used: its numbers differ from those given in the last binary digit.
        return _FilterParser().parse(value)
    except (cql2.ParseError, cql2.ValidationError, ValueError) as error:
        raise InvalidInputError(f"the filter is not CQL2 JSON: {_parser_message(str(error))}") from None
    except RecursionError:
        raise InvalidInputError(_TOO_DEEP_MESSAGE) from None


class _FilterParser:
    """Translates the JSON form of one filter and counts its comparisons, list values and geometries."""

    def __init__(self) -> None:
        self._comparisons = self._values = self._shapes = 0

    def parse(self, value: Any, holds: bool = True, depth: int = 0) -> Filter:
        """Filter for a JSON value, negated where `holds` is False."""
        if depth > MAX_DEPTH:
            raise InvalidInputError(
                f"the filter is nested more than {MAX_DEPTH} deep; split it into several searches"
            )
        if isinstance(value, bool):
            return Constant(value == holds)
        op, args = _parse_operation(value)
        if op in ("and", "or"):
            parts = tuple(self.parse(part, holds, depth + 1) for part in args)
            return And(parts) if (op == "and") == holds else Or(parts)
        if op == "not" and len(args) == 1:
            return self.parse(args[0], not holds, depth + 1)
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise InvalidInputError(
                f"the filter has more than {MAX_COMPARISONS} comparisons; split it into several searches"
            )
        self._shapes += op in _SPATIAL_OPERATORS
        self._values += len(args[1]) if op == "in" and len(args) == 2 and isinstance(args[1], list) else 0
        if self._shapes > MAX_SHAPES or self._values > MAX_VALUES:
            raise InvalidInputError(
                f"the filter has more than {MAX_SHAPES} geometries or {MAX_VALUES} list values; split it "
                "into several searches"
            )
        for names, parse in _OPERATOR_PARSERS:
            if op in names:
                return parse(op, args, holds)
        raise InvalidInputError(
            f"the operator {op[:40]!r} is not supported; use and, or, not, "
            f"{', '.join(COMPARISON_OPERATORS)}, between, in, "
            f"like, isNull, {', '.join(_SPATIAL_OPERATORS)}, t_after, t_before, t_during, t_intersects, "
            "t_equals, t_disjoint"
        )


def _parse_comparison(op: str, args: list[Any], holds: bool) -> Filter:
    left, right = _two_arguments(op, args)
    operator = cast(ComparisonOperator, op)
    if not _is_property(left) and _is_property(right):
        left, right, operator = right, left, cast(ComparisonOperator, _SWAPPED_OPERATORS[op])
    prop = _parse_property(left)
    if prop.kind == "geometry":
        raise InvalidInputError(
            "geometry cannot be compared with a value; use s_intersects or another spatial operator"
        )
    return Comparison(
        prop.name, operator if holds else NEGATED_OPERATORS[operator], _parse_value(prop, right)
    )


def _parse_between(_: str, args: list[Any], holds: bool) -> Filter:
    if len(args) == 2 and isinstance(args[1], list):
        args = [args[0], *args[1]]
    if len(args) != 3:
        raise InvalidInputError(f"between takes a property and two values, not {len(args)} arguments")
    low, high = _parse_comparison(">=", args[:2], holds), _parse_comparison("<=", [args[0], args[2]], holds)
    return And((low, high)) if holds else Or((low, high))


def _parse_in(op: str, args: list[Any], holds: bool) -> Filter:
    left, values = _two_arguments(op, args)
    if not isinstance(values, list) or not values:
        raise InvalidInputError("in takes a property and a list of values")
    prop = _parse_property(left)
    return InList(prop.name, tuple(_parse_value(prop, value) for value in values), holds)


def _parse_like(op: str, args: list[Any], holds: bool) -> Filter:
    left, pattern = _two_arguments(op, args)
    prop = _parse_property(left)
    if prop.kind != "text" or not isinstance(pattern, str):
        raise InvalidInputError(
            f"like compares a text with a pattern in quotes, and {prop.name} is {_kind_phrase(prop)}"
        )
    return Like(prop.name, parse_like_pattern(pattern), holds)


def _parse_is_null(_: str, args: list[Any], holds: bool) -> Filter:
    if len(args) != 1:
        raise InvalidInputError(f"isNull takes one property, not {len(args)} arguments")
    prop = _parse_property(args[0])
    return Constant(not holds) if prop.kind == "geometry" else IsNull(prop.name, holds)


def _parse_spatial(op: str, args: list[Any], holds: bool) -> Filter:
    left, right = _two_arguments(op, args)
    swapped = not _is_property(left) and _is_property(right)
    if swapped:
        left, right = right, left
    prop = _parse_property(left)
    if prop.kind != "geometry":
        raise InvalidInputError(f"{op} takes the property geometry, and {prop.name} is {_kind_phrase(prop)}")
    if not isinstance(right, dict):
        raise InvalidInputError(
            f"{op} takes the property geometry and a GeoJSON geometry or bbox, not {str(right)[:60]}"
        )
    shape = parse_bbox(_parse_bbox(right["bbox"])) if "bbox" in right else parse_geometry(right)
    return SpatialPredicate(cast(SpatialRelation, op), shape, holds, swapped)


def _parse_temporal(op: str, args: list[Any], holds: bool) -> Filter:
    left, right = _two_arguments(op, args)
    prop = _parse_property(left)
    if prop.kind != "instant":
        raise InvalidInputError(f"{op} compares an instant, and {prop.name} is {_kind_phrase(prop)}")
    begin, end = _parse_interval(prop, right)
    comparisons: dict[str, tuple[tuple[ComparisonOperator, datetime], ...]] = {
        "t_after": ((">", end),),
        "t_before": (("<", begin),),
        "t_during": ((">", begin), ("<", end)),
        "t_equals": ((">=", begin), ("<=", end)),
        "t_intersects": ((">=", begin), ("<=", end)),
        "t_disjoint": (("<", begin), (">", end)),
    }
    if op == "t_equals" and begin != end:
        return Constant(False) if holds else IsNull(prop.name, is_null=False)
    parts = tuple(
        Comparison(prop.name, operator if holds else NEGATED_OPERATORS[operator], moment)
        for operator, moment in comparisons[op]
    )
    return Or(parts) if (op == "t_disjoint") == holds else And(parts)


_OPERATOR_PARSERS: tuple[tuple[tuple[str, ...], Callable[[str, list[Any], bool], Filter]], ...] = (
    (COMPARISON_OPERATORS, _parse_comparison),
    (("between",), _parse_between),
    (("in",), _parse_in),
    (("like",), _parse_like),
    (("isNull",), _parse_is_null),
    (_SPATIAL_OPERATORS, _parse_spatial),
    (("t_after", "t_before", "t_during", "t_intersects", "t_equals", "t_disjoint"), _parse_temporal),
)


def _parse_operation(value: Any) -> tuple[str, list[Any]]:
    if (
        isinstance(value, dict)
        and isinstance(value.get("op"), str)
        and isinstance(value.get("args"), list)
        and value["args"]
    ):
        return value["op"], value["args"]
    if _is_property(value):
        raise InvalidInputError(
            f"the property {value['property'][:40]!r} is not a condition; compare it with a value"
        )
    raise InvalidInputError(f"{str(value)[:60]} is not a condition; compare a property with a value")


def _two_arguments(op: str, args: list[Any]) -> tuple[Any, Any]:
    if len(args) != 2:
        raise InvalidInputError(f"{op} takes two arguments, not {len(args)}")
    return args[0], args[1]


def _is_property(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("property"), str)


def _parse_property(value: Any) -> Property:
    if not _is_property(value):
        raise InvalidInputError(f"{str(value)[:60]} is not a property; compare a property with a value")
    found = find_property(value["property"])
    if found is None:
        raise InvalidInputError(
            f"items cannot be filtered by {value['property'][:60]!r}; choose from {', '.join(PROPERTIES)}"
        )
    return found


def _parse_value(prop: Property, value: Any) -> Any:
    """Convert a JSON value to the kind of the property."""
    if (
        prop.kind == "number"
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    ):
        return float(value)
    if prop.kind == "text" and isinstance(value, str):
        return value
    if prop.kind == "instant":
        return _parse_instant(value)
    raise InvalidInputError(f"{prop.name} is {_kind_phrase(prop)}, and {str(value)[:60]} is not")


def _parse_instant(value: Any) -> datetime:
    text = (
        next((value[key] for key in ("timestamp", "date") if key in value), None)
        if isinstance(value, dict)
        else value
    )
    if isinstance(text, str):
        return parse_instant(text)
    raise InvalidInputError(
        f"{str(value)[:60]} is not an instant; write TIMESTAMP('2024-06-01T10:30:00Z') or DATE('2024-06-01')"
    )


def _parse_interval(prop: Property, value: Any) -> tuple[datetime, datetime]:
    ends = value.get("interval") if isinstance(value, dict) else None
    if isinstance(ends, list) and len(ends) == 2:
        epoch = parse_instant("2020-01-01")
        begin, end = (
            (epoch - _OPEN_INTERVAL_SPAN if ends[0] == ".." else _parse_instant(ends[0])),
            (epoch + _OPEN_INTERVAL_SPAN if ends[1] == ".." else _parse_instant(ends[1])),
        )
        if begin > end:
            raise InvalidInputError(f"the interval {str(ends)[:80]} ends before it begins; exchange its ends")
        return begin, end
    moment = _parse_value(prop, value)
    return moment, moment


def _parse_bbox(value: Any) -> list[float]:
    if isinstance(value, list) and all(
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        for number in value
    ):
        return [float(number) for number in value]
    raise InvalidInputError(
        f"{str(value)[:60]} is not a bbox; write a list of numbers: west, south, east, north"
    )


def _kind_phrase(prop: Property) -> str:
    return {"text": "a text", "number": "a number", "instant": "an instant", "geometry": "a geometry"}[
        prop.kind
    ]


def _bracket_depth(text: str) -> int:
    """Nesting depth of the brackets outside quotes."""
    depth = deepest = 0
    quote = ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
            deepest = max(deepest, depth)
    return deepest


def _parser_message(message: str) -> str:
    """The parser's message in one line."""
    return " ".join(message.split())[:200]
