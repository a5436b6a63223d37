"""The files of an item: those that its source tells of, asked once an hour, and handed out where they lie on this computer's own disk."""

import logging
import re
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Response, send_file
from flask.typing import ResponseReturnValue

from revisit import product_item
from revisit.api.asked import Asked
from revisit.api.stac.showing import address, answer, known_assets
from revisit.bands import BandFile, SourceFile
from revisit.commands import finding
from revisit.commands.finding import Found
from revisit.errors import GiveUp, NotFound, Retry
from revisit.job import Job
from revisit.product import Product

KEPT_S = 3600.0
MOST_KEPT = 256
PATIENCE_S = 8.0
"""An item is shown without its bands where its source takes longer; what it says is kept for the next who asks."""

_PREVIEW = re.compile(r"(-ql|preview|thumbnail|quicklook)[^/]*\.(jpe?g|png)$", re.IGNORECASE)
_IMAGES = {".jp2": "image/jp2", ".tif": "image/tiff", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}

log = logging.getLogger("revisit")


@dataclass(frozen=True, slots=True)
class Told:
    """What a source says of one product."""

    files: tuple[SourceFile, ...]
    bands: dict[str, BandFile]


_kept: OrderedDict[tuple[str, ...], tuple[float, Told]] = OrderedDict()
_lock = threading.Lock()
_asking = ThreadPoolExecutor(4, "source")


def assets(asked: Asked, product: Product) -> dict[str, Any]:
    """All assets of a product; the known ones only where its source does not answer in time."""
    self = address(Found(product))
    known = known_assets(product, self)
    try:
        told = _asking.submit(_told, asked, product).result(PATIENCE_S)
    except (GiveUp, Retry, Late) as error:
        log.info("the source of %s says nothing of it: %s", product.id, error)
        return known
    places = {file.href: _address(self, file) for file in told.files}
    bands = {band: replace(file, href=places.get(_resolved(file.href), places.get(file.href, file.href))) for band, file in told.bands.items()}
    found = known | product_item.band_assets(product, {band: file for band, file in bands.items() if file.href.startswith("http")})
    if preview := next((file for file in told.files if _PREVIEW.search(file.path)), None):
        kind = _IMAGES[Path(preview.path).suffix.lower()]
        found["thumbnail"] = {"href": _address(self, preview), "type": kind, "title": "Quicklook", "roles": ["thumbnail"]}
    return found


def listed(asked: Asked, id: str, item: str) -> Response:
    found = finding.one(asked.backend, id, item, asked.owner)
    self = address(found)
    if found.job:
        root = self.partition("/stac/")[0]
        made = [SourceFile(file.path.rpartition("/")[2], f"{root}/results/{found.job.id}/assets/{file.name}", file.size, f"sha256:{file.sha256}")
                for file in found.job.assets]
        return _list(found.job, made, self)
    return _list(found.product, _told(asked, found.product).files, self)


def one(asked: Asked, id: str, item: str, path: str) -> ResponseReturnValue:
    """A file on this computer's own disk, or the range of it that is asked for."""
    found = finding.one(asked.backend, id, item, asked.owner)
    files = () if found.job else _told(asked, found.product).files
    file = next((file for file in files if file.path == path), None)
    if file is None:
        raise NotFound(f"{item[:200]} has no file {path[:200]!r}; the list of its files names those it has")
    if file.href.startswith("http"):
        raise NotFound(f"{path[:200]} lies at its source: {file.href}")
    kind = _IMAGES.get(Path(path).suffix.lower())
    try:
        response = send_file(file.href, kind or "application/octet-stream", as_attachment=kind is None, conditional=True, max_age=0)
    except FileNotFoundError:
        raise NotFound(f"{path[:200]} is not there any more") from None
    response.headers["Accept-Ranges"] = "bytes"
    return response


def _list(of: Product | Job, files: Any, self: str) -> Response:
    return answer({"product": of.id, "files": [{"path": file.path, "href": _address(self, file), "size": file.size, "checksum": file.checksum}
                                               for file in files]})


def _told(asked: Asked, product: Product) -> Told:
    """What its source says of a product, now or within the last hour.

    Raises:
        Retry, GiveUp: As the source raises them.
    """
    key, now = (product.source, product.id, product.version), time.monotonic()
    with _lock:
        if (kept := _kept.get(key)) and now - kept[0] < KEPT_S:
            _kept.move_to_end(key)
            return kept[1]
    source = asked.backend.source(product.source)
    files = tuple(source.files(product))
    try:
        bands = source.bands(product)
    except GiveUp:
        # Files may be there without one that could be read.
        bands = {}
    told = Told(files, bands)
    with _lock:
        _kept[key] = now, told
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return told


def _address(self: str, file: SourceFile) -> str:
    """Where a client finds a file."""
    return file.href if file.href.startswith("http") else f"{self}/files/{quote(file.path)}"


def _resolved(href: str) -> str:
    return href if href.startswith("http") else str(Path(href).resolve())


ROUTES = (
    ("GET", "/stac/collections/<id>/items/<item>/files", listed),
    ("GET", "/stac/collections/<id>/items/<item>/files/<path:path>", one),
)
