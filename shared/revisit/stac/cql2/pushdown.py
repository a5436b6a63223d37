"""What the catalog's columns hold of every product that a filter says yes to; there may be more such products."""

import re
from typing import Any

from revisit.domain.product_filter import Always, Compare, Condition, In, Like, Null, Overlap, compared, every, fits, some
from revisit.stac.cql2.ast import All, Constant, Filter, Fits, Lies, Missing, OneOf, Some, Test
from revisit.stac.product_item import COLLECTIONS, MISSION
from revisit.stac.search_area import bounds

_PLATFORMS = {f"S2{letter.upper()}": f"sentinel-2{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"}
_ACQUISITION = re.compile(r"(S2[A-Z])_(\d{8}T\d{6})_T(\d{2}[A-Z]{3})")
_BASELINE = re.compile(r"(\d\d)\.(\d\d)")
_GRID = "MGRS-"
_PLAIN: dict[str, Any] = {"id": "id", "s2:mgrs_tile": "tile", "eo:cloud_cover": "cloud_cover", "sat:relative_orbit": "relative_orbit",
                          "datetime": "sensing_time", "published": "published"}
"""Properties that a column holds as they are."""

type _Test = Test | OneOf | Fits | Missing


def narrowed(filter: Filter) -> Condition:
    """A condition that every product meets that passes the filter."""
    match filter:
        case All(parts):
            return every(narrowed(part) for part in parts)
        case Some(parts):
            return some(narrowed(part) for part in parts)
        case Constant(said):
            return Always(said)
        case Lies(relation, shape, holds):
            return Overlap(bounds(shape)) if (relation != "s_disjoint") == holds else Always()
    name = filter.property.name
    if filter.property.results_only:
        return Always(isinstance(filter, Missing) and filter.missing)
    if isinstance(filter, Missing):
        return _missing(name, filter.missing)
    if name in _PLAIN:
        return _plain(_PLAIN[name], filter)
    if name == "platform":
        return _worded("platform", _PLATFORMS, filter)
    if name in ("constellation", "mission"):
        return Always(_passes(MISSION, filter))
    if name == "collection":
        return _worded("level", dict(COLLECTIONS), filter)
    if name == "grid:code":
        return _grid(filter)
    if name == "s2:processing_baseline":
        return _baseline(filter)
    return _acquisition(filter)


def _missing(name: str, missing: bool) -> Condition:
    column = {"s2:processing_baseline": "baseline"}.get(name) or _PLAIN.get(name)
    if column in ("cloud_cover", "relative_orbit", "published", "baseline"):
        return Null(column, missing)  # type: ignore[arg-type]  # one of Column
    return Always(not missing)


def _plain(column: Any, filter: _Test) -> Condition:
    match filter:
        case Test(_, sign, value):
            return Compare(column, sign, value)
        case OneOf(_, values, among):
            return In(column, values, among)
        case Fits(_, pattern, fit):
            text = _pattern(pattern)
            return Always() if text is None else Like(column, text, fit)
    raise AssertionError(filter)


def _worded(column: Any, words: dict[Any, str], filter: _Test) -> Condition:
    """Of a column of few words: those that pass are named."""
    passing = tuple(held for held, word in words.items() if _passes(word, filter))
    return Always(bool(passing)) if len(passing) in (0, len(words)) else In(column, passing)


def _passes(word: str, filter: _Test) -> bool:
    match filter:
        case Test(_, sign, value):
            return bool(compared(sign, word, value))
        case OneOf(_, values, among):
            return (word in values) == among
        case Fits(_, pattern, fit):
            return fits(word, pattern) == fit
    raise AssertionError(filter)


def _grid(filter: _Test) -> Condition:
    match filter:
        case Test(_, sign, value) if value.startswith(_GRID):
            return Compare("tile", sign, value.removeprefix(_GRID))
        case Test(_, "=", _):
            return Always(False)
        case OneOf(_, values, among):
            return In("tile", tuple(value.removeprefix(_GRID) for value in values if value.startswith(_GRID)), among)
        case Fits(_, pattern, fit) if pattern[:len(_GRID)] == tuple(_GRID):
            text = _pattern(pattern[len(_GRID):])
            return Always() if text is None else Like("tile", text, fit)
    return Always()


def _baseline(filter: _Test) -> Condition:
    match filter:
        case Test(_, sign, value) if found := _BASELINE.fullmatch(value):
            return Compare("baseline", sign, found[1] + found[2])
        case OneOf(_, values, among) if all(_BASELINE.fullmatch(value) for value in values):
            return In("baseline", tuple(value.replace(".", "") for value in values), among)
    return Null("baseline", empty=False)


def _acquisition(filter: _Test) -> Condition:
    match filter:
        case Test(_, "=", value):
            return _seen(value)
        case OneOf(_, values, True):
            return some(_seen(value) for value in values)
    return Always()


def _seen(acquisition: str) -> Condition:
    found = _ACQUISITION.fullmatch(acquisition)
    if not found:
        return Always(False)
    return every((Compare("tile", "=", found[3]), Compare("platform", "=", found[1]), Compare("datatake", "=", found[2])))


def _pattern(pattern: tuple[str | None, ...]) -> str | None:
    """As `Like` has it, or None where that cannot say it."""
    if any(sign in ("%", "_", "\\") for sign in pattern):
        return None
    return "".join("_" if sign is None else sign or "%" for sign in pattern)
