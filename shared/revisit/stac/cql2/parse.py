"""CQL2 text and JSON to a tree of tests, or a sentence why not."""

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast, get_args

import msgspec

from revisit.domain.clock import instant
from revisit.domain.product_filter import OPPOSITE, SIGNS, Sign
from revisit.errors import BadInput
from revisit.stac.cql2.ast import All, Constant, Filter, Fits, Lies, Missing, OneOf, Relation, Some, Test
from revisit.stac.cql2.queryables import PROPERTIES, Property, named
from revisit.stac.search_area import box, place

MAX_TEXT = 4_000
"""Signs of a filter as text: the parser goes back and forth in brackets that do not end well."""
MAX_JSON = 100_000
"""Bytes of one as JSON, which take 0.1 s."""
MAX_BRACKETS = 6
"""Within one another, in text."""
MAX_DEPTH = 20
MAX_TESTS = 50
MAX_VALUES = 500
"""Of all lists."""
MAX_SHAPES = 5
"""Of 2,000 vertices each, to be found sound or not."""

_RELATIONS: tuple[Relation, ...] = get_args(Relation.__value__)
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
"""A comparison read from right to left."""
_MINUSES = re.compile(r"-(\s*-){6}")
"""Each is parsed within the one before it: some thousand take the stack, and the process with it."""
_DEEP = "the filter is nested too deeply; compare a property with a value, which needs no arithmetic"
_FAR = timedelta(days=400_000)


def read_text(text: str) -> Filter:
    """A filter written as CQL2 text.

    Raises:
        BadInput: It is none, asks for what is not known, or is beyond a limit.
    """
    import cql2

    if len(text) > MAX_TEXT:
        raise BadInput(f"a filter has {MAX_TEXT:,} signs at most, not {len(text):,}; write it as CQL2 JSON, which may be longer")
    if _brackets(text) > MAX_BRACKETS:
        raise BadInput(f"brackets of a filter stand {MAX_BRACKETS} deep at most; write it as CQL2 JSON, which may be deeper")
    if _MINUSES.search(text):
        raise BadInput("minus signs of a filter stand alone before a number; where many in a row are part of a text, write it as CQL2 JSON")
    try:
        return _Reader().read(cql2.parse_text(text).to_json())
    except (cql2.ParseError, cql2.ValidationError) as error:
        raise BadInput(f"the filter is not CQL2 text: {_place(str(error))}") from None
    except RecursionError:
        raise BadInput(_DEEP) from None


def read_json(value: Any) -> Filter:
    """A filter written as CQL2 JSON, decoded.

    Raises:
        BadInput: As `read_text`.
    """
    import cql2

    if not isinstance(value, dict | bool):
        raise BadInput("a filter in CQL2 JSON is an object with op and args")
    text = msgspec.json.encode(value).decode()
    if len(text) > MAX_JSON:
        raise BadInput(f"a filter in CQL2 JSON has {MAX_JSON:,} signs at most, not {len(text):,}; ask in several searches")
    try:
        return _Reader().read(cql2.parse_json(text).to_json())
    except (cql2.ParseError, cql2.ValidationError, ValueError) as error:
        raise BadInput(f"the filter is not CQL2 JSON: {_place(str(error))}") from None
    except RecursionError:
        raise BadInput(_DEEP) from None


class _Reader:
    """Reads one filter, and counts what it takes."""

    def __init__(self) -> None:
        self._tests = self._values = self._shapes = 0

    def read(self, value: Any, holds: bool = True, depth: int = 0) -> Filter:
        """What a value says, or its opposite."""
        if depth > MAX_DEPTH:
            raise BadInput(f"a filter is {MAX_DEPTH} deep at most")
        if isinstance(value, bool):
            return Constant(value == holds)
        op, args = _operation(value)
        if op in ("and", "or"):
            parts = tuple(self.read(part, holds, depth + 1) for part in args)
            return All(parts) if (op == "and") == holds else Some(parts)
        if op == "not" and len(args) == 1:
            return self.read(args[0], not holds, depth + 1)
        self._tests += 1
        if self._tests > MAX_TESTS:
            raise BadInput(f"a filter makes {MAX_TESTS} comparisons at most")
        self._shapes += op in _RELATIONS
        self._values += len(args[1]) if op == "in" and len(args) == 2 and isinstance(args[1], list) else 0
        if self._shapes > MAX_SHAPES or self._values > MAX_VALUES:
            raise BadInput(f"a filter has {MAX_SHAPES} shapes at most, and {MAX_VALUES} values in lists")
        for names, work in _WORK:
            if op in names:
                return work(op, args, holds)
        raise BadInput(f"{op[:40]!r} is not known here; use and, or, not, {', '.join(SIGNS)}, between, in, like, isNull, s_intersects and its like, "
                       "t_after, t_before, t_during, t_intersects, t_equals, t_disjoint")


def _compared(op: str, args: list[Any], holds: bool) -> Filter:
    left, right = _pair(op, args)
    sign = cast(Sign, op)
    if not _is_property(left) and _is_property(right):
        left, right, sign = right, left, cast(Sign, _TURNED[op])
    about = _property(left)
    if about.kind == "geometry":
        raise BadInput("geometry is compared with s_intersects and its like")
    return Test(about, sign if holds else OPPOSITE[sign], _value(about, right))


def _between(_: str, args: list[Any], holds: bool) -> Filter:
    if len(args) == 2 and isinstance(args[1], list):
        args = [args[0], *args[1]]
    if len(args) != 3:
        raise BadInput("between takes a property and two values")
    low, high = _compared(">=", args[:2], holds), _compared("<=", [args[0], args[2]], holds)
    return All((low, high)) if holds else Some((low, high))


def _among(op: str, args: list[Any], holds: bool) -> Filter:
    about, values = _pair(op, args)
    if not isinstance(values, list) or not values:
        raise BadInput("in takes a property and a list of values")
    of = _property(about)
    return OneOf(of, tuple(_value(of, value) for value in values), holds)


def _like(op: str, args: list[Any], holds: bool) -> Filter:
    about, pattern = _pair(op, args)
    of = _property(about)
    if of.kind != "text" or not isinstance(pattern, str):
        raise BadInput(f"like compares a text with a pattern in quotes, and {of.name} is {_a(of)}")
    found: list[str | None] = []
    signs = iter(pattern)
    for sign in signs:
        if sign == "\\":
            found.append(next(signs, "\\"))
        else:
            found.append("" if sign == "%" else None if sign == "_" else sign)
    return Fits(of, tuple(found), holds)


def _missing(_: str, args: list[Any], holds: bool) -> Filter:
    if len(args) != 1:
        raise BadInput("isNull takes one property")
    return Missing(_property(args[0]), holds)


def _lies(op: str, args: list[Any], holds: bool) -> Filter:
    left, right = _pair(op, args)
    turned = not _is_property(left) and _is_property(right)
    if turned:
        left, right = right, left
    if _property(left).kind != "geometry":
        raise BadInput(f"{op} is about geometry")
    if not isinstance(right, dict):
        raise BadInput(f"{op} takes geometry and a shape")
    shape = box(_numbers(right["bbox"])) if "bbox" in right else place(right)
    return Lies(cast(Relation, op), shape, holds, turned)


def _when(op: str, args: list[Any], holds: bool) -> Filter:
    left, right = _pair(op, args)
    about = _property(left)
    if about.kind != "instant":
        raise BadInput(f"{op} is about an instant, and {about.name} is {_a(about)}")
    begin, end = _interval(about, right)
    tests: dict[str, tuple[tuple[Sign, datetime], ...]] = {
        "t_after": ((">", end),), "t_before": (("<", begin),), "t_during": ((">", begin), ("<", end)), "t_equals": ((">=", begin), ("<=", end)),
        "t_intersects": ((">=", begin), ("<=", end)), "t_disjoint": (("<", begin), (">", end))}
    if op == "t_equals" and begin != end:
        return Missing(about, missing=False) if not holds else Constant(False)
    parts = tuple(Test(about, sign if holds else OPPOSITE[sign], moment) for sign, moment in tests[op])
    return Some(parts) if (op == "t_disjoint") == holds else All(parts)


_WORK: tuple[tuple[tuple[str, ...], Callable[[str, list[Any], bool], Filter]], ...] = (
    (SIGNS, _compared), (("between",), _between), (("in",), _among), (("like",), _like), (("isNull",), _missing), (_RELATIONS, _lies),
    (("t_after", "t_before", "t_during", "t_intersects", "t_equals", "t_disjoint"), _when),
)


def _operation(value: Any) -> tuple[str, list[Any]]:
    if isinstance(value, dict) and isinstance(value.get("op"), str) and isinstance(value.get("args"), list) and value["args"]:
        return value["op"], value["args"]
    if _is_property(value):
        raise BadInput(f"{value['property'][:40]!r} alone says neither yes nor no; compare it with something")
    raise BadInput(f"{str(value)[:60]} says neither yes nor no; a filter compares properties with values")


def _pair(op: str, args: list[Any]) -> tuple[Any, Any]:
    if len(args) != 2:
        raise BadInput(f"{op} takes two arguments, not {len(args)}")
    return args[0], args[1]


def _is_property(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("property"), str)


def _property(value: Any) -> Property:
    if not _is_property(value):
        raise BadInput(f"{str(value)[:60]} is no property; compare a property with a value")
    found = named(value["property"])
    if found is None:
        raise BadInput(f"{value['property'][:60]!r} cannot be filtered by; choose from {', '.join(PROPERTIES)}")
    return found


def _value(of: Property, value: Any) -> Any:
    """A value as the property's own are."""
    if of.kind == "number" and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if of.kind == "text" and isinstance(value, str):
        return value
    if of.kind == "instant":
        return _moment(value)
    raise BadInput(f"{of.name} is {_a(of)}, and {str(value)[:60]} is none")


def _moment(value: Any) -> datetime:
    text = next((value[key] for key in ("timestamp", "date") if key in value), None) if isinstance(value, dict) else value
    if isinstance(text, str):
        return instant(text)
    raise BadInput(f"{str(value)[:60]} is no instant; write TIMESTAMP('2024-06-01T10:30:00Z') or DATE('2024-06-01')")


def _interval(of: Property, value: Any) -> tuple[datetime, datetime]:
    ends = value.get("interval") if isinstance(value, dict) else None
    if isinstance(ends, list) and len(ends) == 2:
        epoch = instant("2020-01-01")
        begin, end = (epoch - _FAR if ends[0] == ".." else _moment(ends[0])), (epoch + _FAR if ends[1] == ".." else _moment(ends[1]))
        if begin > end:
            raise BadInput(f"the interval {str(ends)[:80]} ends before it begins; exchange the two")
        return begin, end
    moment = _value(of, value)
    return moment, moment


def _numbers(value: Any) -> list[float]:
    if isinstance(value, list) and all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in value):
        return [float(one) for one in value]
    raise BadInput("a bbox is a list of numbers")


def _a(of: Property) -> str:
    return {"text": "a text", "number": "a number", "instant": "an instant", "geometry": "a shape"}[of.kind]


def _brackets(text: str) -> int:
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


def _place(told: str) -> str:
    """Where the parser stopped, in one line."""
    return " ".join(told.split())[:200]
