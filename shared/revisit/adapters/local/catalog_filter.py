"""Column predicates as numpy masks over the search columns of an index segment."""

import math
from typing import TYPE_CHECKING, Any

from revisit.domain.clock import epoch_micros
from revisit.domain.filters import (
    And,
    BoundsOverlap,
    Comparison,
    Constant,
    Filter,
    InList,
    IsNull,
    Like,
    Or,
    SpatialPredicate,
    bounds_overlap,
    compare,
    evaluate,
)
from revisit.domain.product import LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

UNITS_PER_DEGREE = 10_000_000
"""Bounds are stored in ten-millionths of a degree (1 cm), rounded outward."""
UNKNOWN_PLATFORM = 255
"""Code of a platform whose name is not S2 and a letter."""
NO_BASELINE, NONSTANDARD_BASELINE = 65_535, 65_534
"""Codes of a missing baseline, and of one that does not have four digits."""
NO_ORBIT = 0
"""Code of a missing relative orbit."""


def quantize_bounds(bounds: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Bounds in the units of the stored columns, rounded outward."""
    west, south, east, north = bounds
    return (
        math.floor(west * UNITS_PER_DEGREE),
        math.floor(south * UNITS_PER_DEGREE),
        math.ceil(east * UNITS_PER_DEGREE),
        math.ceil(north * UNITS_PER_DEGREE),
    )


def encode_platforms(names: Any) -> Any:
    """Codes of platforms: the number of the letter, for a pyarrow array of names."""
    import pyarrow.compute as pc

    letters = pc.struct_field(pc.extract_regex(names, r"^S2(?P<letter>[A-Z])$"), "letter")
    numbers = pc.index_in(letters, _platform_letters())
    return pc.fill_null(numbers, UNKNOWN_PLATFORM).to_numpy(zero_copy_only=False).astype("u1")


def encode_baselines(names: Any) -> Any:
    """Codes of baselines, for a pyarrow array of texts and nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = pc.match_substring_regex(names, r"^\d{4}$")
    numbers = pc.if_else(digits, names, None).cast(pa.int32())
    found = pc.if_else(
        pc.is_null(names), NO_BASELINE, pc.coalesce(numbers, pa.scalar(NONSTANDARD_BASELINE, pa.int32()))
    )
    return found.to_numpy(zero_copy_only=False).astype("<u2")


def _platform_letters() -> Any:
    import pyarrow as pa

    return pa.array([chr(number) for number in range(ord("A"), ord("Z") + 1)])


def row_mask(condition: Filter, arrays: "dict[str, Array]", row_indices: Any, count: int) -> Any:
    """Rows that may meet a condition, as a numpy mask; every row that does is among them.

    Columns that the arrays lack count as met: the caller evaluates the condition on the product.

    Args:
        row_indices: A slice or an array of row numbers.
        count: How many rows that is.
    """
    import numpy as np

    match condition:
        case And(parts):
            return np.logical_and.reduce([row_mask(part, arrays, row_indices, count) for part in parts])
        case Or(parts):
            return np.logical_or.reduce([row_mask(part, arrays, row_indices, count) for part in parts])
        case Constant(holds):
            return np.full(count, holds)
        case BoundsOverlap(bounds):
            return bounds_overlap(
                quantize_bounds(bounds),
                *(arrays[name][row_indices] for name in ("west", "south", "east", "north")),
            )
        case SpatialPredicate():
            return np.ones(count, bool)
    match condition.name:
        case "cloud_cover":
            column = arrays["cloud"][row_indices]
            return _mask_numbers(condition, column, np.isnan(column))
        case "sensing_time":
            return _mask_numbers(
                condition, arrays["sensed"][row_indices], np.zeros(count, bool), epoch_micros
            )
        case "relative_orbit":
            column = arrays["orbit"][row_indices]
            return _mask_numbers(condition, column, column == NO_ORBIT)
        case "level":
            return _mask_words(condition, LEVELS)[arrays["level"][row_indices]]
        case "platform":
            # The last entry is for platforms with another name.
            names = [f"S2{letter}" for letter in _platform_letters().to_pylist()]
            return np.append(_mask_words(condition, names), True)[
                np.minimum(arrays["platform"][row_indices], len(names))
            ]
        case "tile":
            numbers = (
                np.searchsorted(
                    arrays["starts"],
                    np.arange(row_indices.start, row_indices.stop)
                    if isinstance(row_indices, slice)
                    else row_indices,
                    "right",
                )
                - 1
            )
            return _mask_words(condition, [tile.decode() for tile in arrays["tiles"].tolist()])[numbers]
        case "baseline":
            column = arrays["baseline"][row_indices]
            if isinstance(condition, IsNull):
                return (column == NO_BASELINE) == condition.is_null
            numbers, inverse = np.unique(column, return_inverse=True)
            passing = _mask_words(condition, [f"{number:04d}" for number in numbers.tolist()])
            return (np.where(numbers == NONSTANDARD_BASELINE, True, passing) & (numbers != NO_BASELINE))[
                inverse
            ]
    return np.ones(count, bool)


def _mask_numbers(
    condition: Comparison | InList | IsNull | Like,
    column: "Array",
    missing: "Array",
    convert: Any = float,
) -> Any:
    """Mask of a numeric column, given where it has no value."""
    import numpy as np

    match condition:
        case IsNull(_, is_null):
            return missing == is_null
        case Comparison(_, operator, value):
            return compare(operator, column, convert(value)) & ~missing
        case InList(_, values, is_in):
            return (np.isin(column, [convert(value) for value in values]) == is_in) & ~missing
    return np.ones(len(column), bool)


def _mask_words(condition: Comparison | InList | IsNull | Like, words: Any) -> Any:
    """Mask of the distinct words of a text column."""
    import numpy as np

    return np.array([evaluate(condition, {condition.name: word}.get) for word in words], bool)
