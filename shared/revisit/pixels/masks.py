"""Masks of valid and clear pixels, and cover counts, from the scene classification (SCL).

Classes are those of Sen2Cor (ESA, Sentinel-2 Products Specification Document, L2A scene classification).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from revisit.domain.job import Cover
from revisit.errors import InvalidInputError

CLASSES: dict[int, str] = {
    0: "no data",
    1: "saturated or defective",
    2: "topographic shadow",
    3: "cloud shadow",
    4: "vegetation",
    5: "bare",
    6: "water",
    7: "unclassified",
    8: "cloud, medium probability",
    9: "cloud, high probability",
    10: "thin cirrus",
    11: "snow or ice",
}
"""Value in the SCL -> its class."""

MASK_VERSION = "SCL-1"
"""Version of the rules below; every receipt states it. Raise it when they change."""

INVALID_CLASSES = (0, 1)
CLEAR_CLASSES = (4, 5, 6, 7, 11)
CLOUD_CLASSES = (8, 9, 10)
SHADOW_CLASSES = (2, 3)
SNOW_CLASS = 11


def _lookup_table(classes: tuple[int, ...]) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(classes)] = True
    return table


KNOWN_TABLE = _lookup_table(tuple(number for number in CLASSES if number not in INVALID_CLASSES))
"""Shape (256,), indexed by SCL value: True if it is a class with data; False for values that are no class."""
CLEAR_TABLE = _lookup_table(CLEAR_CLASSES)
"""Shape (256,), indexed by SCL value: True if the class is clear."""


def is_clear(scl: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """`CLEAR_TABLE[scl]`, ten times as fast: comparisons are vectorised and table look-ups are not.

    Args:
        scl: uint8, any shape.

    Returns:
        bool, same shape.
    """
    first, last = CLEAR_CLASSES[0], CLEAR_CLASSES[-2]
    clear: NDArray[np.bool_] = (scl - np.uint8(first)) <= last - first  # wraps around below the first
    clear |= scl == CLEAR_CLASSES[-1]
    return clear


def valid_mask(
    scl: NDArray[np.uint8] | None, aoi: NDArray[np.bool_], has_data: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Pixels of the AOI that have data and, if there is an SCL, a known class.

    Args:
        scl: Scene classification on the job's grid, uint8, shape (height, width); None if there is none.
        aoi: True where the pixel's centre is inside the AOI, same shape.
        has_data: True where every band read has data, same shape; None if that is not required.

    Returns:
        bool, same shape.

    Raises:
        InvalidInputError: The shapes differ.
    """
    _check_same_shape(scl, aoi, has_data)
    valid = aoi.copy() if has_data is None else aoi & has_data
    if scl is not None:
        valid &= KNOWN_TABLE[scl]
    return valid


def clear_mask(
    scl: NDArray[np.uint8] | None, aoi: NDArray[np.bool_], has_data: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Pixels of the AOI that statistics use: valid and of a clear class; without an SCL, all valid ones.

    Arguments, shapes and errors as for `valid_mask`.
    """
    valid = valid_mask(scl, aoi, has_data)
    if scl is not None:
        valid &= CLEAR_TABLE[scl]
    return valid


def count_cover(
    scl: NDArray[np.uint8] | None, aoi: NDArray[np.bool_], has_data: NDArray[np.bool_] | None = None
) -> Cover:
    """Count the pixels of the AOI by kind of cover; arguments and errors as for `valid_mask`."""
    valid = valid_mask(scl, aoi, has_data)
    inside, count = int(np.count_nonzero(aoi)), int(np.count_nonzero(valid))
    if scl is None:
        return Cover(inside, count, count, mask="none")
    of_class = np.bincount(scl[valid], minlength=len(CLASSES))

    def pixels(classes: tuple[int, ...]) -> int:
        return int(of_class[list(classes)].sum())

    return Cover(
        inside,
        count,
        pixels(CLEAR_CLASSES),
        pixels(CLOUD_CLASSES),
        pixels(SHADOW_CLASSES),
        int(of_class[SNOW_CLASS]),
    )


def has_data(dn: Mapping[str, NDArray[np.uint16]], nodata: Mapping[str, int] | int = 0) -> NDArray[np.bool_]:
    """Where every band has data.

    Args:
        dn: Band name -> DN, all of one shape (height, width).
        nodata: The DN that means no data: one for all bands, or by band name.

    Returns:
        bool, same shape.

    Raises:
        InvalidInputError: There is no band, or the shapes differ.
    """
    if not dn:
        raise InvalidInputError("no band is given; give at least one")
    _check_same_shape(*dn.values())
    valid = np.ones(next(iter(dn.values())).shape, np.bool_)
    for band, stored in dn.items():
        valid &= stored != (nodata if isinstance(nodata, int) else nodata[band])
    return valid


def _check_same_shape(*layers: NDArray[np.generic] | None) -> None:
    shapes = {layer.shape for layer in layers if layer is not None}
    if len(shapes) > 1:
        raise InvalidInputError(f"a mask needs its layers on one grid, and their shapes are {sorted(shapes)}")
