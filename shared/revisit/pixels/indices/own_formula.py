"""Formulas that users write themselves, such as "wet=(B8A-B11)/(B8A+B11)"."""

import ast
import math
import re
from typing import NamedTuple

from revisit.domain.bands import SPECTRAL_BANDS, band_name
from revisit.errors import InvalidInputError
from revisit.pixels.indices.expression import (
    FUNCTIONS,
    FormulaError,
    parse_expression,
    parse_tree,
    position_of,
)

MAX_OPERATIONS = 100
"""Operations of a formula; the catalogue has at most 31."""
MAX_EXPONENT = 16.0
"""Largest exponent, either sign."""
RESERVED_NAMES = ("bands", "item", "preview", "thumbnail")
"""Names of other files and assets of a result, besides those of bands and layers."""


class OwnFormula(NamedTuple):
    """A formula and its name, in the one spelling that recipes and receipts hold."""

    name: str
    formula: str
    """In band names, such as "(B8A - B11) / (B8A + B11)"."""


def is_own_formula(text: str) -> bool:
    """Whether a text defines an index, instead of naming one."""
    return "=" in text


def parse_own_formula(text: str) -> OwnFormula:
    """Parse "name=formula", where the formula holds numbers, bands, + - * / ** and functions.

    Raises:
        InvalidInputError: The name is none, or taken by a band or a file of a result.
        FormulaError: The formula is none, or would take too long; with the position in the text.
    """
    written, _, formula = text.partition("=")
    name = written.strip()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", name):
        raise InvalidInputError(
            f"{name[:60]!r} cannot be the name of a formula; a name has up to 32 letters, digits and _, and "
            "begins with a letter, as in wet=(B8A-B11)/(B8A+B11)"
        )
    if name.lower() in RESERVED_NAMES or _is_band(name):
        raise InvalidInputError(f"{name!r} is the name of a band or file; give the formula another name")
    try:
        parse_expression(formula)
        return OwnFormula(name, _normalize(formula))
    except FormulaError as error:
        raise FormulaError(text, error.problem, error.position + len(written) + 1) from None


def _is_band(name: str) -> bool:
    try:
        return bool(band_name(name))
    except InvalidInputError:
        return False


def _normalize(formula: str) -> str:
    """The formula with the bands' own names and with spaces in their places; its value stays the same."""
    tree = parse_tree(formula)
    nodes = list(ast.walk(tree))
    operations = [node for node in nodes if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call))]
    if len(operations) > MAX_OPERATIONS:
        raise FormulaError(
            formula, f"a formula has at most {MAX_OPERATIONS} operations, not {len(operations)}", 0
        )
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in FUNCTIONS:
            node.id = _band(node, formula)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            _check_exponent(node.right, formula)
    if not any(isinstance(node, ast.Name) and node.id in SPECTRAL_BANDS for node in nodes):
        raise FormulaError(formula, "it holds no band, such as B08", 0)
    return ast.unparse(tree)


def _band(node: ast.Name, formula: str) -> str:
    try:
        band = band_name(node.id)
    except InvalidInputError:
        band = ""
    if band not in SPECTRAL_BANDS:
        raise FormulaError(
            formula,
            f"{node.id[:40]!r} is no band; choose from {', '.join(SPECTRAL_BANDS)}",
            position_of(node, formula),
        )
    return band


def _check_exponent(node: ast.expr, formula: str) -> None:
    """Refuse an exponent that is not a number of a usual size."""
    exponent = parse_expression(ast.unparse(node))
    value = math.nan if exponent.names else float(exponent({}))
    if not abs(value) <= MAX_EXPONENT:
        raise FormulaError(
            formula,
            f"an exponent is a number from -{MAX_EXPONENT:g} to {MAX_EXPONENT:g}",
            position_of(node, formula),
        )
