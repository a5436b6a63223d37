"""Finished jobs as STAC 1.1 Items, and the receipt of their inputs.

Properties of our own:

    revisit:job, revisit:acquisition, revisit:product   ids
    revisit:products, revisit:tiles, revisit:baselines  of all products that gave pixels
    revisit:state, revisit:reason, revisit:notes        of the job's record; reason and notes may be missing
    revisit:level, revisit:mask                         of the product; SCL or none
    revisit:reflectance                                 surface (L2A) or top-of-atmosphere (L1C)
    revisit:coverage, revisit:clear_fraction            shares from 0 to 1, queryable
    revisit:clear_of_aoi                                clear share of the whole AOI, queryable
    revisit:cover                                       pixel counts over the AOI (`Cover`) and the mask used
    revisit:indices, revisit:bands                      name -> statistics of the clear pixels (`Statistics`)
    revisit:receipt                                     inputs of the job (`build_receipt`)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import msgspec

from revisit import __version__
from revisit.domain.aoi import AOI
from revisit.domain.bands import BANDS, SPECTRAL_BANDS, BandFile
from revisit.domain.clock import format_rfc3339
from revisit.domain.job import FINISHED_STATES, Asset, Job, Statistics
from revisit.domain.product import Product
from revisit.errors import ConflictError
from revisit.pixels.contribution import RULE, Contribution
from revisit.pixels.indices import CATALOGUE_VERSION, Index, index
from revisit.pixels.masks import CLEAR_CLASSES, MASK_VERSION

EXTENSIONS = {
    "eo:": "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "file:": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "grid:": "https://stac-extensions.github.io/grid/v1.1.0/schema.json",
    "mgrs:": "https://stac-extensions.github.io/mgrs/v1.0.0/schema.json",
    "processing:": "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "proj:": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "raster:bands": "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "sat:": "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
}
"""Prefix of a field -> the extension that defines it; an Item lists the extensions of its fields."""

NO_PIXELS = "it has no data where the previous products have none"
"""Why a product that was read gave no pixels."""


def build_result_item(
    job: Job, href: Callable[[Asset], str], links: Iterable[dict[str, Any]] = (), collection: str = ""
) -> dict[str, Any]:
    """A finished job as a STAC 1.1 Item.

    Args:
        job: Done, skipped or failed; a skipped or failed job has no assets, but a reason.
        href: Returns the URL of an asset for the client.
        links: self, root, parent and collection of the API that shows it.
        collection: Id of its collection; the links must then include one to the collection.

    Raises:
        ConflictError: The job is not finished.
    """
    if job.state not in FINISHED_STATES:
        raise ConflictError(f"job {job.id} is {job.state}; it becomes an item when it ends")
    known = {each.name: each for each in map(index, job.recipe.indices)}
    assets = {asset.name: _asset(asset, href(asset), known.get(asset.name)) for asset in job.assets}
    properties = result_properties(job)
    made: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _extensions([properties, *assets.values()]),
        "id": job.id,
        "geometry": job.aoi,
        "bbox": list(AOI.from_normalized(job.aoi).bounds),
        "properties": properties,
        "links": [*links, *_derived_from_links(job)],
        "assets": assets,
    }
    return made | ({"collection": collection} if collection else {})


def encode_item(item: dict[str, Any]) -> bytes:
    """An Item as JSON text for a file."""
    return msgspec.json.format(msgspec.json.encode(item), indent=2)


def build_receipt(
    job: Job,
    files: Mapping[str, BandFile],
    checksums: Mapping[str, str] | None = None,
    mask: str = "SCL",
    software: Mapping[str, str] | None = None,
    mosaic: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    """Inputs of a job, from which anyone can reproduce the result or explain a difference.

    Args:
        job: Its product, AOI and recipe.
        files: The band files read, by band.
        checksums: Band -> checksum of its file, where known.
        mask: "SCL" or "none".
        software: Versions of the software besides Revisit: {"gdal": "3.12.2"}.
        mosaic: As `build_mosaic_receipt` makes it; None or empty for the pixels of one product.
        parameters: Other parameters that change the result, such as the grid; plain JSON values.

    Returns:
        Plain JSON values. `content_hash` is the SHA-256 of everything else as JSON with sorted keys: equal
        receipts, equal results.
    """
    made_of = [index(definition) for definition in job.recipe.indices]
    made: dict[str, Any] = {
        **_describe_product(job.product),
        "reflectance": job.product.reflectance,
        "inputs": _describe_files(files, checksums or {}),
        "mask": {"name": mask, "version": MASK_VERSION, "clear": list(CLEAR_CLASSES)}
        if mask == "SCL"
        else {"name": mask},
        "aoi": sha256(_canonical_json(job.aoi)).hexdigest(),
        "recipe": asdict(job.recipe),
        "formulas": {each.name: each.expression for each in made_of},
        "constants": {each.name: each.constants for each in made_of if each.constants},
        "catalogue": CATALOGUE_VERSION,
        "min_clear": job.min_clear,
        "min_clear_of": job.min_clear_of,
        "min_coverage": job.min_coverage,
        "parameters": parameters,
        "software": {"revisit": __version__, **(software or {})},
    }
    if mosaic:
        made["mosaic"] = mosaic
    made = msgspec.json.decode(_canonical_json(made))
    return made | {"content_hash": sha256(_canonical_json(made)).hexdigest()}


def build_mosaic_receipt(contributions: Sequence[Contribution]) -> dict[str, Any]:
    """How the products of a job were put together: the `mosaic` of a receipt.

    Args:
        contributions: One for each product, in their order.

    Returns:
        Plain JSON values; empty if no further product was needed. `products` are those that gave pixels, with
        their share of the pixels that have data; `in_vain` those that were read, or could not be, and gave
        none.
    """
    tried = [each for each in contributions if each.files or each.reason]
    if len(tried) < 2:
        return {}
    total = sum(each.pixels for each in tried)
    return {
        "rule": RULE,
        "products": [
            {
                **_describe_product(each.product),
                "tile": each.product.tile,
                "reprojected_from": each.reprojected_from or None,
                "pixels": each.pixels,
                "share": each.pixels / total,
                "inputs": _describe_files(each.files, {}),
            }
            for each in tried
            if each.pixels
        ],
        "in_vain": [
            {**_describe_product(each.product), "tile": each.product.tile, "reason": each.reason or NO_PIXELS}
            for each in tried
            if not each.pixels
        ],
    }


def _describe_product(product: Product) -> dict[str, Any]:
    return {
        "product": product.id,
        "source": product.source,
        "baseline": product.baseline,
        "published": format_rfc3339(product.published) if product.published else None,
    }


def _describe_files(files: Mapping[str, BandFile], checksums: Mapping[str, str]) -> dict[str, Any]:
    return {
        band: {
            "href": file.href,
            "checksum": checksums.get(band),
            "scale": file.scale,
            "offset": file.offset,
            "nodata": file.nodata,
        }
        for band, file in sorted(files.items())
    }


def pixel_fields(
    crs: str,
    shape: tuple[int, int],
    transform: tuple[float, ...],
    data_type: str,
    bands: Mapping[str, tuple[float, float]],
    nodata: float | str | None = 0,
) -> dict[str, Any]:
    """Asset fields that state the grid of its pixels and the meaning of their values.

    Args:
        crs: "EPSG:32631".
        shape: (height, width).
        transform: Six numbers, from pixel (column, row) to metres.
        bands: Name -> (scale, offset) of value = number * scale + offset, in the order of the file.
        nodata: Number that marks missing pixels; "nan" for NaN.
    """
    named = [
        {"name": name} | ({"eo:common_name": BANDS[name].common_name} if name in SPECTRAL_BANDS else {})
        for name in bands
    ]
    numbers = [
        {"data_type": data_type, "nodata": nodata, "scale": scale, "offset": offset}
        for scale, offset in bands.values()
    ]
    return {
        "proj:code": crs,
        "proj:shape": list(shape),
        "proj:transform": list(transform),
        "bands": named,
        "raster:bands": numbers,
    }


def result_properties(job: Job) -> dict[str, Any]:
    """Properties of a job's Item; unknown ones are omitted."""
    product, tile = job.product, job.product.tile
    finished = format_rfc3339(job.finished) if job.finished else None
    found: dict[str, Any] = {
        "datetime": format_rfc3339(product.sensing_time),
        "title": f"{', '.join(job.recipe.names)} of {tile} on {product.sensing_time:%Y-%m-%d}",
        "created": finished,
        "platform": product.platform.lower().replace("s2", "sentinel-2"),
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "gsd": job.recipe.resolution_m,
        "sat:relative_orbit": product.relative_orbit,
        "grid:code": f"MGRS-{tile}",
        "mgrs:utm_zone": int(tile[:2]),
        "mgrs:latitude_band": tile[2],
        "mgrs:grid_square": tile[3:],
        "processing:datetime": finished,
        "processing:software": {"revisit": __version__} | job.receipt.get("software", {}),
        "processing:lineage": _lineage(job),
        "revisit:job": job.id,
        "revisit:acquisition": job.acquisition,
        "revisit:product": product.id,
        "revisit:level": product.level,
        "revisit:reflectance": product.reflectance,
        "revisit:products": [each.id for each in job.contributors],
        "revisit:tiles": list(dict.fromkeys(each.tile for each in job.contributors)),
        "revisit:baselines": list(dict.fromkeys(each.baseline for each in job.contributors if each.baseline)),
        "revisit:state": job.state,
        "revisit:reason": job.reason or None,
        "revisit:notes": list(job.notes) or None,
        "revisit:indices": {name: _without_nulls(values) for name, values in job.indices.items()} or None,
        "revisit:bands": {name: _without_nulls(values) for name, values in job.bands.items()} or None,
        "revisit:receipt": job.receipt or None,
    }
    if job.cover:
        found |= {
            "revisit:coverage": job.cover.coverage,
            "revisit:clear_fraction": job.cover.clear_fraction,
            "revisit:clear_of_aoi": job.cover.clear_of_aoi,
            "revisit:mask": job.cover.mask,
            "revisit:cover": asdict(job.cover),
        }
        if job.cover.mask == "SCL" and job.cover.valid:
            found["eo:cloud_cover"] = 100 * job.cover.cloud / job.cover.valid
    return {name: value for name, value in found.items() if value is not None}


def _lineage(job: Job) -> str:
    masked = not job.cover or job.cover.mask == "SCL"
    mask = (
        "only what its scene classification calls clear"
        if masked
        else "not masked, for it has no scene classification"
    )
    return f"Cut out of {' and '.join(product.id for product in job.contributors)} over the AOI; {mask}."


def _asset(asset: Asset, href: str, known: Index | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "href": href,
        "type": asset.media_type,
        "roles": list(asset.roles),
        "file:size": asset.size,
        "file:checksum": "1220" + asset.sha256,
    }  # multihash: SHA-256, 32 bytes
    if known:
        made["title"] = f"{known.long_name} ({known.name})"
        if known.meaning:
            made["description"] = f"A high value says: {known.meaning}."
        made["processing:expression"] = {
            "format": "revisit-formula" if known.is_own else "awesome-spectral-indices",
            "expression": known.expression,
        }
    elif asset.name in SPECTRAL_BANDS:
        made["title"] = f"Reflectance of {asset.name}"
    return made | asset.about


def _derived_from_links(job: Job) -> list[dict[str, Any]]:
    return [
        {"rel": "derived_from", "href": product.href, "title": product.id}
        for product in job.contributors
        if product.href
    ]


def _extensions(parts: list[dict[str, Any]]) -> list[str]:
    fields = {name for part in parts for name in part}
    return [
        schema for prefix, schema in EXTENSIONS.items() if any(name.startswith(prefix) for name in fields)
    ]


def _without_nulls(values: Statistics) -> dict[str, Any]:
    return {name: value for name, value in asdict(values).items() if value is not None}


def _canonical_json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")
