"""A condition over the columns of a part, as a numpy mask: of what is not among the columns it says yes, and the product itself is looked at."""

import math
from typing import TYPE_CHECKING, Any

from revisit.domain.clock import micros
from revisit.domain.product import LEVELS
from revisit.domain.product_filter import Always, And, Compare, Condition, In, Like, Null, Or, Overlap, compared, fits, overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

DEGREE = 10_000_000
"""Bounds are kept in units of a ten-millionth of a degree (1 cm), rounded outward."""
UNKNOWN = 255
"""Stands for a platform that is not named S2 and a letter."""
NO_BASELINE, ODD_BASELINE = 65_535, 65_534
"""Stand for none, and for one that is not of four digits."""
NO_ORBIT = 0


def coarse(bounds: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Bounds in the units of the columns, rounded outward."""
    west, south, east, north = bounds
    return math.floor(west * DEGREE), math.floor(south * DEGREE), math.ceil(east * DEGREE), math.ceil(north * DEGREE)


def platforms(names: Any) -> Any:
    """Platforms as the column has them: the letter's number, of a pyarrow array of names."""
    import pyarrow.compute as pc

    letters = pc.struct_field(pc.extract_regex(names, r"^S2(?P<letter>[A-Z])$"), "letter")
    numbers = pc.index_in(letters, _letters())
    return pc.fill_null(numbers, UNKNOWN).to_numpy(zero_copy_only=False).astype("u1")


def baselines(names: Any) -> Any:
    """Baselines as the column has them, of a pyarrow array of texts and nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = pc.match_substring_regex(names, r"^\d{4}$")
    numbers = pc.if_else(digits, names, None).cast(pa.int32())
    found = pc.if_else(pc.is_null(names), NO_BASELINE, pc.coalesce(numbers, pa.scalar(ODD_BASELINE, pa.int32())))
    return found.to_numpy(zero_copy_only=False).astype("<u2")


def _letters() -> Any:
    import pyarrow as pa

    return pa.array([chr(number) for number in range(ord("A"), ord("Z") + 1)])


def mask(condition: Condition, arrays: "dict[str, Array]", here: Any, count: int) -> Any:
    """Which rows may meet a condition; all that do are among them.

    Args:
        here: A slice or numbers of rows.
        count: How many they are.
    """
    import numpy as np

    match condition:
        case And(parts):
            return np.logical_and.reduce([mask(part, arrays, here, count) for part in parts])
        case Or(parts):
            return np.logical_or.reduce([mask(part, arrays, here, count) for part in parts])
        case Always(holds):
            return np.full(count, holds)
        case Overlap(bounds):
            return overlap(coarse(bounds), *(arrays[name][here] for name in ("west", "south", "east", "north")))
    match condition.column:
        case "cloud_cover":
            held = arrays["cloud"][here]
            return _held(condition, held, np.isnan(held))
        case "sensing_time":
            return _held(condition, arrays["sensed"][here], np.zeros(count, bool), micros)
        case "relative_orbit":
            held = arrays["orbit"][here]
            return _held(condition, held, held == NO_ORBIT)
        case "level":
            return _told(condition, LEVELS)[arrays["level"][here]]
        case "platform":
            # One more, for those not named so.
            names = [f"S2{letter}" for letter in _letters().to_pylist()]
            return np.append(_told(condition, names), True)[np.minimum(arrays["platform"][here], len(names))]
        case "tile":
            numbers = np.searchsorted(arrays["starts"], np.arange(here.start, here.stop) if isinstance(here, slice) else here, "right") - 1
            return _told(condition, [tile.decode() for tile in arrays["tiles"].tolist()])[numbers]
        case "baseline":
            held = arrays["baseline"][here]
            if isinstance(condition, Null):
                return (held == NO_BASELINE) == condition.empty
            numbers, which = np.unique(held, return_inverse=True)
            told = _told(condition, [f"{number:04d}" for number in numbers.tolist()])
            return (np.where(numbers == ODD_BASELINE, True, told) & (numbers != NO_BASELINE))[which]
    return np.ones(count, bool)


def _held(condition: "Compare | In | Null | Like", held: "Array", none: "Array", of: Any = float) -> Any:
    """Of a column of numbers, and where it holds none."""
    import numpy as np

    match condition:
        case Null(_, empty):
            return none == empty
        case Compare(_, sign, value):
            return compared(sign, held, of(value)) & ~none
        case In(_, values, among):
            return (np.isin(held, [of(value) for value in values]) == among) & ~none
    return np.ones(len(held), bool)


def _told(condition: "Compare | In | Null | Like", words: Any) -> Any:
    """Which words of a column meet what is wanted of it."""
    import numpy as np

    match condition:
        case Null(_, empty):
            return np.full(len(words), not empty)
        case Compare(_, sign, value):
            return np.array([compared(sign, word, value) for word in words], bool)
        case In(_, values, among):
            return np.array([(word in values) == among for word in words], bool)
        case Like(_, pattern, fit):
            return np.array([fits(word, pattern) == fit for word in words], bool)
