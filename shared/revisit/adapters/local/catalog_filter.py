"""A condition over the columns of a part, as a numpy mask: of what is not among the columns it says yes, and
the product itself is looked at."""

import math
from typing import TYPE_CHECKING, Any

from revisit.domain.clock import epoch_micros
from revisit.domain.product import LEVELS
from revisit.domain.product_filter import (
    And,
    BooleanLiteral,
    BoundsOverlap,
    ColumnComparison,
    ColumnIn,
    ColumnIsNull,
    ColumnLike,
    Or,
    ProductFilter,
    bounds_overlap,
    compare,
    matches_like,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

UNITS_PER_DEGREE = 10_000_000
"""Bounds are kept in units of a ten-millionth of a degree (1 cm), rounded outward."""
UNKNOWN_PLATFORM = 255
"""Stands for a platform that is not named S2 and a letter."""
NO_BASELINE, NONSTANDARD_BASELINE = 65_535, 65_534
"""Stand for none, and for one that is not of four digits."""
NO_ORBIT = 0


def quantize_bounds(bounds: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Bounds in the units of the columns, rounded outward."""
    west, south, east, north = bounds
    return (
        math.floor(west * UNITS_PER_DEGREE),
        math.floor(south * UNITS_PER_DEGREE),
        math.ceil(east * UNITS_PER_DEGREE),
        math.ceil(north * UNITS_PER_DEGREE),
    )


def encode_platforms(names: Any) -> Any:
    """Platforms as the column has them: the letter's number, of a pyarrow array of names."""
    import pyarrow.compute as pc

    letters = pc.struct_field(pc.extract_regex(names, r"^S2(?P<letter>[A-Z])$"), "letter")
    numbers = pc.index_in(letters, _platform_letters())
    return pc.fill_null(numbers, UNKNOWN_PLATFORM).to_numpy(zero_copy_only=False).astype("u1")


def encode_baselines(names: Any) -> Any:
    """Baselines as the column has them, of a pyarrow array of texts and nulls."""
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


def row_mask(condition: ProductFilter, arrays: "dict[str, Array]", row_indices: Any, count: int) -> Any:
    """Which rows may meet a condition; all that do are among them.

    Args:
        here: A slice or numbers of rows.
        count: How many they are.
    """
    import numpy as np

    match condition:
        case And(parts):
            return np.logical_and.reduce([row_mask(part, arrays, row_indices, count) for part in parts])
        case Or(parts):
            return np.logical_or.reduce([row_mask(part, arrays, row_indices, count) for part in parts])
        case BooleanLiteral(holds):
            return np.full(count, holds)
        case BoundsOverlap(bounds):
            return bounds_overlap(
                quantize_bounds(bounds),
                *(arrays[name][row_indices] for name in ("west", "south", "east", "north")),
            )
    match condition.column:
        case "cloud_cover":
            held = arrays["cloud"][row_indices]
            return _mask_numbers(condition, held, np.isnan(held))
        case "sensing_time":
            return _mask_numbers(
                condition, arrays["sensed"][row_indices], np.zeros(count, bool), epoch_micros
            )
        case "relative_orbit":
            held = arrays["orbit"][row_indices]
            return _mask_numbers(condition, held, held == NO_ORBIT)
        case "level":
            return _mask_words(condition, LEVELS)[arrays["level"][row_indices]]
        case "platform":
            # One more, for those not named so.
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
            held = arrays["baseline"][row_indices]
            if isinstance(condition, ColumnIsNull):
                return (held == NO_BASELINE) == condition.is_null
            numbers, which = np.unique(held, return_inverse=True)
            told = _mask_words(condition, [f"{number:04d}" for number in numbers.tolist()])
            return (np.where(numbers == NONSTANDARD_BASELINE, True, told) & (numbers != NO_BASELINE))[which]
    return np.ones(count, bool)


def _mask_numbers(
    condition: "ColumnComparison | ColumnIn | ColumnIsNull | ColumnLike",
    column: "Array",
    missing: "Array",
    convert: Any = float,
) -> Any:
    """Of a column of numbers, and where it holds none."""
    import numpy as np

    match condition:
        case ColumnIsNull(_, empty):
            return missing == empty
        case ColumnComparison(_, sign, value):
            return compare(sign, column, convert(value)) & ~missing
        case ColumnIn(_, values, among):
            return (np.isin(column, [convert(value) for value in values]) == among) & ~missing
    return np.ones(len(column), bool)


def _mask_words(condition: "ColumnComparison | ColumnIn | ColumnIsNull | ColumnLike", words: Any) -> Any:
    """Which words of a column meet what is wanted of it."""
    import numpy as np

    match condition:
        case ColumnIsNull(_, empty):
            return np.full(len(words), not empty)
        case ColumnComparison(_, sign, value):
            return np.array([compare(sign, word, value) for word in words], bool)
        case ColumnIn(_, values, among):
            return np.array([(word in values) == among for word in words], bool)
        case ColumnLike(_, pattern, fit):
            return np.array([matches_like(word, pattern) == fit for word in words], bool)
