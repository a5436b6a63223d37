"""job.extracted: computes indices and statistics from the stored bands, and finishes the job."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revisit.chain import job_lifecycle
from revisit.domain.events import JobExtracted
from revisit.domain.job import Asset, Job, Statistics
from revisit.errors import PermanentError
from revisit.pixels import indices, masks
from revisit.pixels.indices import Index, compute_masked
from revisit.pixels.raster.grid import aoi_mask
from revisit.pixels.raster.read_cog import read_cog
from revisit.pixels.raster.write_cog import write_preview, write_rgb_preview
from revisit.pixels.statistics import compute_statistics
from revisit.ports.backend import Backend
from revisit.runtime import on
from revisit.stac import result_item
from revisit.stac.raster_asset import RasterAsset

DEFAULT_DOMAIN = (-0.1, 0.9)
"""Range of the preview's colours for an index without a range of its own."""

type Bands = Mapping[str, NDArray[np.uint16]]
"""Band name -> DN, shape (height, width); 0 is no data, 65535 saturated."""

type Scaling = Mapping[str, tuple[float, float]]
"""Band name -> (scale, offset) of reflectance = DN * scale + offset."""


@on(JobExtracted, on_failure=job_lifecycle.fail)
def index(event: JobExtracted, backend: Backend) -> None:
    job = backend.get_record(Job, event.job)
    if (job.state, job.again) != ("extracted", event.again) or job_lifecycle.close_if_cancelled(backend, job):
        return
    started_s = perf_counter()
    bands, classes = job.asset("bands"), job.asset("SCL")
    if bands is None:
        raise PermanentError(f"job {job.id} is extracted and has no bands; order it again")
    dn, grid, meta = read_cog(backend.assets.locate(bands.path))
    scl = read_cog(backend.assets.locate(classes.path))[0]["SCL"] if classes else None
    inside = aoi_mask(grid, job.aoi)
    scaling = {band: (meta.scale[band], meta.offset[band]) for band in dn}
    computed = [each for each in map(indices.index, job.recipe.indices) if set(each.bands) <= set(dn)]
    # Statistics are computed in float64, since reflectances may nearly cancel. Maps are computed of the same
    # pixels in blocks: 29 ms for 4 million pixels, as long as scattering the float64 values into a map takes,
    # so one computation for both would save nothing. A map is stored before the next one is computed, so that
    # the number of indices does not add to the memory.
    found, bands_found, assets = dict[str, Statistics](), dict[str, Statistics](), list[Asset]()
    preview: NDArray[np.float32] | None = None
    for each in computed:
        counted = masks.counted_mask(dn, each.bands, scl, inside)
        values = compute_masked(each, dn, scaling, counted)
        found[each.name] = compute_statistics(each.compute(_reflectance(dn, each.bands, scaling, counted)))
        raster = RasterAsset({each.name: values}, grid, {each.name: (1.0, 0.0)}, nodata=float("nan"))
        assets.append(job_lifecycle.store_raster(backend, job, each.name, raster, "index"))
        preview = values if preview is None else preview
    for band in job.recipe.bands:
        if band in dn:
            counted = masks.counted_mask(dn, (band,), scl, inside)
            bands_found[band] = compute_statistics(_reflectance(dn, (band,), scaling, counted)[band])
    assets.append(store_preview(backend, job, dn, scaling, inside, computed, preview))
    finished = job.with_changes(
        state="done",
        finished=backend.now(),
        assets=(*job.assets, *assets),
        indices=found,
        bands=bands_found,
    )
    finished = with_item_asset(backend, finished)
    finished = finished.with_changes(
        spent=replace(job.spent, seconds=job.spent.seconds + perf_counter() - started_s)
    )
    backend.commit(partial(job_lifecycle.finish, job=finished))


def _reflectance(
    dn: Bands, bands: Iterable[str], scaling: Scaling, counted: NDArray[np.bool_]
) -> dict[str, NDArray[np.floating[Any]]]:
    """Reflectance of the pixels that count, by band: float64, shape (pixels,)."""
    return {band: indices.reflectance(dn[band][counted], *scaling[band]) for band in bands}


def store_preview(
    backend: Backend,
    job: Job,
    dn: Bands,
    scaling: Scaling,
    inside: NDArray[np.bool_],
    computed: list[Index],
    values: NDArray[np.float32] | None,
) -> Asset:
    """Store a preview of the first index, or of the first band if the recipe has bands only.

    Args:
        backend: Stores the asset.
        job: The job.
        dn: The bands.
        scaling: Their scales and offsets.
        inside: True where the pixel's centre is inside the AOI, shape (height, width).
        computed: The indices, in the recipe's order.
        values: Those of the first index, shape (height, width); NaN where the AOI is not clear. None without
            an index.
    """
    write: partial[None]
    if values is not None:
        low, high = colour_range(computed[0], values)
        write = partial(
            write_preview,
            array=values,
            mask=inside,
            minimum=low,
            maximum=high,
        )
    else:
        grey = next(indices.reflectance(pixels, *scaling[band]) for band, pixels in dn.items())
        mask = inside.copy()
        masks.exclude_without_value(next(iter(dn.values())), mask)
        write = partial(write_rgb_preview, red=grey, green=grey, blue=grey, mask=mask)
    return job_lifecycle.store_asset(backend, job, "preview.png", write, "image/png", ("thumbnail",))


def colour_range(index: Index, values: NDArray[np.float32]) -> tuple[float, float]:
    """Lowest and highest value of the preview's colours: those of vegetation where the index has such a range
    or is in much use, else those between which 96 % of the values lie.

    Args:
        index: The index.
        values: Shape (height, width), NaN where the AOI is not clear.
    """
    low, high = index.domain
    if low is None and high is None and not index.meaning:
        known = values[np.isfinite(values)]
        if known.size:
            first, last = np.percentile(known, (2, 98))
            return float(first), float(last) if last > first else float(first) + 1
    return (
        max(DEFAULT_DOMAIN[0] if low is None else low, DEFAULT_DOMAIN[0]),
        min(DEFAULT_DOMAIN[1] if high is None else high, 1.0),
    )


def with_item_asset(backend: Backend, job: Job) -> Job:
    """The job with its STAC Item among its assets, for clients that read the folder and not the API."""
    item: dict[str, Any] = result_item.build_result_item(job, lambda asset: asset.path.rsplit("/", 1)[-1])

    def write(path: Path) -> None:
        path.write_bytes(result_item.encode_item(item))

    asset = job_lifecycle.store_asset(backend, job, "item.json", write, "application/geo+json", ("metadata",))
    return job.with_changes(assets=(*job.assets, asset))
