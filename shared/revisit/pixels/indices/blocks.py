"""Indices over whole scenes, block by block: from DN to float32 in one pass within the CPU cache."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revisit.errors import InvalidInputError
from revisit.pixels.indices.index import Index

BLOCK_PIXELS = 131_072
"""Pixels of a block: each array takes 512 KiB in float32, so that all fit the cache, and Python's overhead is
small."""
MIN_THREADED_PIXELS = 1_000_000
"""Pixels from which several threads and float32 are faster."""


def compute_masked(
    index: Index,
    dn: Mapping[str, NDArray[Any]],
    scaling: Mapping[str, tuple[float, float]],
    keep: NDArray[np.bool_] | None = None,
    scl: NDArray[np.integer[Any]] | None = None,
    threads: int | None = None,
    precision: type[np.floating[Any]] | None = None,
) -> NDArray[np.float32]:
    """Compute an index of every clear pixel of a scene, from its DN.

    Needs about 3 MiB of memory a thread beside input and output.

    Args:
        index: The index to compute.
        dn: Band name -> DN as stored (uint16), all of one shape (height, width); 0 is no data, and 65535
            saturated.
        scaling: Band name -> (scale, offset) of reflectance = DN * scale + offset.
        keep: True where a pixel is computed, same shape; None computes all.
        scl: Scene classification, any integer dtype, same shape; pixels of a class that is not clear become
            NaN. None masks nothing.
        threads: At most so many; by default one for each CPU, and a single one for small scenes.
        precision: Dtype of the arithmetic. By default np.float64 up to a million pixels and np.float32 above;
            a normalised difference is then within 1e-6 wherever the reflectances sum to more than 0.1.

    Returns:
        float32, same shape; NaN where a band has no data or is saturated, where the pixel is masked by `keep`
        or `scl`, and where the value is not finite. Values are not clipped.

    Raises:
        InvalidInputError: A band is missing, or the shapes differ.
    """
    from revisit.pixels.masks import exclude_without_value, is_clear

    if missing := [band for band in index.bands if band not in dn]:
        raise InvalidInputError(
            f"{index.name} needs band {missing[0]}; the bands given are {', '.join(dn) or 'none'}"
        )
    bands = {letter: dn[band] for letter, band in index.letters.items()}
    scales = {letter: scaling[band] for letter, band in index.letters.items()}
    shape = next(iter(bands.values())).shape
    layers = [layer for layer in (*bands.values(), keep, scl) if layer is not None]
    if len(shape) != 2 or any(layer.shape != shape for layer in layers):
        raise InvalidInputError(
            f"{index.name} needs bands and mask of one shape; theirs are {[layer.shape for layer in layers]}"
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
                exclude_without_value(block, valid)
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
    """Reflectance = DN * scale + offset.

    An offset that is a whole number of DN, as in every product, is added before scaling: reflectances that
    cancel each other then sum to exactly 0, and an index gives NaN instead of dividing by 1e-17.

    Args:
        dn: Any shape; pixels without data are scaled like others, so mask them.
        out: Receives the result, same shape; a new float64 array if None.

    Returns:
        Shape of `dn`, dtype of `out`.
    """
    result: NDArray[np.floating[Any]] = np.empty(dn.shape, np.float64) if out is None else out
    steps = round(offset / scale)
    if abs(steps * scale - offset) > 1e-9:
        np.multiply(dn, scale, out=result, dtype=result.dtype)
        result += offset
        return result
    np.add(dn, steps, out=result, dtype=result.dtype)
    result *= scale
    return result


def _write_valid(
    values: NDArray[np.float32], valid: NDArray[np.bool_], bits: NDArray[np.int32], out: NDArray[np.float32]
) -> None:
    """Write the valid values, and NaN elsewhere.

    All bits set is a NaN, so an OR does it without the branch for each pixel that `where` takes.
    """
    np.subtract(valid.view(np.int8), 1, out=bits)
    np.bitwise_or(values.view(np.int32), bits, out=out.view(np.int32))
