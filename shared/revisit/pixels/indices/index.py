"""Spectral indices by name: formula, bands and meaning."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from revisit.domain.bands import SPECTRAL_BANDS
from revisit.errors import InvalidInputError
from revisit.pixels.indices import awesome_indices
from revisit.pixels.indices.awesome_indices import ALIASES, BAND_OF
from revisit.pixels.indices.expression import Expression, parse_expression, parse_tree
from revisit.pixels.indices.own_formula import is_own_formula, parse_own_formula

CHUNK_PIXELS = 131_072
"""Pixels that are computed at once, so that intermediate values need little memory."""


@dataclass(frozen=True, slots=True)
class Index:
    """A spectral index."""

    name: str
    """Such as "NDVI": the Awesome Spectral Indices catalogue's, if it has the index."""
    long_name: str
    expression: str
    """Formula of the catalogue's band letters (N is B08) and constants; a user's own one has band names."""
    reference: str
    """DOI or URL of its publication; empty for a user's own formula."""
    domain: tuple[float | None, float | None]
    """Lowest and highest value for reflectance from 0 to 1; None if unbounded or unknown. Values are not
    clipped to it."""
    meaning: str
    """What a high value means; empty where nobody states it."""
    application: str = ""
    """What it is used for, such as "vegetation" or "burn"."""
    is_own: bool = False
    """Whether it is a user's own formula."""

    @property
    def definition(self) -> str:
        """What a recipe holds of it: its name, or "name=formula"."""
        return f"{self.name}={self.expression}" if self.is_own else self.name

    @property
    def parsed(self) -> Expression:
        """The formula, ready to be computed."""
        return parse_expression(self.expression)

    @property
    def letters(self) -> dict[str, str]:
        """Band letter in the formula -> band name, such as {"N": "B08", "R": "B04"}."""
        names = {name: name for name in SPECTRAL_BANDS} if self.is_own else BAND_OF
        return {name: names[name] for name in self.parsed.names if name in names}

    @property
    def constants(self) -> dict[str, float]:
        """Constant in the formula -> its value."""
        letters = self.letters
        return {
            name: awesome_indices.constant(name, self.name)
            for name in self.parsed.names
            if name not in letters
        }

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands of the formula in its order, such as ("B08", "B04")."""
        return tuple(self.letters.values())

    def compute(self, reflectance: Mapping[str, NDArray[Any]], dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """Compute the index of every pixel, in float64.

        Args:
            reflectance: Band name -> reflectance (not DN), all of one shape, any float dtype.
            dtype: Dtype of the result.

        Returns:
            Shape of the bands; NaN where a band is NaN or the value is not finite. Values are not
            clipped.

        Raises:
            InvalidInputError: A band is missing, or the shapes differ.
        """
        if missing := [band for band in self.bands if band not in reflectance]:
            raise InvalidInputError(
                f"{self.name} needs band {missing[0]}; the bands given are {', '.join(reflectance) or 'none'}"
            )
        shapes = {band: np.shape(reflectance[band]) for band in self.bands}
        if len(set(shapes.values())) > 1:
            raise InvalidInputError(f"{self.name} needs bands of one shape; theirs are {shapes}")
        shape = next(iter(shapes.values()))
        layers = {letter: np.reshape(reflectance[band], -1) for letter, band in self.letters.items()}
        out = np.empty(next(iter(layers.values())).size, dtype)
        formula, constants = self.parsed, self.constants
        for first in range(0, out.size, CHUNK_PIXELS):
            part = slice(first, first + CHUNK_PIXELS)
            values = {letter: np.asarray(layer[part], np.float64) for letter, layer in layers.items()}
            out[part] = formula({**values, **constants})
        return out.reshape(shape)


@lru_cache(maxsize=1024)
def index(name: str) -> Index:
    """The index of a name, an alias or an own formula: "ndvi", "NDWIGAO", "wet=(B8A-B11)/(B8A+B11)".

    Case matters only where two names differ in nothing else.

    Raises:
        InvalidInputError: There is none; the message suggests similar names.
    """
    if is_own_formula(name):
        own = parse_own_formula(name)
        return Index(own.name, "Own formula", own.formula, "", (None, None), "", "own", is_own=True)
    row = awesome_indices.rows()[_find(name)]
    return Index(*row._replace(expression=ast.unparse(parse_tree(row.expression))))


def resolve(name: str) -> str:
    """What a recipe holds for a name, alias or own formula, such as "NDMI" for "ndwigao".

    Raises:
        InvalidInputError: There is none, or an own formula has the name of another index.
    """
    if not is_own_formula(name):
        return _find(name)
    own = parse_own_formula(name)
    if taken := _names_by_key().get(own.name.upper()):
        raise InvalidInputError(
            f"{own.name!r} is the name of the catalogue's index {taken[0]}; give the formula another name"
        )
    return index(name).definition


def names() -> tuple[str, ...]:
    """The names of all indices of the table; those in most use come first."""
    return tuple(awesome_indices.rows())


def find_indices(text: str = "") -> list[Index]:
    """The indices of the table whose name, long name, use, band or alias holds each word of a text, in the
    order of `names`.

    Args:
        text: Words separated by spaces, in upper or lower case; all indices match an empty text.
    """
    words = text.lower().split()
    return [one for one in map(index, names()) if all(word in _searched_text(one.name) for word in words)]


@cache
def _searched_text(name: str) -> str:
    one = index(name)
    aliases = [alias for alias, target in ALIASES.items() if target == name]
    return " ".join(
        (one.name, one.long_name, one.application, one.meaning, one.expression, *one.bands, *aliases)
    ).lower()


@cache
def _names_by_key() -> dict[str, list[str]]:
    """Names in the table by name or alias in upper case."""
    found: dict[str, list[str]] = {}
    for name, target in {**{name: name for name in names()}, **ALIASES}.items():
        found.setdefault(name.upper(), []).append(target)
    return found


def _find(name: str) -> str:
    """The name in the table of a name or alias."""
    plain, known = name.strip(), _names_by_key()
    if plain in awesome_indices.rows():
        return plain
    same = known.get(plain.upper(), [])
    if len(same) == 1:
        return same[0]
    if same:
        raise InvalidInputError(
            f"{plain!r} may be the spectral index {' or '.join(same)}; write it exactly so"
        )
    for other, reason in awesome_indices.excluded().items():
        if other.upper() == plain.upper():
            raise InvalidInputError(f"the spectral index {other} is not for Sentinel-2: {reason}")
    raise InvalidInputError(f"there is no spectral index {plain[:100]!r}; {_suggest(plain)}")


def _suggest(name: str) -> str:
    from difflib import SequenceMatcher

    likeness = SequenceMatcher(b=name[:100].upper())
    ratios: dict[str, float] = {}
    for key, targets in _names_by_key().items():
        likeness.set_seq1(key)
        for target in targets:
            ratios[target] = max(ratios.get(target, 0.0), likeness.ratio())
    # Of those that are equally similar, the one in most use comes first.
    close = sorted((each for each in names() if ratios[each] >= 0.5), key=lambda each: -ratios[each])
    if close:
        return f"did you mean {' or '.join(close[:3])}?"
    return f"`revisit indices` lists all {len(names())}, such as {', '.join(names()[:5])}"
