"""CQL2 text and JSON to a tree of tests, or a sentence why not."""

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast, get_args

import msgspec

from revisit.domain.clock import parse_instant
from revisit.domain.product_filter import COMPARISON_OPERATORS, NEGATED_OPERATORS, ComparisonOperator
from revisit.errors import InvalidInputError
from revisit.stac.cql2.ast import (
    And,
    Comparison,
    Constant,
    Filter,
    InList,
    IsNull,
    Or,
    PatternMatch,
    Relation,
    SpatialPredicate,
)
from revisit.stac.cql2.queryables import PROPERTIES, Property, find_property
from revisit.stac.search_area import parse_bbox, parse_geometry

MAX_TEXT = 4_000
"""Signs of a filter as text: the parser goes back and forth in brackets that do not end well."""
MAX_JSON = 100_000
"""Bytes of one as JSON, which take 0.1 s."""
MAX_BRACKETS = 6
"""Within one another, in text."""
MAX_DEPTH = 20
MAX_COMPARISONS = 50
MAX_VALUES = 500
"""Of all lists."""
MAX_SHAPES = 5
"""Of 2,000 vertices each, to be found sound or not."""

_SPATIAL_OPERATORS: tuple[Relation, ...] = get_args(Relation.__value__)
_SWAPPED_OPERATORS = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
"""A comparison read from right to left."""
_REPEATED_MINUS = re.compile(r"-(\s*-){6}")
"""Each is parsed within the one before it: some thousand take the stack, and the process with it."""
_TOO_DEEP_MESSAGE = (
    "the filter is nested too deeply; compare a property with a value, which needs no arithmetic"
)
_OPEN_INTERVAL_SPAN = timedelta(days=400_000)


def parse_cql2_text(text: str) -> Filter:
    """A filter written as CQL2 text.

    Raises:
        InvalidInputError: It is none, asks for what is not known, or is beyond a limit.
    """
    import cql2

    if len(text) > MAX_TEXT:
        raise InvalidInputError(
            f"a filter has {MAX_TEXT:,} signs at most, not {len(text):,}; write it as CQL2 JSON, which may be longer"
        )
    if _bracket_depth(text) > MAX_BRACKETS:
        raise InvalidInputError(
            f"brackets of a filter stand {MAX_BRACKETS} deep at most; write it as CQL2 JSON, which may be deeper"
        )
    if _REPEATED_MINUS.search(text):
        raise InvalidInputError(
            "minus signs of a filter stand alone before a number; where many in a row are part of a text, write it as CQL2 JSON"
        )
    try:
        return _FilterParser().parse(cql2.parse_text(text).to_json())
    except (cql2.ParseError, cql2.ValidationError) as error:
        raise InvalidInputError(f"the filter is not CQL2 text: {_parser_message(str(error))}") from None
    except RecursionError:
        raise InvalidInputError(_TOO_DEEP_MESSAGE) from None


def parse_cql2_json(value: Any) -> Filter:
    """A filter written as CQL2 JSON, decoded.

    Raises:
        InvalidInputError: As `parse_cql2_text`.
    """
    import cql2

    if not isinstance(value, dict | bool):
        raise InvalidInputError("a filter in CQL2 JSON is an object with op and args")
    text = msgspec.json.encode(value).decode()
    if len(text) > MAX_JSON:
        raise InvalidInputError(
            f"a filter in CQL2 JSON has {MAX_JSON:,} signs at most, not {len(text):,}; ask in several searches"
        )
    try:
        return _FilterParser().parse(cql2.parse_json(text).to_json())
    except (cql2.ParseError, cql2.ValidationError, ValueError) as error:
        raise InvalidInputError(f"the filter is not CQL2 JSON: {_parser_message(str(error))}") from None
    except RecursionError:
        raise InvalidInputError(_TOO_DEEP_MESSAGE) from None


class _FilterParser:
    """Reads one filter, and counts what it takes."""

    def __init__(self) -> None:
        self._comparisons = self._values = self._shapes = 0

    def parse(self, value: Any, holds: bool = True, depth: int = 0) -> Filter:
        """What a value says, or its opposite."""
        if depth > MAX_DEPTH:
            raise InvalidInputError(f"a filter is {MAX_DEPTH} deep at most")
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
            raise InvalidInputError(f"a filter makes {MAX_COMPARISONS} comparisons at most")
        self._shapes += op in _SPATIAL_OPERATORS
        self._values += len(args[1]) if op == "in" and len(args) == 2 and isinstance(args[1], list) else 0
        if self._shapes > MAX_SHAPES or self._values > MAX_VALUES:
            raise InvalidInputError(
                f"a filter has {MAX_SHAPES} shapes at most, and {MAX_VALUES} values in lists"
            )
        for names, work in _OPERATOR_PARSERS:
            if op in names:
                return work(op, args, holds)
        raise InvalidInputError(
            f"{op[:40]!r} is not known here; use and, or, not, {', '.join(COMPARISON_OPERATORS)}, between, in, like, isNull, s_intersects and its like, "
            "t_after, t_before, t_during, t_intersects, t_equals, t_disjoint"
        )


def _parse_comparison(op: str, args: list[Any], holds: bool) -> Filter:
    left, right = _two_arguments(op, args)
    sign = cast(ComparisonOperator, op)
    if not _is_property(left) and _is_property(right):
        left, right, sign = right, left, cast(ComparisonOperator, _SWAPPED_OPERATORS[op])
    about = _parse_property(left)
    if about.kind == "geometry":
        raise InvalidInputError("geometry is compared with s_intersects and its like")
    return Comparison(about, sign if holds else NEGATED_OPERATORS[sign], _parse_value(about, right))


def _parse_between(_: str, args: list[Any], holds: bool) -> Filter:
    if len(args) == 2 and isinstance(args[1], list):
        args = [args[0], *args[1]]
    if len(args) != 3:
        raise InvalidInputError("between takes a property and two values")
    low, high = _parse_comparison(">=", args[:2], holds), _parse_comparison("<=", [args[0], args[2]], holds)
    return And((low, high)) if holds else Or((low, high))


def _parse_in(op: str, args: list[Any], holds: bool) -> Filter:
    about, values = _two_arguments(op, args)
    if not isinstance(values, list) or not values:
        raise InvalidInputError("in takes a property and a list of values")
    of = _parse_property(about)
    return InList(of, tuple(_parse_value(of, value) for value in values), holds)


def _parse_like(op: str, args: list[Any], holds: bool) -> Filter:
    about, pattern = _two_arguments(op, args)
    of = _parse_property(about)
    if of.kind != "text" or not isinstance(pattern, str):
        raise InvalidInputError(
            f"like compares a text with a pattern in quotes, and {of.name} is {_kind_phrase(of)}"
        )
    found: list[str | None] = []
    signs = iter(pattern)
    for sign in signs:
        if sign == "\\":
            found.append(next(signs, "\\"))
        else:
            found.append("" if sign == "%" else None if sign == "_" else sign)
    return PatternMatch(of, tuple(found), holds)


def _parse_is_null(_: str, args: list[Any], holds: bool) -> Filter:
    if len(args) != 1:
        raise InvalidInputError("isNull takes one property")
    return IsNull(_parse_property(args[0]), holds)


def _parse_spatial(op: str, args: list[Any], holds: bool) -> Filter:
    left, right = _two_arguments(op, args)
    turned = not _is_property(left) and _is_property(right)
    if turned:
        left, right = right, left
    if _parse_property(left).kind != "geometry":
        raise InvalidInputError(f"{op} is about geometry")
    if not isinstance(right, dict):
        raise InvalidInputError(f"{op} takes geometry and a shape")
    shape = parse_bbox(_parse_bbox(right["bbox"])) if "bbox" in right else parse_geometry(right)
    return SpatialPredicate(cast(Relation, op), shape, holds, turned)


def _parse_temporal(op: str, args: list[Any], holds: bool) -> Filter:
    left, right = _two_arguments(op, args)
    about = _parse_property(left)
    if about.kind != "instant":
        raise InvalidInputError(f"{op} is about an instant, and {about.name} is {_kind_phrase(about)}")
    begin, end = _parse_interval(about, right)
    tests: dict[str, tuple[tuple[ComparisonOperator, datetime], ...]] = {
        "t_after": ((">", end),),
        "t_before": (("<", begin),),
        "t_during": ((">", begin), ("<", end)),
        "t_equals": ((">=", begin), ("<=", end)),
        "t_intersects": ((">=", begin), ("<=", end)),
        "t_disjoint": (("<", begin), (">", end)),
    }
    if op == "t_equals" and begin != end:
        return IsNull(about, missing=False) if not holds else Constant(False)
    parts = tuple(
        Comparison(about, sign if holds else NEGATED_OPERATORS[sign], moment) for sign, moment in tests[op]
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
            f"{value['property'][:40]!r} alone says neither yes nor no; compare it with something"
        )
    raise InvalidInputError(
        f"{str(value)[:60]} says neither yes nor no; a filter compares properties with values"
    )


def _two_arguments(op: str, args: list[Any]) -> tuple[Any, Any]:
    if len(args) != 2:
        raise InvalidInputError(f"{op} takes two arguments, not {len(args)}")
    return args[0], args[1]


def _is_property(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("property"), str)


def _parse_property(value: Any) -> Property:
    if not _is_property(value):
        raise InvalidInputError(f"{str(value)[:60]} is no property; compare a property with a value")
    found = find_property(value["property"])
    if found is None:
        raise InvalidInputError(
            f"{value['property'][:60]!r} cannot be filtered by; choose from {', '.join(PROPERTIES)}"
        )
    return found


def _parse_value(prop: Property, value: Any) -> Any:
    """A value as the property's own are."""
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
    raise InvalidInputError(f"{prop.name} is {_kind_phrase(prop)}, and {str(value)[:60]} is none")


def _parse_instant(value: Any) -> datetime:
    text = (
        next((value[key] for key in ("timestamp", "date") if key in value), None)
        if isinstance(value, dict)
        else value
    )
    if isinstance(text, str):
        return parse_instant(text)
    raise InvalidInputError(
        f"{str(value)[:60]} is no instant; write TIMESTAMP('2024-06-01T10:30:00Z') or DATE('2024-06-01')"
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
            raise InvalidInputError(f"the interval {str(ends)[:80]} ends before it begins; exchange the two")
        return begin, end
    moment = _parse_value(prop, value)
    return moment, moment


def _parse_bbox(value: Any) -> list[float]:
    if isinstance(value, list) and all(
        isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in value
    ):
        return [float(one) for one in value]
    raise InvalidInputError("a bbox is a list of numbers")


def _kind_phrase(prop: Property) -> str:
    return {"text": "a text", "number": "a number", "instant": "an instant", "geometry": "a shape"}[prop.kind]


def _bracket_depth(text: str) -> int:
    """How deep brackets stand in one another, what is in quotes aside."""
    deep = most = 0
    quote = ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "()":
            deep += 1 if sign == "(" else -1
            most = max(most, deep)
    return most


def _parser_message(message: str) -> str:
    """Where the parser stopped, in one line."""
    return " ".join(message.split())[:200]
