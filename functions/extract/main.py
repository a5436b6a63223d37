"""job.started: look whether the AOI is clear, and cut the bands out if it is."""

from dataclasses import asdict, replace
from functools import partial
from time import perf_counter

import numpy as np

from revisit.chain import job_lifecycle
from revisit.domain.bands import BandFile
from revisit.domain.events import JobStarted
from revisit.domain.job import Cover, Job, JobCost
from revisit.domain.recipe import Recipe
from revisit.errors import PermanentError
from revisit.pixels import masks
from revisit.pixels.indices import index
from revisit.pixels.raster.grid import aoi_mask, count_aoi_pixels
from revisit.pixels.raster.read_plan import ReadPlan
from revisit.pixels.raster.write_cog import MEDIA_TYPE, write_cog
from revisit.ports.backend import Backend
from revisit.runtime import on
from revisit.stac import result_item


@on(JobStarted, on_failure=job_lifecycle.fail)
def extract(event, backend):
    job = backend.get_record(Job, event.job)
    if job.state != "started" or job_lifecycle.close_if_cancelled(backend, job):
        return
    begun = perf_counter()
    files = backend.source(job.product.source).bands(job.product)
    bands, notes = bands_to_read(job.recipe, files)
    read = [*bands, *(["SCL"] if "SCL" in files else [])]
    with ReadPlan.open(files, job.aoi, read, job.recipe.resolution_m, job.recipe.resampling) as plan:
        grid, inside = plan.grid, aoi_mask(plan.grid, job.aoi)
        of_aoi = count_aoi_pixels(grid, job.aoi, int(inside.sum()))
        scl = plan.read(["SCL"]).dn["SCL"] if "SCL" in read else None
        seen = replace(masks.count_cover(scl, inside), aoi=of_aoi)
        if reason := no_data_reason(seen) or cloud_reason(job, seen):
            skip_job(job.with_changes(spent=work_spent(plan, begun)), seen, reason, notes, backend)
            return
        dn = plan.read(bands).dn
        job = job.with_changes(spent=work_spent(plan, begun))
    seen = replace(
        masks.count_cover(scl, inside, masks.has_data(dn, {band: files[band].nodata for band in bands})),
        aoi=of_aoi,
    )
    if reason := no_data_reason(seen) or cloud_reason(job, seen):
        skip_job(job, seen, reason, notes, backend)
        return
    scaling = {band: (files[band].scale, files[band].offset) for band in bands}
    assets = [store_bands(backend, job, grid, "bands", dn, scaling, "reflectance")]
    if scl is not None:
        assets.append(
            store_bands(backend, job, grid, "SCL", {"SCL": scl}, {"SCL": (1.0, 0.0)}, "classification")
        )
    receipt = result_item.build_receipt(
        job, {band: files[band] for band in read}, mask=seen.mask, grid=asdict(grid)
    )
    extracted = job.with_changes(
        state="extracted",
        cover=seen,
        notes=notes,
        reason=unjudged_reason(job, seen),
        assets=tuple(assets),
        receipt=receipt,
        spent=replace(job.spent, seconds=perf_counter() - begun),
    )
    backend.commit(partial(job_lifecycle.mark_extracted, job=extracted))


def bands_to_read(recipe: Recipe, files: dict[str, BandFile]) -> tuple[list[str], tuple[str, ...]]:
    """The bands that can be read for a recipe, and a sentence for each part of it that cannot be made."""
    wanted = {name: index(name).bands for name in recipe.indices} | {band: (band,) for band in recipe.bands}
    lacking = {name: [band for band in bands if band not in files] for name, bands in wanted.items()}
    notes = tuple(
        f"{name} needs {' and '.join(missing)}, which the product lacks"
        for name, missing in lacking.items()
        if missing
    )
    bands = list(dict.fromkeys(band for name, bands in wanted.items() if not lacking[name] for band in bands))
    if not bands:
        raise PermanentError(f"{'; '.join(notes)}; it has {', '.join(files)}")
    return bands, notes


def work_spent(plan: ReadPlan, started_s: float) -> JobCost:
    """What the work took so far."""
    return JobCost(plan.grid.width * plan.grid.height, plan.bytes_read, perf_counter() - started_s)


def no_data_reason(cover: Cover) -> str:
    """Why there is nothing to look at over the AOI; empty where there is something."""
    if not cover.aoi:
        return "no pixel's centre lies in the AOI: it is smaller than the pixels"
    return "" if cover.valid else "the product has no data over the AOI"


def cloud_reason(job: Job, cover: Cover) -> str:
    """Why a job's AOI is not clear enough; empty where it is, where nobody asked, and where nothing is
    known."""
    if cover.mask == "none":
        return ""
    percent = 100 * cover.clear_fraction
    if job.min_clear is not None and percent < job.min_clear:
        return f"{percent:.1f} % of the AOI is clear, less than {job.min_clear:g} %"
    return "no pixel of the AOI is clear" if job.subscription and not cover.clear else ""


def unjudged_reason(job: Job, cover: Cover) -> str:
    """What a subscription asked for that this product cannot answer."""
    if cover.mask == "none" and job.min_clear is not None:
        return f"the product has no scene classification: whether {job.min_clear:g} % is clear could not be judged"
    return ""


def store_bands(
    backend: Backend, job: Job, grid, name: str, dn: dict, scaling: dict[str, tuple[float, float]], role: str
):
    """Keep DN as they were read, with the scales and offsets that make reflectance of them."""
    stack = np.stack(list(dn.values()))
    scales, offsets = zip(*scaling.values(), strict=True)
    how = "nearest" if role == "classification" else "average"
    write = partial(
        write_cog,
        array=stack,
        grid=grid,
        nodata=0,
        band_names=list(dn),
        scale=scales,
        offset=offsets,
        overview_resampling=how,
    )
    about = result_item.pixel_fields(grid.crs, grid.shape, grid.transform, stack.dtype.name, scaling)
    return job_lifecycle.store_asset(backend, job, f"{name}.tif", write, MEDIA_TYPE, ("data", role), about)


def skip_job(job: Job, cover: Cover, reason: str, notes: tuple[str, ...], backend: Backend) -> None:
    """Close a job that has nothing to show, with its reason."""
    skipped = job.with_changes(
        state="skipped", reason=reason, cover=cover, notes=notes, finished=backend.now()
    )
    backend.commit(partial(job_lifecycle.finish, job=skipped))
