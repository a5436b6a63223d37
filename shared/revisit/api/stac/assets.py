"""The files of an item: those that its source tells of, as its assets, and handed out where they lie on this computer's own disk."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Response, send_file
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import Asked
from revisit.api.stac import asset_resolver
from revisit.api.stac.asset_cache import Told, is_url
from revisit.api.stac.serializer import address, answer, known_assets
from revisit.domain.bands import SourceFile
from revisit.domain.job import Job
from revisit.domain.product import Product
from revisit.errors import NotFound
from revisit.stac import item_search, product_item
from revisit.stac.item_search import Found

PATIENCE_S, PAGE_PATIENCE_S = 8.0, 3.0
"""An item, and a page of them, is shown without bands where its source takes longer; what it says is kept for the next who asks."""
MOST_ASKED = 100
"""Products of a page that are asked of: a larger one would outlast the patience at all but the fastest sources, and weigh megabytes."""

_IMAGES = {".jp2": "image/jp2", ".tif": "image/tiff", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


def assets(asked: Asked, product: Product) -> dict[str, Any]:
    """All assets of a product; the known ones only where its source does not answer in time."""
    return _assets(product, asset_resolver.soon(asked.backend, [product], PATIENCE_S, urgent=True).get(asset_resolver.key_of(asked.backend, product)))


def assets_of(asked: Asked, found: Sequence[Found]) -> list[dict[str, Any] | None]:
    """All assets of each product of a page, as `assets`; None of what has others, and where the products are too many."""
    products = [one.product for one in found if not one.job]
    if len(products) > MOST_ASKED:
        return [None] * len(found)
    told = asset_resolver.soon(asked.backend, products, PAGE_PATIENCE_S)
    return [None if one.job else _assets(one.product, told.get(asset_resolver.key_of(asked.backend, one.product))) for one in found]


def _assets(product: Product, told: Told | None) -> dict[str, Any]:
    self = address(Found(product))
    known = known_assets(product, self)
    if told is None:
        return known
    found = known | product_item.band_assets(product, {band: replace(file, href=_address(self, file.href, file.href)) for band, file in told.bands.items()})
    if preview := told.preview:
        kind = _IMAGES[Path(preview.path).suffix.lower()]
        found["thumbnail"] = {"href": _address(self, preview.href, preview.path), "type": kind, "title": "Quicklook", "roles": ["thumbnail"]}
    return found


def listed(asked: Asked, id: str, item: str) -> Response:
    found = item_search.one(asked.backend, id, item, asked.owner)
    self = address(found)
    if found.job:
        root = self.partition("/stac/")[0]
        made = [SourceFile(file.path.rpartition("/")[2], f"{root}/results/{found.job.id}/assets/{file.name}", file.size, f"sha256:{file.sha256}")
                for file in found.job.assets]
        return _list(found.job, made, self)
    return _list(found.product, asset_resolver.told(asked.backend, found.product).files, self)


def one(asked: Asked, id: str, item: str, path: str) -> ResponseReturnValue:
    """A file on this computer's own disk, or the range of it that is asked for."""
    found = item_search.one(asked.backend, id, item, asked.owner)
    files = () if found.job else asset_resolver.told(asked.backend, found.product).files
    file = next((file for file in files if file.path == path), None)
    if file is None:
        raise NotFound(f"{item[:200]} has no file {path[:200]!r}; the list of its files names those it has")
    if is_url(file.href):
        raise NotFound(f"{path[:200]} lies at its source: {file.href}")
    kind = _IMAGES.get(Path(path).suffix.lower())
    try:
        response = send_file(file.href, kind or "application/octet-stream", as_attachment=kind is None, conditional=True, max_age=0)
    except FileNotFoundError:
        raise NotFound(f"{path[:200]} is not there any more") from None
    response.headers["Accept-Ranges"] = "bytes"
    return response


def _list(of: Product | Job, files: Any, self: str) -> Response:
    return answer({"product": of.id, "files": [{"path": file.path, "href": _address(self, file.href, file.path), "size": file.size, "checksum": file.checksum}
                                               for file in files]})


def _address(self: str, href: str, path: str) -> str:
    """Where a client finds a file."""
    return href if is_url(href) else f"{self}/files/{quote(path)}"


ROUTES = (
    ("GET", "/stac/collections/<id>/items/<item>/files", listed),
    ("GET", "/stac/collections/<id>/items/<item>/files/<path:path>", one),
)
