"""Which pixels count: masks of valid and clear pixels, and cover counts.

The one rule for cover, statistics, maps and previews; docs/pixels.md states it for users. Classes of the
scene classification (SCL) are those of Sen2Cor (ESA, Sentinel-2 Products Specification Document, L2A).
"""

from collections.abc import Iterable, Mapping
from typing import Any

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

MASK_VERSION = "SCL-2"
"""Version of the rules below; every receipt states it. Raise it when they change.

SCL-1 took pixels of class 1 (saturated or defective) for pixels without data; since SCL-2 they are seen, but
not clear, and a grid coarser than its bands has the class that prevails in each cell (`raster.classes`).
"""

SATURATED_DN = 65535
"""DN of a saturated pixel in bands of uint16 (SPECIAL_VALUES of MTD_MSIL*.xml); it has no reflectance."""

NO_DATA_CLASS = 0
SATURATED_CLASS = 1
CLEAR_CLASSES = (4, 5, 6, 7, 11)
CLOUD_CLASSES = (8, 9, 10)
SHADOW_CLASSES = (2, 3)
SNOW_CLASS = 11

CLEAR_TABLE = np.isin(np.arange(256), CLEAR_CLASSES)
"""Shape (256,), indexed by SCL value: True if the class is clear."""

type Mask = NDArray[np.bool_]
type Classes = NDArray[np.integer[Any]]
"""Scene classification of any integer dtype."""


def is_clear(scl: Classes) -> Mask:
    """Where the class is one of `CLEAR_CLASSES`; comparisons are ten times as fast as a look-up table.

    Args:
        scl: Any integer dtype and shape; values that are no class are not clear.

    Returns:
        bool, same shape.
    """
    first, last = CLEAR_CLASSES[0], CLEAR_CLASSES[-2]
    if scl.dtype == np.uint8:
        clear: Mask = (scl - np.uint8(first)) <= last - first  # wraps around below the first
    else:
        clear = (scl >= first) & (scl <= last)
    clear |= scl == CLEAR_CLASSES[-1]
    return clear


def is_seen(scl: Classes) -> Mask:
    """Where the class is one of a pixel with data, saturated ones included; arguments as for `is_clear`."""
    return (scl > NO_DATA_CLASS) & (scl < len(CLASSES))


def has_data(dn: Mapping[str, NDArray[Any]], nodata: Mapping[str, int] | int = 0) -> Mask:
    """Where every band has data, saturated pixels included.

    Args:
        dn: Band name -> DN, all of one shape (height, width).
        nodata: The DN that means no data: one for all bands, or by band name. Bands that Revisit has read or
            stored have 0.

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


def is_saturated(dn: NDArray[Any]) -> Mask:
    """Where a band is saturated: `SATURATED_DN` in bands of uint16, nowhere in others.

    Args:
        dn: DN, any shape.

    Returns:
        bool, same shape.
    """
    if dn.dtype != np.uint16:
        return np.zeros(dn.shape, np.bool_)
    return np.asarray(dn == SATURATED_DN)


def exclude_without_value(dn: NDArray[Any], mask: Mask) -> None:
    """Clear the mask, in place, where a band has no reflectance: no data, or saturated."""
    if not dn.size:
        return
    if dn.min() <= 0:
        mask &= dn != 0
    if dn.dtype == np.uint16 and dn.max() == SATURATED_DN:
        mask &= dn != SATURATED_DN


def valid_mask(scl: Classes | None, aoi: Mask, has_data: Mask | None = None) -> Mask:
    """Pixels of the AOI that were seen: they have data and, if there is an SCL, a class other than no data.

    Args:
        scl: Scene classification on the job's grid, shape (height, width); None if there is none.
        aoi: True where the pixel's centre is inside the AOI, same shape.
        has_data: True where there are data, same shape; None if that is not required.

    Returns:
        bool, same shape.

    Raises:
        InvalidInputError: The shapes differ.
    """
    _check_same_shape(scl, aoi, has_data)
    valid = aoi.copy() if has_data is None else aoi & has_data
    if scl is not None:
        valid &= is_seen(scl)
    return valid


def clear_mask(scl: Classes | None, aoi: Mask, has_data: Mask | None = None) -> Mask:
    """Pixels of the AOI that are valid and of a clear class; without an SCL, all valid ones.

    Arguments, shapes and errors as for `valid_mask`.
    """
    _check_same_shape(scl, aoi, has_data)
    clear = aoi.copy() if has_data is None else aoi & has_data
    if scl is not None:
        clear &= is_clear(scl)
    return clear


def counted_mask(
    dn: Mapping[str, NDArray[Any]], bands: Iterable[str], scl: Classes | None, aoi: Mask
) -> Mask:
    """Pixels that count for an index or band: clear, and with a reflectance in each of its bands.

    Statistics and maps take their pixels from here, so both hold the same ones, whatever else is ordered.

    Args:
        dn: Band name -> DN, shape (height, width); 0 is no data.
        bands: The bands of the index, all of them in `dn`.
        scl: As for `valid_mask`.
        aoi: As for `valid_mask`.

    Returns:
        bool, same shape.

    Raises:
        InvalidInputError: The shapes differ.
    """
    counted = clear_mask(scl, aoi)
    for band in bands:
        _check_same_shape(dn[band], aoi)
        exclude_without_value(dn[band], counted)
    return counted


def seen_masks(dn: Mapping[str, NDArray[Any]], layers: Iterable[Iterable[str]]) -> tuple[Mask, Mask]:
    """Where any of the ordered indices and bands has data, and where those that have are all saturated.

    An index has data where each of its bands has. A pixel with data for one of them is seen: which others are
    ordered beside it takes nothing away.

    Args:
        dn: Band name -> DN, shape (height, width); 0 is no data.
        layers: The bands of each index, and each band, that is ordered; at least one.

    Returns:
        Two masks of the same shape, for `count_cover`.

    Raises:
        InvalidInputError: There is no layer, or the shapes differ.
    """
    chosen = list(dict.fromkeys(tuple(layer) for layer in layers))
    if not chosen:
        raise InvalidInputError("no index or band is given; give at least one")
    _check_same_shape(*dn.values())
    shape = next(iter(dn.values())).shape
    saturated = {
        band: is_saturated(stored) if stored.size and stored.max() == SATURATED_DN else None
        for band, stored in dn.items()
    }
    data, valued = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for layer in chosen:
        here = has_data({band: dn[band] for band in layer})
        data |= here
        for band in layer:
            if (mask := saturated[band]) is not None:
                here &= ~mask
        valued |= here
    return data, data & ~valued


def count_cover(
    scl: Classes | None, aoi: Mask, has_data: Mask | None = None, saturated: Mask | None = None
) -> Cover:
    """Count the pixels of the AOI by kind of cover.

    Args:
        scl: As for `valid_mask`.
        aoi: As for `valid_mask`.
        has_data: As for `valid_mask`.
        saturated: Where the bands are saturated, same shape: pixels with data that count for no other kind.

    Raises:
        InvalidInputError: The shapes differ.
    """
    valid = valid_mask(scl, aoi, has_data)
    inside, count, lost = int(np.count_nonzero(aoi)), int(np.count_nonzero(valid)), 0
    if saturated is not None:
        _check_same_shape(saturated, aoi)
        lost = int(np.count_nonzero(valid & saturated))
        if lost:
            valid &= ~saturated
    if scl is None:
        return Cover(inside, count, count - lost, mask="none", saturated=lost)
    of_class = np.bincount(scl[valid].astype(np.uint8), minlength=len(CLASSES))

    def pixels(classes: tuple[int, ...]) -> int:
        return int(of_class[list(classes)].sum())

    return Cover(
        inside,
        count,
        pixels(CLEAR_CLASSES),
        pixels(CLOUD_CLASSES),
        pixels(SHADOW_CLASSES),
        int(of_class[SNOW_CLASS]),
        saturated=lost + int(of_class[SATURATED_CLASS]),
    )


def _check_same_shape(*layers: NDArray[Any] | None) -> None:
    shapes = {layer.shape for layer in layers if layer is not None}
    if len(shapes) > 1:
        raise InvalidInputError(f"a mask needs its layers on one grid, and their shapes are {sorted(shapes)}")
