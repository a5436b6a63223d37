"""What sources tell of their products: each product asked of once an hour, many side by side, and nobody
waited for longer than there is patience."""

import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from time import monotonic

from revisit.api.stac.asset_cache import CacheKey, ProductFiles, TtlCache, fetch_product_files
from revisit.api.stac.asset_worker import AssetRequest, AssetWorker
from revisit.domain.product import Product
from revisit.errors import PermanentError
from revisit.ports.backend import Backend
from revisit.ports.sources import Source

MAX_SOURCES = 32

log = logging.getLogger("revisit")

_cache = TtlCache()


def get_product_files(backend: Backend, product: Product) -> ProductFiles:
    """What its source says of a product, now or within the last hour, however long that takes.

    Raises:
        TransientError, PermanentError: As the source raises them.
    """
    key = cache_key(backend, product)
    if (cached := _cache(key)) and cached[0]:
        return cached[0]
    product_files = fetch_product_files(_worker(backend.source, product.source).source, product)
    _cache.put(key, product_files)
    return product_files


def resolve_assets(
    backend: Backend, products: Iterable[Product], timeout_s: float, force: bool = False
) -> dict[CacheKey, ProductFiles]:
    """What the sources of products say of them in a time; what they say later is kept for the next who asks.

    Args:
        urgent: Ask a source that told nothing just now, too, and of a product that it had nothing to say of.
    """
    started = monotonic()
    resolved: dict[CacheKey, ProductFiles] = {}
    uncached: dict[str, dict[CacheKey, Product]] = {}
    for product in products:
        key = cache_key(backend, product)
        if (cached := _cache(key)) and (cached[0] or not force):
            resolved |= {key: cached[0]} if cached[0] else {}
        else:
            uncached.setdefault(product.source, {})[key] = product
    waiting: list[tuple[AssetWorker, list[AssetRequest]]] = []
    for spec, products_by_key in uncached.items():
        try:
            worker = _worker(backend.source, spec)
        except PermanentError as error:
            log.info("%s cannot be asked of its products: %s", spec, error)
        else:
            waiting.append((worker, worker.submit(products_by_key.items(), started + timeout_s, force)))
    for worker, requests in waiting:
        for request in requests:
            request.done.wait(max(0.0, started + timeout_s - monotonic()))
            if request.result:
                resolved[request.key] = request.result
        if not force and not all(question.done.is_set() for question in requests):
            worker.open_circuit_if_silent(started)
    return resolved


def cache_key(backend: Backend, product: Product) -> CacheKey:
    """What a product is known by, in one home."""
    return backend.source, product.source, product.id, product.version


@lru_cache(MAX_SOURCES)
def _worker(open_source: Callable[[str], Source], spec: str) -> AssetWorker:
    """Kept open: each new client of a server costs more than what it is asked."""
    return AssetWorker(spec, open_source(spec), _cache)
