"""Spectral indices by name: formula, bands and meaning."""

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
    """A spectral index."""

    name: str
    """Such as "NDVI": the Awesome Spectral Indices catalogue's, if it has the index."""
    long_name: str
    expression: str
    """Formula of the catalogue's band letters (N is B08) and constants."""
    reference: str
    """DOI or URL of its publication."""
    domain: tuple[float | None, float | None]
    """Lowest and highest value for reflectance from 0 to 1; None if unbounded. Values are not clipped to
    it."""
    meaning: str
    """What a high value means."""

    @property
    def parsed(self) -> Expression:
        """The formula, ready to be computed."""
        return parse_expression(self.expression)

    @property
    def letters(self) -> dict[str, str]:
        """Band letter in the formula -> band name, such as {"N": "B08", "R": "B04"}."""
        return {name: BAND_OF[name] for name in self.parsed.names if name in BAND_OF}

    @property
    def constants(self) -> dict[str, float]:
        """Constant in the formula -> its value."""
        return {name: CONSTANTS[name] for name in self.parsed.names if name not in BAND_OF}

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
        values = {letter: np.asarray(reflectance[band], np.float64) for letter, band in self.letters.items()}
        return np.asarray(self.parsed({**values, **self.constants}), dtype)


def index(name: str) -> Index:
    """The index of a name or alias, such as "ndvi" or "NDWIGAO"; case does not matter.

    Raises:
        InvalidInputError: There is none; the message suggests similar names.
    """
    row = ROWS[resolve(name)]
    return Index(*row)


def resolve(name: str) -> str:
    """The name in the table of a name or alias, such as "NDMI" for "ndwigao".

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
    """The names of all indices."""
    return tuple(ROWS)
