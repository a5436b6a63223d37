"""One spectral index: its formula, what it needs and what it means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from revisit.errors import InvalidInputError
from revisit.pixels.indices.awesome_indices import ALIASES, BAND_OF, CONSTANTS, ROWS
from revisit.pixels.indices.expression import Expression, parse_expression


@dataclass(frozen=True, slots=True)
class Index:
    """One row of the table."""

    name: str
    """Of the Awesome Spectral Indices catalogue where it is in there: NDVI."""
    long_name: str
    expression: str
    """Formula over the catalogue's band letters (N is B08) and constants."""
    reference: str
    """Where it was published: DOI or URL."""
    domain: tuple[float | None, float | None]
    """Lowest and highest value for reflectance from 0 to 1; None where there is no bound. Nothing is clipped
    to it."""
    meaning: str
    """What a high value says."""

    @property
    def parsed(self) -> Expression:
        return parse_expression(self.expression)

    @property
    def letters(self) -> dict[str, str]:
        """Band letter of the formula -> band name: {"N": "B08", "R": "B04"}."""
        return {name: BAND_OF[name] for name in self.parsed.names if name in BAND_OF}

    @property
    def constants(self) -> dict[str, float]:
        """Constants of the formula and their values."""
        return {name: CONSTANTS[name] for name in self.parsed.names if name not in BAND_OF}

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands it is computed from, in the order of the formula: ("B08", "B04")."""
        return tuple(self.letters.values())

    def compute(self, reflectance: Mapping[str, NDArray[Any]], dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """The index of every pixel.

        Args:
            reflectance: Band name -> reflectance (not DN), all of one shape; the arithmetic is float64
                whatever comes in.
            dtype: Of the result.

        Returns:
            An array of the bands' shape; NaN where a band is NaN or the formula divides by zero. Nothing is
            clipped.

        Raises:
            InvalidInputError: A band is missing, or the shapes differ.
        """
        if missing := [band for band in self.bands if band not in reflectance]:
            raise InvalidInputError(
                f"{self.name} needs band {missing[0]}, and there is only {', '.join(reflectance) or 'none'}"
            )
        shapes = {band: np.shape(reflectance[band]) for band in self.bands}
        if len(set(shapes.values())) > 1:
            raise InvalidInputError(f"{self.name} needs its bands on one grid, and their shapes are {shapes}")
        values = {letter: np.asarray(reflectance[band], np.float64) for letter, band in self.letters.items()}
        return np.asarray(self.parsed({**values, **self.constants}), dtype)


def index(name: str) -> Index:
    """The index of that name or alias, in capitals or not: "ndvi", "NDWIGAO".

    Raises:
        InvalidInputError: There is none; the sentence names those that are spelt alike.
    """
    row = ROWS[resolve(name)]
    return Index(*row)


def resolve(name: str) -> str:
    """The name in the table of an index given by name or alias: "ndwigao" is NDMI.

    Raises:
        InvalidInputError: There is none.
    """
    folded = name.strip().upper()
    known = {key.upper(): key for key in ROWS} | {alias.upper(): target for alias, target in ALIASES.items()}
    if folded in known:
        return known[folded]
    from difflib import get_close_matches

    close = list(dict.fromkeys(known[match] for match in get_close_matches(folded, known, 3, 0.5)))
    hint = f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(ROWS)}"
    raise InvalidInputError(f"there is no spectral index {name!r}; {hint}")


def names() -> tuple[str, ...]:
    """All indices of the table."""
    return tuple(ROWS)
