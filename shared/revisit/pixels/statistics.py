"""Numbers that sum up an index or a band over the clear pixels of an AOI."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from revisit.domain.job import Statistics
from revisit.errors import InvalidInputError


def compute_statistics(values: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> Statistics:
    """Sum up the finite values where the mask is True, each with equal weight, in float64.

    Args:
        values: Of any shape; NaN and infinity are left out.
        mask: True where a value counts, same shape; None counts all.

    Returns:
        Unrounded; std with ddof 0, the median of an even count the mean of the middle two. Only the count
        where it is 0.

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
