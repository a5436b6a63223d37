"""job.extracted: compute the indices from the stored bands, and close the job."""

from dataclasses import replace
from functools import partial
from time import perf_counter

from revisit.chain import job_lifecycle
from revisit.domain.events import JobExtracted
from revisit.domain.job import Asset, Job
from revisit.pixels import indices, masks
from revisit.pixels.indices import Index, compute_masked
from revisit.pixels.raster.grid import aoi_mask
from revisit.pixels.raster.read_cog import read_cog
from revisit.pixels.raster.write_cog import MEDIA_TYPE, write_cog, write_preview, write_rgb_preview
from revisit.pixels.statistics import compute_statistics
from revisit.ports.backend import Backend
from revisit.runtime import on
from revisit.stac import result_item

DEFAULT_DOMAIN = (-0.1, 0.9)
"""Ends of the preview's colours where an index has no range of its own."""


@on(JobExtracted, on_failure=job_lifecycle.fail)
def index(event, backend):
    job = backend.get_record(Job, event.job)
    if job.state != "extracted" or job_lifecycle.close_if_cancelled(backend, job):
        return
    begun = perf_counter()
    dn, grid, meta = read_cog(backend.assets.locate(job.asset("bands").path))
    scl = read_cog(backend.assets.locate(job.asset("SCL").path))[0]["SCL"] if job.asset("SCL") else None
    inside = aoi_mask(grid, job.aoi)
    clear = masks.clear_mask(scl, inside, masks.has_data(dn, dict.fromkeys(dn, 0)))
    scaling = {band: (meta.scale[band], meta.offset[band]) for band in dn}
    # Statistics from the clear pixels alone, in float64: differences of reflectances may be small against
    # them.
    reflectance = {band: indices.reflectance(pixels[clear], *scaling[band]) for band, pixels in dn.items()}
    made = [indices.index(name) for name in job.recipe.indices if set(indices.index(name).bands) <= set(dn)]
    maps = {each.name: compute_masked(each, dn, scaling, inside, scl) for each in made}
    assets = [store_index(backend, job, grid, name, values) for name, values in maps.items()]
    assets.append(store_preview(backend, job, dn, scaling, inside, made, maps))
    finished = job.with_changes(
        state="done",
        finished=backend.now(),
        assets=(*job.assets, *assets),
        indices={each.name: compute_statistics(each.compute(reflectance)) for each in made},
        bands={
            band: compute_statistics(reflectance[band]) for band in job.recipe.bands if band in reflectance
        },
    )
    finished = with_item_asset(backend, finished)
    finished = finished.with_changes(
        spent=replace(job.spent, seconds=job.spent.seconds + perf_counter() - begun)
    )
    backend.commit(partial(job_lifecycle.finish, job=finished))


def store_index(backend: Backend, job: Job, grid, name: str, values) -> Asset:
    """Keep an index as float32; NaN where the AOI is not clear, and outside it."""
    write = partial(write_cog, array=values, grid=grid, nodata=float("nan"), band_names=[name])
    about = result_item.pixel_fields(
        grid.crs, grid.shape, grid.transform, "float32", {name: (1.0, 0.0)}, nodata="nan"
    )
    return job_lifecycle.store_asset(backend, job, f"{name}.tif", write, MEDIA_TYPE, ("data", "index"), about)


def store_preview(
    backend: Backend, job: Job, dn: dict, scaling: dict, inside, computed: list[Index], maps: dict
) -> Asset:
    """A picture of the first index, or of the first band where only bands were asked for."""
    if computed:
        low, high = (
            end if end is not None else other
            for end, other in zip(computed[0].domain, DEFAULT_DOMAIN, strict=True)
        )
        write = partial(
            write_preview,
            array=maps[computed[0].name],
            mask=inside,
            minimum=max(low, DEFAULT_DOMAIN[0]),
            maximum=min(high, 1.0),
        )
    else:
        grey = next(indices.reflectance(pixels, *scaling[band]) for band, pixels in dn.items())
        write = partial(
            write_rgb_preview, red=grey, green=grey, blue=grey, mask=inside & (next(iter(dn.values())) != 0)
        )
    return job_lifecycle.store_asset(backend, job, "preview.png", write, "image/png", ("thumbnail",))


def with_item_asset(backend: Backend, job: Job) -> Job:
    """The job with its STAC Item among its assets, for whoever reads the folder and not the API."""

    def write(path):
        path.write_bytes(
            result_item.encode_item(
                result_item.build_result_item(job, lambda asset: asset.path.rsplit("/", 1)[-1])
            )
        )

    return job.with_changes(
        assets=(
            *job.assets,
            job_lifecycle.store_asset(
                backend, job, "item.json", write, "application/geo+json", ("metadata",)
            ),
        )
    )
