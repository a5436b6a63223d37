"""The assets and files of an item: listed by its source, and served where they are on a local disk."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Response, send_file
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.api.stac.asset_resolver import cache_key
from revisit.api.stac.product_files import ProductFiles, is_url
from revisit.api.stac.serializer import item_url, json_response, known_assets
from revisit.domain.bands import SourceFile
from revisit.domain.job import Job
from revisit.domain.product import Product
from revisit.errors import NotFoundError
from revisit.stac import item_search, product_item
from revisit.stac.item_search import SearchHit

ITEM_TIMEOUT_S, PAGE_TIMEOUT_S = 8.0, 3.0
"""Longest wait for the sources of an item and of a page; later answers are used by the next request."""
MAX_RESOLVED = 100
"""Products of a page whose assets are resolved: more would exceed the wait, and weigh megabytes."""

_IMAGE_MEDIA_TYPES = {
    ".jp2": "image/jp2",
    ".tif": "image/tiff",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
}


def item_assets(context: RequestContext, product: Product) -> dict[str, Any]:
    """All assets of a product; without bands where its source does not answer in time."""
    resolved = context.resources.assets.resolve([product], ITEM_TIMEOUT_S, force=True)
    return _build_assets(product, resolved.get(cache_key(product)))


def page_assets(context: RequestContext, hits: Sequence[SearchHit]) -> list[dict[str, Any] | None]:
    """All assets of each product of a page; None for results, and for every item of a page too large."""
    products = [one.product for one in hits if not one.job]
    if len(products) > MAX_RESOLVED:
        return [None] * len(hits)
    resolved = context.resources.assets.resolve(products, PAGE_TIMEOUT_S)
    return [
        None if one.job else _build_assets(one.product, resolved.get(cache_key(one.product))) for one in hits
    ]


def _build_assets(product: Product, product_files: ProductFiles | None) -> dict[str, Any]:
    item_href = item_url(SearchHit(product))
    known = known_assets(product, item_href)
    if product_files is None:
        return known
    documents = known | product_item.band_assets(
        product,
        {
            band: replace(file, href=_file_url(item_href, file.href, file.href))
            for band, file in product_files.bands.items()
        },
    )
    if preview := product_files.preview:
        kind = _IMAGE_MEDIA_TYPES[Path(preview.path).suffix.lower()]
        documents["thumbnail"] = {
            "href": _file_url(item_href, preview.href, preview.path),
            "type": kind,
            "title": "Quicklook",
            "roles": ["thumbnail"],
        }
    return documents


def list_files(context: RequestContext, id: str, item: str) -> Response:
    hit = item_search.get_item(context.backend, id, item, context.owner_id)
    item_href = item_url(hit)
    if hit.job:
        root = item_href.partition("/stac/")[0]
        job_files = [
            SourceFile(
                file.path.rpartition("/")[2],
                f"{root}/results/{hit.job.id}/assets/{file.name}",
                file.size,
                f"sha256:{file.sha256}",
            )
            for file in hit.job.assets
        ]
        return _file_list(hit.job, job_files, item_href)
    return _file_list(hit.product, context.resources.assets.get(hit.product).files, item_href)


def get_file(context: RequestContext, id: str, item: str, path: str) -> ResponseReturnValue:
    """A file on a local disk, or the requested range of it."""
    hit = item_search.get_item(context.backend, id, item, context.owner_id)
    files = () if hit.job else context.resources.assets.get(hit.product).files
    file = next((file for file in files if file.path == path), None)
    if file is None:
        raise NotFoundError(f"{item[:200]} has no file {path[:200]!r}; see the list of its files")
    if is_url(file.href):
        raise NotFoundError(f"{path[:200]} is at its source: {file.href}")
    kind = _IMAGE_MEDIA_TYPES.get(Path(path).suffix.lower())
    try:
        response = send_file(
            file.href,
            kind or "application/octet-stream",
            as_attachment=kind is None,
            conditional=True,
            max_age=0,
        )
    except FileNotFoundError:
        raise NotFoundError(f"file {path[:200]} no longer exists") from None
    response.headers["Accept-Ranges"] = "bytes"
    return response


def _file_list(record: Product | Job, files: Any, item_href: str) -> Response:
    return json_response(
        {
            "product": record.id,
            "files": [
                {
                    "path": file.path,
                    "href": _file_url(item_href, file.href, file.path),
                    "size": file.size,
                    "checksum": file.checksum,
                }
                for file in files
            ],
        }
    )


def _file_url(item_href: str, href: str, path: str) -> str:
    """The URL of a file."""
    return href if is_url(href) else f"{item_href}/files/{quote(path)}"


ROUTES = (
    Route("GET", "/stac/collections/<id>/items/<item>/files", list_files),
    Route("GET", "/stac/collections/<id>/items/<item>/files/<path:path>", get_file),
)
