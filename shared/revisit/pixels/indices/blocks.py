"""Indices over whole scenes, block by block: from DN to float32 in one pass that stays in the processor's
cache."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revisit.errors import InvalidInputError
from revisit.pixels.indices.index import Index

BLOCK_PIXELS = 131_072
"""Pixels a block: its bands and temporaries, 512 KiB each in float32, stay in the cache, and Python's share
of the time is small."""
MIN_THREADED_PIXELS = 1_000_000
"""Pixels from which a second thread pays, and float32."""


def compute_masked(
    index: Index,
    dn: Mapping[str, NDArray[Any]],
    scaling: Mapping[str, tuple[float, float]],
    keep: NDArray[np.bool_] | None = None,
    scl: NDArray[np.uint8] | None = None,
    threads: int | None = None,
    precision: type[np.floating[Any]] | None = None,
) -> NDArray[np.float32]:
    """An index of every clear pixel of a scene, straight from its DN.

    Args:
        index: What to compute.
        dn: Band name -> DN as stored, all of one shape (height, width); 0 is no data.
        scaling: Band name -> (scale, offset) of reflectance = DN * scale + offset.
        keep: True where a pixel is wanted, same shape; None wants all.
        scl: Scene classification on the same grid; pixels that are not clear by it are left out. None masks
            nothing.
        threads: How many at most; by default one a processor, and one alone for small scenes.
        precision: Of the arithmetic. By default np.float64 up to a million pixels, where time is no matter,
            and np.float32 above:
            for a normalised difference that is within 1e-6 wherever the reflectances add up to more than 0.1.

    Returns:
        Float32, same shape; NaN where a band has no data, the pixel is not wanted or the formula divides by
        zero; nothing clipped.
        Beyond input and output it takes about 3 MiB a thread.

    Raises:
        InvalidInputError: A band is missing, or the shapes differ.
    """
    from revisit.pixels.masks import is_clear

    if missing := [band for band in index.bands if band not in dn]:
        raise InvalidInputError(
            f"{index.name} needs band {missing[0]}, and there is only {', '.join(dn) or 'none'}"
        )
    bands = {letter: dn[band] for letter, band in index.letters.items()}
    scales = {letter: scaling[band] for letter, band in index.letters.items()}
    shape = next(iter(bands.values())).shape
    layers = [layer for layer in (*bands.values(), keep, scl) if layer is not None]
    if len(shape) != 2 or any(layer.shape != shape for layer in layers):
        raise InvalidInputError(
            f"{index.name} needs its bands and mask on one grid, and their shapes are {[layer.shape for layer in layers]}"
        )
    out = np.empty(shape, np.float32)
    rows = max(1, BLOCK_PIXELS // max(1, shape[1]))
    formula, constants = index.parsed, index.constants
    kind = precision or (np.float32 if out.size > MIN_THREADED_PIXELS else np.float64)

    def work(first: int, last: int) -> None:
        reflectance_of = {letter: np.empty((rows, shape[1]), kind) for letter in bands}
        scratch = [np.empty((rows, shape[1]), kind) for _ in range(3)]
        rounded, bits = np.empty((rows, shape[1]), np.float32), np.empty((rows, shape[1]), np.int32)
        for top in range(first, last, rows):
            part = slice(top, min(top + rows, last))
            count = part.stop - top
            values: dict[str, Any] = dict(constants)
            valid = np.ones((count, shape[1]), np.bool_) if scl is None else is_clear(scl[part])
            if keep is not None:
                valid &= keep[part]
            for letter, stored in bands.items():
                block = stored[part]
                values[letter] = reflectance(block, *scales[letter], out=reflectance_of[letter][:count])
                if not block.min():
                    valid &= block != 0
            result = np.asarray(formula(values, [array[:count] for array in scratch]))
            if result.dtype != np.float32:
                rounded[:count] = result
                result = rounded[:count]
            _write_valid(result, valid, bits[:count], out[part])

    threads = threads or (len(os.sched_getaffinity(0)) if out.size >= MIN_THREADED_PIXELS else 1)
    if threads == 1:
        work(0, shape[0])
        return out
    from concurrent.futures import ThreadPoolExecutor

    share = -(-shape[0] // threads)
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, top, min(top + share, shape[0])) for top in range(0, shape[0], share)]:
            done.result()
    return out


def reflectance(
    dn: NDArray[Any], scale: float, offset: float, out: NDArray[np.floating[Any]] | None = None
) -> NDArray[np.floating[Any]]:
    """Reflectance = DN * scale + offset, in float64 or the dtype of `out`.

    Where the offset is a whole number of DN, as it is in every product, it is added before scaling:
    reflectances that cancel each
    other then add up to 0 and not to 1e-17, by which an index would divide.
    """
    made: NDArray[np.floating[Any]] = np.empty(dn.shape, np.float64) if out is None else out
    steps = round(offset / scale)
    if abs(steps * scale - offset) > 1e-9:
        np.multiply(dn, scale, out=made, dtype=made.dtype)
        made += offset
        return made
    np.add(dn, steps, out=made, dtype=made.dtype)
    made *= scale
    return made


def _write_valid(
    values: NDArray[np.float32], valid: NDArray[np.bool_], bits: NDArray[np.int32], out: NDArray[np.float32]
) -> None:
    """Write the valid values, and NaN elsewhere: all bits set is a NaN, and OR needs no branch a pixel as
    `where` does."""
    np.subtract(valid.view(np.int8), 1, out=bits)
    np.bitwise_or(values.view(np.int32), bits, out=out.view(np.int32))
