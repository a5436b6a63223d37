"""Formulas: arithmetic over named arrays, parsed from text without `eval`.

A formula may hold numbers, names, + - * / ** and the functions of `FUNCTIONS`; the parser refuses all else.
"""

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revisit.errors import InvalidInputError

type Value = NDArray[Any] | float
type _Node = Callable[[Mapping[str, Value], list[NDArray[Any]]], tuple[Value, bool]]
"""Takes the values by name and a stack of spare arrays; returns a value, and whether it is a temporary that
may be overwritten."""

MAX_LENGTH = 1000
"""Characters of a formula; the longest of the catalogue has 215."""
MAX_DEPTH = 60
"""Levels of nested operations."""
MAX_QUOTED = 120
"""Characters of a formula that a message repeats."""
_GLUED_NUMBER = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?+([A-Za-z_]\w*)")
"""A number that a name follows at once."""

FUNCTIONS: dict[str, tuple[Any, int]] = {
    "sqrt": (np.sqrt, 1),
    "abs": (np.abs, 1),
    "exp": (np.exp, 1),
    "log": (np.log, 1),
    "min": (np.minimum, 2),
    "max": (np.maximum, 2),
}
"""Name -> numpy function and number of arguments."""

_BINARY_OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
}
_FAST_POWERS: dict[float, Any] = {2.0: np.square, 0.5: np.sqrt}


class FormulaError(InvalidInputError):
    """Text that is no formula.

    Args:
        text: The whole text.
        problem: What is wrong, as the end of a sentence.
        position: Position of the fault in the text, from 0.
    """

    def __init__(self, text: str, problem: str, position: int) -> None:
        self.problem, self.position = problem, position
        super().__init__(f"formula {_quote(text, position)}: {problem}, at character {position + 1}")


def _quote(text: str, position: int) -> str:
    """The text in quotes; of a long one the part around the position."""
    if len(text) <= MAX_QUOTED:
        return repr(text)
    first = max(0, min(position - MAX_QUOTED // 2, len(text) - MAX_QUOTED))
    return repr("..." * (first > 0) + text[first : first + MAX_QUOTED] + "...")


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed formula; call it to compute."""

    text: str
    names: tuple[str, ...]
    """Bands and constants of the formula, in order of first appearance."""
    _root: _Node

    def __call__(self, values: Mapping[str, Value], spare: list[NDArray[Any]] | None = None) -> Value:
        """Compute the formula in the dtype of its arrays, elementwise.

        Args:
            values: By name: scalars, and float arrays of one shape, which are not modified.
            spare: Arrays of the same shape and dtype that may be overwritten; the result may be one of them.
                More are allocated as needed.

        Returns:
            NaN where the value is not finite. Within the formula arithmetic is that of IEEE 754, as in other
            programs: 1 / 0 is infinite and 1 / (1 / 0) is 0, while 0 / 0 and the root or logarithm of a
            negative number have no value.
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            result, temporary = self._root(values, [] if spare is None else spare)
        return _replace_infinite(result, temporary)


def parse_tree(text: str) -> ast.expr:
    """The syntax tree of a formula, which may still hold more than arithmetic.

    Raises:
        FormulaError: The text is too long, or no expression.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            text, f"a formula has at most {MAX_LENGTH} characters, not {len(text)}", MAX_LENGTH
        )
    if strange := next((each for each in text if not " " <= each <= "~"), ""):
        raise FormulaError(text, f"{strange!r} cannot be part of a formula", text.index(strange))
    if glued := _GLUED_NUMBER.search(text):
        raise FormulaError(text, f"an operator is missing before {glued[1]!r}", glued.start(1))
    start = len(text) - len(text.lstrip())
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        # The parser states 0 for a formula that ends too early.
        position = min(start + error.offset - 1, len(text)) if error.offset else len(text)
        raise FormulaError(text, _explain(error, text[position:]), position) from None
    except (ValueError, RecursionError, MemoryError):
        raise FormulaError(text, "it is no formula such as (N - R) / (N + R)", start) from None


def _explain(error: SyntaxError, rest: str) -> str:
    """What is wrong with text that is no expression; `rest` follows the fault."""
    if re.fullmatch(r"'.' was never closed|unmatched '.'|too many nested parentheses", error.msg):
        return error.msg
    found = re.match(r"\w+|\S", rest.lstrip())
    return f"{found[0]!r} is not expected" if found else "a value is missing at the end"


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> Expression:
    """Parse a formula such as "(N - R) / (N + R)".

    Raises:
        FormulaError: The text is no formula, is too long or nested too deeply, or holds something other than
            arithmetic.
    """
    names: dict[str, None] = {}
    root = _compile(parse_tree(text), text, names, 0)
    return Expression(text, tuple(names), root)


def position_of(node: ast.AST, text: str) -> int:
    """Position of a node in the text that it was parsed from; names and numbers are ASCII."""
    return len(text) - len(text.lstrip()) + getattr(node, "col_offset", 0)


def _compile(node: ast.AST, text: str, names: dict[str, None], depth: int) -> _Node:
    """The function that computes a node; adds the names it uses to `names`, whose keys keep their order."""
    if depth > MAX_DEPTH:
        raise FormulaError(text, f"a formula nests at most {MAX_DEPTH} operations", position_of(node, text))

    def part(child: ast.AST) -> _Node:
        return _compile(child, text, names, depth + 1)

    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _constant(number, text, node)
        case ast.Name(id=name) if name not in FUNCTIONS:
            names[name] = None
            return lambda values, _spare: (values[name], False)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _apply(np.negative, part(operand))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return part(operand)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _divide(part(left), part(right))
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(part(left), part(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY_OPERATORS:
            return _apply(_BINARY_OPERATORS[type(op)], part(left), part(right))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            function, count = FUNCTIONS[name]
            if len(arguments) != count:
                problem = f"{name} takes {count} value{'s' * (count > 1)}, not {len(arguments)}"
                raise FormulaError(text, problem, position_of(node, text))
            return _apply(function, *map(part, arguments))
    raise FormulaError(
        text,
        f"{_quote(ast.unparse(node), 0)} is not arithmetic; use numbers, bands, + - * / ** and "
        f"{', '.join(FUNCTIONS)}",
        position_of(node, text),
    )


def _constant(number: float, text: str, node: ast.AST) -> _Node:
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise FormulaError(text, "the number is too large", position_of(node, text))
    return lambda _values, _spare: (value, False)


def _apply(function: Any, *parts: _Node) -> _Node:
    def run(values: Mapping[str, Value], spare: list[NDArray[Any]]) -> tuple[Value, bool]:
        return _call_into(function, spare, *[part(values, spare) for part in parts])

    return run


def _call_into(function: Any, spare: list[NDArray[Any]], *operands: tuple[Value, bool]) -> tuple[Value, bool]:
    """Call a numpy function; it writes into a temporary operand or a spare array, so that few arrays are used
    and they stay in the cache."""
    arguments = [value for value, _ in operands]
    arrays = [value for value in arguments if isinstance(value, np.ndarray)]
    if not arrays:
        return function(*arguments), False
    spare += [value for value, temporary in operands if temporary and isinstance(value, np.ndarray)]
    return function(*arguments, out=spare.pop() if spare else None), True


def _divide(left: _Node, right: _Node) -> _Node:
    def run(values: Mapping[str, Value], spare: list[NDArray[Any]]) -> tuple[Value, bool]:
        (dividend, spent), (divisor, temporary) = left(values, spare), right(values, spare)
        # Python's own numbers raise an error on a division by zero; those of numpy do not.
        divisor = np.float64(divisor) if isinstance(divisor, float) else divisor
        return _call_into(np.divide, spare, (dividend, spent), (divisor, temporary))

    return run


def _power(left: _Node, right: _Node) -> _Node:
    def run(values: Mapping[str, Value], spare: list[NDArray[Any]]) -> tuple[Value, bool]:
        base, exponent = left(values, spare), right(values, spare)
        if isinstance(exponent[0], float) and exponent[0] in _FAST_POWERS:
            return _call_into(_FAST_POWERS[exponent[0]], spare, base)
        return _call_into(np.power, spare, base, exponent)

    return run


def _replace_infinite(value: Value, temporary: bool) -> Value:
    """The value with NaN where it is infinite; copied only if it is so anywhere, which is rare."""
    infinite = np.isinf(value)
    if not np.any(infinite):
        return value
    if not isinstance(value, np.ndarray):
        return math.nan
    value = value if temporary else value.copy()
    np.copyto(value, math.nan, where=infinite)
    return value
