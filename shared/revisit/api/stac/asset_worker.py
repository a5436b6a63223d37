"""One source and those who wait for it: it is asked side by side, and what waits is bounded.

The threads are its own, so that a source that hangs keeps nobody else waiting; they are daemons, so that a
question under way keeps no server
from ending.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import monotonic

from revisit.api.stac.asset_cache import CacheKey, ProductFiles, TtlCache, fetch_product_files
from revisit.domain.product import Product
from revisit.errors import PermanentError, TransientError
from revisit.ports.sources import Source, SupportsBatchFiles

MAX_THREADS = 8
"""Questions to one source at a time."""
MAX_WAITING = 200
"""Products of one source that are asked of or wait for it, two pages of them; of what comes then nothing is
asked."""
CIRCUIT_OPEN_S = 60.0
"""A source that told nothing while somebody waited is not asked for pages so long: each of them would wait in
vain."""

log = logging.getLogger("revisit")


@dataclass(slots=True)
class AssetRequest:
    """One product asked of, for whoever waits for it."""

    key: CacheKey
    product: Product
    deadline: float
    """When the last of them goes."""
    done: threading.Event = field(default_factory=threading.Event)
    result: ProductFiles | None = None


class AssetWorker:
    """One source, and those who wait for it."""

    def __init__(self, spec: str, source: Source, cache: TtlCache) -> None:
        """
        Args:
            known: Where what it tells is kept.
        """
        self.spec, self.source, self._cache = spec, source, cache
        self._lock = threading.Lock()
        self._queue: deque[list[AssetRequest]] = deque()
        self._pending: dict[CacheKey, AssetRequest] = {}
        self._thread_count = 0
        self._last_answer_at = self._circuit_open_until = 0.0

    def submit(
        self, products: Iterable[tuple[CacheKey, Product]], deadline: float, force: bool
    ) -> list[AssetRequest]:
        """The questions for these products; none for those that are too many, or where it is to be left
        alone."""
        requests, new_requests = [], []
        with self._lock:
            if not force and monotonic() < self._circuit_open_until:
                return []
            for key, product in products:
                request = self._pending.get(key)
                if request is None:
                    if len(self._pending) >= MAX_WAITING and not self._make_room():
                        break
                    request = self._pending[key] = AssetRequest(key, product, deadline)
                    new_requests.append(request)
                request.deadline = max(request.deadline, deadline)
                requests.append(request)
            size = self.source.batch_size if isinstance(self.source, SupportsBatchFiles) else 1
            groups = [new_requests[first : first + size] for first in range(0, len(new_requests), size)]
            self._queue.extend(groups)
            for _ in groups[: MAX_THREADS - self._thread_count]:
                self._thread_count += 1
                self._start_thread()
        return requests

    def open_circuit_if_silent(self, since: float) -> None:
        """Leave it alone for a while, where nothing was heard of it since then."""
        with self._lock:
            if self._last_answer_at < since:
                self._circuit_open_until = monotonic() + CIRCUIT_OPEN_S
                log.warning(
                    "%s tells nothing of its products; for %g s they are shown without their bands",
                    self.spec,
                    CIRCUIT_OPEN_S,
                )

    def _make_room(self) -> bool:
        """Whether there is room again once those are gone for whom nobody waits any more."""
        for group in self._queue:
            self._expire(group)
        self._queue = deque(
            waiting for group in self._queue if (waiting := [one for one in group if not one.done.is_set()])
        )
        return len(self._pending) < MAX_WAITING

    def _expire(self, group: Iterable[AssetRequest]) -> None:
        now = monotonic()
        for request in group:
            if request.deadline <= now:
                self._finish(request)

    def _finish(self, request: AssetRequest) -> None:
        if self._pending.get(request.key) is request:
            del self._pending[request.key]
        request.done.set()

    def _start_thread(self) -> None:
        threading.Thread(target=self._run, name="source", daemon=True).start()

    def _run(self) -> None:
        with ExitStack() as on_crash:
            # What nobody foresaw ends this thread and is printed; a page has more than what one source tells,
            # so another goes on.
            on_crash.callback(self._start_thread)
            while group := self._take_group():
                self._process_group([question for question in group if not question.done.is_set()])
            on_crash.pop_all()

    def _take_group(self) -> list[AssetRequest] | None:
        """Those to ask of now; with None a thread is taken off."""
        with self._lock:
            if not self._queue:
                self._thread_count -= 1
                return None
            group = self._queue.popleft()
            self._expire(group)
            return group

    def _process_group(self, group: list[AssetRequest]) -> None:
        """Ask of a group, and end each of its questions whatever comes of it."""
        try:
            fetched = self._fetch_several([question.product for question in group])
            for request in group:
                result = fetched.get(request.product.id)
                if result is None and request.deadline <= monotonic():
                    continue
                try:
                    request.result = result or fetch_product_files(self.source, request.product)
                except PermanentError as error:
                    log.info("the source of %s has nothing to say of it: %s", request.product.id, error)
                self._store_result(request)
        except TransientError as error:
            log.info("%s does not answer: %s", self.spec, error)
        finally:
            with self._lock:
                for request in group:
                    self._finish(request)

    def _fetch_several(self, products: Sequence[Product]) -> dict[str, ProductFiles]:
        """What one question tells of several products, where the source can be asked so."""
        if not isinstance(self.source, SupportsBatchFiles) or len(products) < 2:
            return {}
        try:
            return {
                id: ProductFiles.from_source(files, bands)
                for id, (files, bands) in self.source.files_and_bands(products).items()
            }
        except PermanentError as error:
            log.info("%s does not tell of several products at once: %s", self.spec, error)
            return {}

    def _store_result(self, request: AssetRequest) -> None:
        self._cache.put(request.key, request.result)
        self._last_answer_at, self._circuit_open_until = monotonic(), 0.0
        with self._lock:
            self._finish(request)
