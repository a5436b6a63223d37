"""Resolution of product assets: parallel requests to sources, cached answers, bounded waiting."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import batched
from time import monotonic
from typing import Any

from cachetools import LRUCache, TLRUCache

from revisit.api.stac.circuit_breaker import OPEN_S, CircuitBreaker
from revisit.api.stac.product_files import ProductFiles, fetch_product_files
from revisit.domain.product import Product
from revisit.errors import PermanentError, TransientError
from revisit.ports.sources import Source, SupportsBatchFiles

TTL_S, EMPTY_TTL_S = 3600.0, 60.0
"""How long the files of a product are cached, and that its source has none."""
MAX_FILES = 100_000
"""Files in the cache at 0.6 kB each, 60 MB: those of 1,000 SAFE products, or of more STAC items."""
MAX_SOURCES = 32
"""Sources kept open: each new client of a server costs more than a request."""
MAX_THREADS = 8
"""Requests to one source at a time."""
MAX_WAITING = 200
"""Products of one source that are requested or queued, two pages of them; further ones are not requested."""

log = logging.getLogger("revisit")

type CacheKey = tuple[str, str, str]
"""SPEC of the source, id and version of the product."""


def cache_key(product: Product) -> CacheKey:
    """Identifies the files of a product."""
    return product.source, product.id, product.version


@dataclass(slots=True, eq=False)
class _Request:
    """A product whose files are requested."""

    key: CacheKey
    product: Product
    deadline: float
    """When the last caller stops waiting for it, by the monotonic clock."""
    answer: "Future[ProductFiles | None]" = field(default_factory=Future)


class AssetResolver:
    """Resolves the files of products at their sources; threads may share it."""

    def __init__(self, open_source: Callable[[str], Source], max_files: int = MAX_FILES) -> None:
        """
        Args:
            open_source: Returns the source of a SPEC.
            max_files: Files that the cache holds.
        """
        self._open_source = open_source
        self._lock = threading.Lock()
        self._fetchers: LRUCache[str, SourceFetcher] = LRUCache(MAX_SOURCES)
        self._cache: TLRUCache[CacheKey, ProductFiles | None] = TLRUCache(
            max_files, _expiry, monotonic, lambda found: 1 + len(found.files if found else ())
        )

    def get(self, product: Product) -> ProductFiles:
        """The files of a product, however long its source takes.

        Raises:
            TransientError, PermanentError: As the source raises them.
        """
        found: ProductFiles | None = self._cached(cache_key(product)) or None
        if found is None:
            found = fetch_product_files(self._fetcher(product.source).source, product)
            self._store(cache_key(product), found)
        return found

    def resolve(
        self, products: Iterable[Product], timeout_s: float, force: bool = False
    ) -> dict[CacheKey, ProductFiles]:
        """The files of products whose sources answer in time; later answers go to the cache.

        Args:
            force: Ask a source although its circuit is open, and about a product that it had no files of.
        """
        started = monotonic()
        resolved: dict[CacheKey, ProductFiles] = {}
        missing: dict[str, list[Product]] = {}
        for product in products:
            found = self._cached(cache_key(product))
            if found:
                resolved[cache_key(product)] = found
            elif found is _MISSING or force:
                missing.setdefault(product.source, []).append(product)
        waiting: list[tuple[SourceFetcher, list[_Request]]] = []
        for spec, wanted in missing.items():
            try:
                fetcher = self._fetcher(spec)
            except PermanentError as error:
                log.info("source %s cannot be opened: %s", spec, error)
            else:
                waiting.append((fetcher, fetcher.submit(wanted, started + timeout_s, force)))
        for fetcher, requests in waiting:
            answers = [request.answer for request in requests]
            _, late = wait(answers, max(0.0, started + timeout_s - monotonic()))
            for request in requests:
                if request.answer.done() and (found := request.answer.result()):
                    resolved[request.key] = found
            if late and not force:
                fetcher.record_timeout(started)
        return resolved

    def pending_count(self, spec: str) -> int:
        """Products of a source that are requested or queued."""
        return self._fetcher(spec).pending_count

    def _fetcher(self, spec: str) -> "SourceFetcher":
        with self._lock:
            fetcher = self._fetchers.get(spec)
            if fetcher is None:
                fetcher = self._fetchers[spec] = SourceFetcher(self._open_source(spec), self._store)
            return fetcher

    def _cached(self, key: CacheKey) -> Any:
        """The files in the cache, None where the source has none, `_MISSING` where it was not asked."""
        with self._lock:
            return self._cache.get(key, _MISSING)

    def _store(self, key: CacheKey, files: ProductFiles | None) -> None:
        with self._lock:
            self._cache[key] = files


class _Missing:
    """Not in the cache."""

    def __bool__(self) -> bool:
        return False


_MISSING = _Missing()


def _expiry(key: CacheKey, files: ProductFiles | None, now: float) -> float:
    del key
    return now + (TTL_S if files else EMPTY_TTL_S)


class SourceFetcher:
    """Requests to one source: a thread pool, a bounded queue and a circuit breaker.

    The threads are its own, so a source that hangs delays no other.
    """

    def __init__(self, source: Source, store: Callable[[CacheKey, ProductFiles | None], None]) -> None:
        """
        Args:
            store: Puts an answer into the cache.
        """
        self.source, self._store = source, store
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(MAX_THREADS, "source")
        self._pending: dict[CacheKey, _Request] = {}
        self._circuit = CircuitBreaker()

    @property
    def pending_count(self) -> int:
        return len(self._pending)

    def submit(self, products: Iterable[Product], deadline: float, force: bool) -> list[_Request]:
        """Request the files of products; none of those that exceed `MAX_WAITING` or meet an open circuit."""
        requests, new = [], []
        with self._lock:
            if self._circuit.is_open and not force:
                return []
            for product in products:
                key = cache_key(product)
                request = self._pending.get(key)
                if request is None:
                    if len(self._pending) >= MAX_WAITING and not self._drop_expired():
                        break
                    request = self._pending[key] = _Request(key, product, deadline)
                    new.append(request)
                request.deadline = max(request.deadline, deadline)
                requests.append(request)
            size = self.source.batch_size if isinstance(self.source, SupportsBatchFiles) else 1
            for group in batched(new, size):
                self._executor.submit(self._fetch, group).add_done_callback(self._log_failure)
        return requests

    def record_timeout(self, waiting_since: float) -> None:
        """Open the circuit where no answer came since then."""
        with self._lock:
            if self._circuit.record_timeout(waiting_since):
                log.warning(
                    "source %s does not answer; its products are listed without bands for %g s",
                    self.source.spec,
                    OPEN_S,
                )

    def _drop_expired(self) -> bool:
        """Drop queued requests that no caller waits for any more; returns whether there is room again."""
        for request in list(self._pending.values()):
            # A running future has been started, and cannot be dropped.
            if request.deadline <= monotonic() and not request.answer.running():
                self._finish(request, None)
        return len(self._pending) < MAX_WAITING

    def _finish(self, request: _Request, files: ProductFiles | None) -> None:
        if self._pending.get(request.key) is request:
            del self._pending[request.key]
        if not request.answer.done():
            request.answer.set_result(files)

    def _fetch(self, group: Sequence[_Request]) -> None:
        """Request the files of a group, and answer each of its requests whatever happens."""
        with self._lock:
            live = []
            for request in group:
                if request.answer.done() or request.deadline <= monotonic():
                    self._finish(request, None)
                else:
                    request.answer.set_running_or_notify_cancel()
                    live.append(request)
        try:
            self._fetch_live(live)
        except TransientError as error:
            log.info("source %s does not answer: %s", self.source.spec, error)
        finally:
            with self._lock:
                for request in live:
                    self._finish(request, None)

    def _log_failure(self, done: "Future[None]") -> None:
        if error := done.exception():
            log.error("source %s failed unexpectedly", self.source.spec, exc_info=error)

    def _fetch_live(self, requests: Sequence[_Request]) -> None:
        fetched = self._fetch_together([request.product for request in requests])
        for request in requests:
            files = fetched.get(request.product.id)
            if files is None:
                if request.deadline <= monotonic():
                    continue
                try:
                    files = fetch_product_files(self.source, request.product)
                except PermanentError as error:
                    log.info("the source of %s has no files of it: %s", request.product.id, error)
            self._store(request.key, files)
            with self._lock:
                self._circuit.record_answer()
                self._finish(request, files)

    def _fetch_together(self, products: Sequence[Product]) -> dict[str, ProductFiles]:
        """The files of several products by one request, where the source supports that."""
        if not isinstance(self.source, SupportsBatchFiles) or len(products) < 2:
            return {}
        try:
            found = self.source.files_and_bands(products)
        except PermanentError as error:
            log.info("source %s cannot list several products at once: %s", self.source.spec, error)
            return {}
        return {id: ProductFiles.from_source(files, bands) for id, (files, bands) in found.items()}
