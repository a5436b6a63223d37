"""Statistics of an index or a band over the clear pixels of an AOI."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from revisit.domain.job import Statistics
from revisit.errors import InvalidInputError


def compute_statistics(values: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> Statistics:
    """Summarise the finite values where the mask is True, with equal weights, in float64.

    Args:
        values: Any shape and dtype; NaN and infinity are left out.
        mask: True where a value counts, same shape; None counts all.

    Returns:
        Unrounded. The standard deviation has ddof 0; the median of an even count is the mean of the middle
        two. If no value counts, only the count (0) is set.

    Raises:
        InvalidInputError: The shapes differ.
    """
    if mask is not None and mask.shape != values.shape:
        raise InvalidInputError(
            f"values of shape {values.shape} and a mask of shape {mask.shape} are not on one grid"
        )
    chosen = np.asarray(values if mask is None else values[mask], np.float64).ravel()
    chosen = chosen[np.isfinite(chosen)]
    if not chosen.size:
        return Statistics(0)
    return Statistics(
        chosen.size,
        float(chosen.mean()),
        float(chosen.std()),
        float(chosen.min()),
        float(chosen.max()),
        float(np.median(chosen)),
    )
