"""job.started: look whether the AOI is clear, and cut the bands out if it is."""

from dataclasses import asdict, replace
from functools import partial
from time import perf_counter

import numpy as np

from revisit.chain import job_lifecycle
from revisit.domain.bands import BandFile
from revisit.domain.events import JobStarted
from revisit.domain.job import Cover, Job, Spent
from revisit.domain.recipe import Recipe
from revisit.errors import GiveUp
from revisit.pixels import masks
from revisit.pixels.indices import index
from revisit.pixels.raster.grid import aoi_mask, aoi_pixels
from revisit.pixels.raster.read_plan import Plan
from revisit.pixels.raster.write_cog import MEDIA_TYPE, write_cog
from revisit.ports.backend import Backend
from revisit.runtime import on
from revisit.stac import result_item


@on(JobStarted, give_up=job_lifecycle.fail)
def extract(event, backend):
    job = backend.record(Job, event.job)
    if job.state != "started" or job_lifecycle.leave(backend, job):
        return
    begun = perf_counter()
    files = backend.source(job.product.source).bands(job.product)
    bands, notes = bands_to_read(job.recipe, files)
    read = [*bands, *(["SCL"] if "SCL" in files else [])]
    with Plan.make(files, job.aoi, read, job.recipe.resolution_m, job.recipe.resampling) as plan:
        grid, inside = plan.grid, aoi_mask(plan.grid, job.aoi)
        of_aoi = aoi_pixels(grid, job.aoi, int(inside.sum()))
        scl = plan.read(["SCL"]).dn["SCL"] if "SCL" in read else None
        seen = replace(masks.cover(scl, inside), aoi=of_aoi)
        if reason := nothing_there(seen) or too_cloudy(job, seen):
            skip(job.updated(spent=spent(plan, begun)), seen, reason, notes, backend)
            return
        dn = plan.read(bands).dn
        job = job.updated(spent=spent(plan, begun))
    seen = replace(masks.cover(scl, inside, masks.has_data(dn, {band: files[band].nodata for band in bands})), aoi=of_aoi)
    if reason := nothing_there(seen) or too_cloudy(job, seen):
        skip(job, seen, reason, notes, backend)
        return
    scaling = {band: (files[band].scale, files[band].offset) for band in bands}
    assets = [store(backend, job, grid, "bands", dn, scaling, "reflectance")]
    if scl is not None:
        assets.append(store(backend, job, grid, "SCL", {"SCL": scl}, {"SCL": (1.0, 0.0)}, "classification"))
    receipt = result_item.receipt(job, {band: files[band] for band in read}, mask=seen.mask, grid=asdict(grid))
    extracted = job.updated(state="extracted", cover=seen, notes=notes, reason=not_judged(job, seen), assets=tuple(assets), receipt=receipt,
                            spent=replace(job.spent, seconds=perf_counter() - begun))
    backend.commit(partial(job_lifecycle.go_on, job=extracted))


def bands_to_read(recipe: Recipe, files: dict[str, BandFile]) -> tuple[list[str], tuple[str, ...]]:
    """The bands that can be read for a recipe, and a sentence for each part of it that cannot be made."""
    wanted = {name: index(name).bands for name in recipe.indices} | {band: (band,) for band in recipe.bands}
    lacking = {name: [band for band in bands if band not in files] for name, bands in wanted.items()}
    notes = tuple(f"{name} needs {' and '.join(missing)}, which the product lacks" for name, missing in lacking.items() if missing)
    bands = list(dict.fromkeys(band for name, bands in wanted.items() if not lacking[name] for band in bands))
    if not bands:
        raise GiveUp(f"{'; '.join(notes)}; it has {', '.join(files)}")
    return bands, notes


def spent(plan: Plan, begun: float) -> Spent:
    """What the work took so far."""
    return Spent(plan.grid.width * plan.grid.height, plan.bytes_read, perf_counter() - begun)


def nothing_there(seen: Cover) -> str:
    """Why there is nothing to look at over the AOI; empty where there is something."""
    if not seen.aoi:
        return "no pixel's centre lies in the AOI: it is smaller than the pixels"
    return "" if seen.valid else "the product has no data over the AOI"


def too_cloudy(job: Job, seen: Cover) -> str:
    """Why a job's AOI is not clear enough; empty where it is, where nobody asked, and where nothing is known."""
    if seen.mask == "none":
        return ""
    percent = 100 * seen.clear_fraction
    if job.min_clear is not None and percent < job.min_clear:
        return f"{percent:.1f} % of the AOI is clear, less than {job.min_clear:g} %"
    return "no pixel of the AOI is clear" if job.subscription and not seen.clear else ""


def not_judged(job: Job, seen: Cover) -> str:
    """What a subscription asked for that this product cannot answer."""
    if seen.mask == "none" and job.min_clear is not None:
        return f"the product has no scene classification: whether {job.min_clear:g} % is clear could not be judged"
    return ""


def store(backend: Backend, job: Job, grid, name: str, dn: dict, scaling: dict[str, tuple[float, float]], role: str):
    """Keep DN as they were read, with the scales and offsets that make reflectance of them."""
    stack = np.stack(list(dn.values()))
    scales, offsets = zip(*scaling.values(), strict=True)
    how = "nearest" if role == "classification" else "average"
    write = partial(write_cog, array=stack, grid=grid, nodata=0, band_names=list(dn), scale=scales, offset=offsets, overview_resampling=how)
    about = result_item.pixels(grid.crs, grid.shape, grid.transform, stack.dtype.name, scaling)
    return job_lifecycle.keep(backend, job, f"{name}.tif", write, MEDIA_TYPE, ("data", role), about)


def skip(job: Job, seen: Cover, reason: str, notes: tuple[str, ...], backend: Backend) -> None:
    """Close a job that has nothing to show, with its reason."""
    skipped = job.updated(state="skipped", reason=reason, cover=seen, notes=notes, finished=backend.now())
    backend.commit(partial(job_lifecycle.finish, job=skipped))
