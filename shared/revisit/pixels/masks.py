"""Which pixels are clear: the scene classification (SCL) over an AOI.

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
"""Number in the SCL -> what it stands for."""

MASK_VERSION = "SCL-1"
"""Of the rules below; in every receipt, and raised when they change."""

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
"""Indexed by SCL number: True where the class is known and has data; numbers that are no class are not."""
CLEAR_TABLE = _lookup_table(CLEAR_CLASSES)
"""Indexed by SCL number: True where the class is clear."""


def is_clear(scl: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """`CLEAR[scl]` for uint8, ten times as fast: comparisons run many pixels at a time, where a table is
    looked up one by one."""
    first, last = CLEAR_CLASSES[0], CLEAR_CLASSES[-2]
    clear: NDArray[np.bool_] = (scl - np.uint8(first)) <= last - first  # wraps around below the first
    clear |= scl == CLEAR_CLASSES[-1]
    return clear


def valid_mask(
    scl: NDArray[np.uint8] | None, aoi: NDArray[np.bool_], has_data: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Pixels of the AOI that have data and, where there is an SCL, a known class.

    Args:
        scl: Scene classification on the job's grid, or None.
        aoi: True where the pixel's centre is inside the AOI, same shape.
        has_data: True where the DN is not 0 in any band read; None asks for nothing.

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
    """Pixels of the AOI that statistics are made of: valid and of a clear class; all valid ones without an
    SCL."""
    valid = valid_mask(scl, aoi, has_data)
    if scl is not None:
        valid &= CLEAR_TABLE[scl]
    return valid


def count_cover(
    scl: NDArray[np.uint8] | None, aoi: NDArray[np.bool_], has_data: NDArray[np.bool_] | None = None
) -> Cover:
    """Count what lies over the AOI; arguments as for `valid_mask`."""
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
    """True where no band says no data.

    Args:
        dn: Band name -> DN, all of one shape.
        nodata: The DN that means no data, of all bands or by band name.

    Raises:
        InvalidInputError: There is no band, or the shapes differ.
    """
    if not dn:
        raise InvalidInputError("there is no band to look for data in")
    _check_same_shape(*dn.values())
    found = np.ones(next(iter(dn.values())).shape, np.bool_)
    for band, stored in dn.items():
        found &= stored != (nodata if isinstance(nodata, int) else nodata[band])
    return found


def _check_same_shape(*layers: NDArray[np.generic] | None) -> None:
    shapes = {layer.shape for layer in layers if layer is not None}
    if len(shapes) > 1:
        raise InvalidInputError(f"a mask needs its layers on one grid, and their shapes are {sorted(shapes)}")
