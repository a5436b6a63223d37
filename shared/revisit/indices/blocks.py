"""Indices over whole scenes, block by block: from DN to float32 in one pass that stays in the processor's cache."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revisit.errors import BadInput
from revisit.indices.index import Index

BLOCK = 65_536
"""Pixels a block: its float64 bands and temporaries, 512 KiB each, stay in the cache, and Python's share of the time is small."""
THREADED = 1_000_000
"""Pixels from which a second thread pays."""


def compute_masked(
    index: Index,
    dn: Mapping[str, NDArray[Any]],
    scaling: Mapping[str, tuple[float, float]],
    keep: NDArray[np.bool_] | None = None,
    scl: NDArray[np.uint8] | None = None,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """An index of every clear pixel of a scene, straight from its DN.

    Args:
        index: What to compute.
        dn: Band name -> DN as stored, all of one shape (height, width); 0 is no data.
        scaling: Band name -> (scale, offset) of reflectance = DN * scale + offset.
        keep: True where a pixel is wanted, same shape; None wants all.
        scl: Scene classification on the same grid; pixels that are not clear by it are left out. None masks nothing.
        threads: How many at most; by default one a processor, and one alone for small scenes.

    Returns:
        Float32, same shape; NaN where a band has no data, the pixel is not wanted or the formula divides by zero. Computed in
        float64 and rounded once; nothing clipped. Beyond input and output it takes about 2 MiB a thread.

    Raises:
        BadInput: A band is missing, or the shapes differ.
    """
    from revisit.masks import is_clear

    if missing := [band for band in index.bands if band not in dn]:
        raise BadInput(f"{index.name} needs band {missing[0]}, and there is only {', '.join(dn) or 'none'}")
    bands = {letter: dn[band] for letter, band in index.letters.items()}
    scales = {letter: scaling[band] for letter, band in index.letters.items()}
    shape = next(iter(bands.values())).shape
    layers = [layer for layer in (*bands.values(), keep, scl) if layer is not None]
    if len(shape) != 2 or any(layer.shape != shape for layer in layers):
        raise BadInput(f"{index.name} needs its bands and mask on one grid, and their shapes are {[layer.shape for layer in layers]}")
    out = np.empty(shape, np.float32)
    rows = max(1, BLOCK // max(1, shape[1]))
    formula, constants = index.formula, index.constants

    def work(first: int, last: int) -> None:
        reflectance = {letter: np.empty((rows, shape[1])) for letter in bands}
        scratch = [np.empty((rows, shape[1])) for _ in range(3)]
        rounded = np.empty((rows, shape[1]), np.float32)
        for top in range(first, last, rows):
            part = slice(top, min(top + rows, last))
            count = part.stop - top
            values: dict[str, Any] = dict(constants)
            valid = np.ones((count, shape[1]), np.bool_) if scl is None else is_clear(scl[part])
            if keep is not None:
                valid &= keep[part]
            for letter, stored in bands.items():
                scale, offset = scales[letter]
                value = np.multiply(stored[part], scale, out=reflectance[letter][:count])
                if offset:
                    value += offset
                valid &= stored[part] != 0
                values[letter] = value
            rounded[:count] = formula(values, [array[:count] for array in scratch])
            _keep(rounded[:count], valid, out[part])

    threads = threads or (len(os.sched_getaffinity(0)) if out.size >= THREADED else 1)
    if threads == 1:
        work(0, shape[0])
        return out
    from concurrent.futures import ThreadPoolExecutor

    share = -(-shape[0] // threads)
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, top, min(top + share, shape[0])) for top in range(0, shape[0], share)]:
            done.result()
    return out


def _keep(values: NDArray[np.float32], valid: NDArray[np.bool_], out: NDArray[np.float32]) -> None:
    """Write the valid values, and NaN elsewhere: all bits set is a NaN, and OR needs no branch a pixel as `where` does."""
    bits = (valid.view(np.int8) - np.int8(1)).astype(np.int32)
    np.bitwise_or(values.view(np.int32), bits, out=out.view(np.int32))
