"""job.started: checks how much of the AOI is clear, and stores the bands if it is enough."""

from collections.abc import Collection
from dataclasses import asdict, replace
from functools import partial
from time import perf_counter

from revisit.chain import job_lifecycle
from revisit.chain.product_files import PartFiles, try_sources
from revisit.domain import conditions
from revisit.domain.bands import BANDS, BandFiles
from revisit.domain.events import JobStarted
from revisit.domain.job import Cover, Job, JobCost
from revisit.domain.recipe import Recipe
from revisit.errors import PermanentError
from revisit.pixels import masks, plausibility
from revisit.pixels.indices import index
from revisit.pixels.raster.grid import count_aoi_pixels
from revisit.pixels.raster.mosaic import Mosaic
from revisit.ports.backend import Backend
from revisit.runtime import on
from revisit.stac import result_item
from revisit.stac.raster_asset import RasterAsset


@on(JobStarted, on_failure=job_lifecycle.fail)
def extract(event: JobStarted, backend: Backend) -> None:
    job = backend.get_record(Job, event.job)
    if (job.state, job.again) != ("started", event.again) or job_lifecycle.close_if_cancelled(backend, job):
        return
    try_sources(job, partial(extract_from_source, backend=backend))


def extract_from_source(job: Job, backend: Backend) -> None:
    """Extract a job whose product is as one source has it.

    Raises:
        PermanentError: The product cannot be read there.
        TransientError: The source does not answer.
    """
    started_s = perf_counter()
    parts = PartFiles(job, backend)
    found = backend.source(job.product.source).bands(job.product)
    files, (bands, notes) = found.files, bands_to_read(job.recipe, found)
    read = [*bands, *(["SCL"] if "SCL" in files else [])]
    with open_mosaic(job, files, read, parts) as mosaic:
        grid, inside = mosaic.grid, mosaic.inside
        aoi_pixels = count_aoi_pixels(grid, job.aoi, int(inside.sum()))
        scl = mosaic.read_classes()
        cover = replace(masks.count_cover(scl, inside), aoi=aoi_pixels)
        if reason := conditions.skip_reason(job, cover):
            notes += unread_notes(mosaic)
            skip_job(job.with_changes(spent=work_spent(mosaic, started_s)), cover, reason, notes, backend)
            return
        dn, scl = mosaic.read_bands()
        notes += unread_notes(mosaic)
        job = job.with_changes(spent=work_spent(mosaic, started_s))
    seen, saturated = masks.seen_masks(dn, ordered_layers(job.recipe, dn))
    cover = replace(masks.count_cover(scl, inside, seen, saturated), aoi=aoi_pixels)
    if reason := conditions.skip_reason(job, cover):
        skip_job(job, cover, reason, notes, backend)
        return
    judged = plausibility.judge_radiometry(mosaic.files, dn, inside, scl)
    files, notes = judged.restate(files, mosaic.files), (*notes, *judged.notes)
    mosaic.settle_offsets(files)
    scaling = {band: (judged.files[band].scale, judged.files[band].offset) for band in bands}
    # DN as they were read, 0 without data, with the scales and offsets that make reflectance of them.
    rasters = {"bands": (RasterAsset(dn, grid, scaling, nodata=0), "reflectance")}
    if scl is not None:
        classes = RasterAsset(
            {"SCL": scl}, grid, {"SCL": (1.0, 0.0)}, nodata=0, overview_resampling="nearest"
        )
        rasters["SCL"] = (classes, "classification")
    assets = [
        job_lifecycle.store_raster(backend, job, name, raster, role)
        for name, (raster, role) in rasters.items()
    ]
    receipt = result_item.build_receipt(
        job,
        {band: files[band] for band in read},
        mask=cover.mask,
        mosaic=result_item.build_mosaic_receipt(
            [replace(each, product=parts.read_from(each.product)) for each in mosaic.contributions]
        ),
        grid=asdict(grid),
    )
    extracted = job.with_changes(
        state="extracted",
        cover=cover,
        notes=notes,
        reason=conditions.unjudged_reason(job, cover),
        assets=tuple(assets),
        receipt=receipt,
        spent=replace(job.spent, seconds=perf_counter() - started_s),
    )
    backend.commit(partial(job_lifecycle.mark_extracted, job=extracted))


def bands_to_read(recipe: Recipe, files: BandFiles) -> tuple[list[str], tuple[str, ...]]:
    """The bands to read for a recipe, and a sentence for each part of it that the product cannot give.

    Args:
        recipe: What the job is to compute.
        files: The product's files by band name, and why further bands are not used.

    Raises:
        PermanentError: None of the bands can be used; the message states why.
    """
    needed = {each.name: each.bands for each in map(index, recipe.indices)}
    needed |= {band: (band,) for band in recipe.bands}
    missing = {name: [band for band in bands if band not in files] for name, bands in needed.items()}
    lacking = dict.fromkeys(band for bands in missing.values() for band in bands)
    notes = [f"{band} {files.lack(band)}" for band in BANDS if band in lacking]
    notes += [
        f"{name} is not computed, for lack of {' and '.join(bands)}"
        for name, bands in missing.items()
        if bands and name in recipe.index_names
    ]
    bands = list(dict.fromkeys(band for name, bands in needed.items() if not missing[name] for band in bands))
    if not bands:
        raise PermanentError(f"{'; '.join(notes)}; the product has {', '.join(files) or 'no other band'}")
    if reason := files.left_out.get("SCL"):
        notes.append(f"the result is without a mask of clouds, since SCL is not used: {reason}")
    return bands, tuple(notes)


def open_mosaic(job: Job, files: BandFiles, bands: list[str], parts: PartFiles) -> Mosaic:
    """Open the first product of a job, whose further ones fill what it leaves open of the AOI."""
    return Mosaic.open(
        job.products,
        files,
        parts.find,
        job.aoi,
        bands,
        job.recipe.resolution_m,
        job.recipe.resampling,
    )


def unread_notes(mosaic: Mosaic) -> tuple[str, ...]:
    """A sentence for each further product that was needed and could not be read."""
    return tuple(
        f"{each.product.id} is left out: {each.reason}" for each in mosaic.contributions if each.reason
    )


def ordered_layers(recipe: Recipe, bands: Collection[str]) -> list[tuple[str, ...]]:
    """The bands of each index, and each band, of a recipe that can be made of the bands read."""
    layers = [index(name).bands for name in recipe.indices] + [(band,) for band in recipe.bands]
    return [layer for layer in layers if set(layer) <= set(bands)]


def work_spent(mosaic: Mosaic, started_s: float) -> JobCost:
    """The cost of the job so far; `started_s` is the `perf_counter` at its start."""
    return JobCost(mosaic.grid.width * mosaic.grid.height, mosaic.bytes_read, perf_counter() - started_s)


def skip_job(job: Job, cover: Cover, reason: str, notes: tuple[str, ...], backend: Backend) -> None:
    """Mark a job as skipped, with the reason."""
    skipped = job.with_changes(
        state="skipped", reason=reason, cover=cover, notes=notes, finished=backend.now()
    )
    backend.commit(partial(job_lifecycle.finish, job=skipped))
