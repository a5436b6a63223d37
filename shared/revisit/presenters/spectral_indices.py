"""Spectral indices as plain JSON values."""

import re
from typing import Any

from revisit.pixels.indices import Index, find_indices
from revisit.pixels.indices.awesome_indices import ALIASES, COMMON


def document(one: Index) -> dict[str, Any]:
    """An index with the band of each letter of its formula."""
    return {
        "name": one.name,
        "title": one.long_name,
        "formula": one.expression,
        "formula_in_bands": formula_in_bands(one),
        "letters": one.letters,
        "constants": one.constants,
        "bands": list(one.bands),
        "reference": one.reference or None,
        "meaning": one.meaning,
        "domain": list(one.domain),
        "application": one.application,
        "aliases": [alias for alias, target in ALIASES.items() if target == one.name],
        "common": one.name in COMMON,
    }


def formula_in_bands(one: Index) -> str:
    """The formula with band names and numbers in place of its letters and constants, from which a user can
    write another one."""
    numbers = {name: f"{value:g}" for name, value in one.constants.items()}
    words = {**one.letters, **numbers}
    return re.sub(r"(?<![\w.])[A-Za-z]\w*", lambda word: words.get(word[0], word[0]), one.expression)


def documents(search: str = "") -> list[dict[str, Any]]:
    """The indices of the table that match all words of a text; those in most use come first."""
    return [document(one) for one in find_indices(search)]
