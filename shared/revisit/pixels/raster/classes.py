"""Scene classification on another grid: on coarser pixels, the class that prevails in each."""

import numpy as np
import numpy.typing as npt

from revisit.pixels.masks import CLASSES, CLEAR_CLASSES
from revisit.pixels.raster.area_sums import span_sums
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.resample import resample_pixels


def resample_classes(
    pixels: npt.NDArray[np.uint8], source: Grid, target: Grid, by_area: bool
) -> npt.NDArray[np.uint8]:
    """Resample classes from the grid `source` to the grid `target`.

    Args:
        pixels: Scene classification, shape (height, width) of `source`.
        by_area: False takes the class of the pixel that contains the target pixel's centre. True weighs the
            classes by the area that they have in common with the target pixel: it has data if classes with
            data cover at least half of it; it is clear if clear classes cover more than half of that; and its
            class is the one of most area among the clear ones, or among the others if it is not clear.

    Returns:
        Shape (height, width) of `target`; 0 where there are no data.
    """
    if not by_area or not pixels.size:
        return resample_pixels(pixels, source, target, 0, "nearest")
    present = [number for number in range(1, len(CLASSES)) if (pixels == number).any()]
    out = np.zeros(target.shape, np.uint8)
    step = target.resolution_m / source.resolution_m
    area = {number: span_sums(pixels == number, source, target) for number in present}
    groups = ([n for n in present if n in CLEAR_CLASSES], [n for n in present if n not in CLEAR_CLASSES])
    none = np.zeros(target.shape)
    clear, others = (sum((area[number] for number in group), none) for group in groups)
    enough = clear + others >= 0.5 * step * step * (1 - 1e-3)
    for group, chosen in zip(groups, (clear > others, clear <= others), strict=True):
        most = none.copy()
        for number in group:
            better = chosen & enough & (area[number] > most)
            out[better], most[better] = number, area[number][better]
    return out
