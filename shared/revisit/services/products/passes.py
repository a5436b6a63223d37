"""Predicted passes: over one AOI or tiles, and the next pass over each of many subscriptions."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from cachetools import LRUCache

from revisit.domain.aoi import AOI
from revisit.domain.aoi_match import match_aois
from revisit.domain.passes import (
    HISTORY_WINDOW,
    MAX_CATALOG_AGE,
    MAX_UNSEEN,
    REPEAT_CYCLE,
    Pass,
    predict_passes,
)
from revisit.domain.product import Product
from revisit.domain.subscription import Subscription
from revisit.errors import InvalidInputError, PermanentError, TransientError
from revisit.geo.mgrs_tile import Tile
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.ports.pagination import search_all
from revisit.services.products.search import products_over

MAX_DAYS = 90
"""Longest prediction."""
MAX_TILES = 50
"""Tiles of one prediction."""
PAGE_SIZE = 5_000
"""Products read from the catalog at once: more than one tile has in the period that is learnt from."""
MAX_SUBSCRIPTIONS = 500
"""Subscriptions of one list whose next pass is predicted."""
MAX_LIST_TILES = 200
"""Tiles of a list of subscriptions that the catalog is queried for."""
MAX_LISTS = 100
"""Lists whose products are cached."""
CACHE_TTL = timedelta(minutes=30)
"""How long the products of a list are cached: a BigQuery query takes a second and is billed."""
FAILURE_CACHE_TTL = timedelta(minutes=1)
"""How long a catalog that failed or is late is not queried again."""
CATALOG_TIMEOUT_S = 3.0
"""Longest wait for the catalog; a list is shown without next passes then, and the next one has them."""
MAX_THREADS = 4
"""Catalog queries at a time."""


class RecentProducts:
    """Recent products of tiles, cached for lists that are requested again and again; threads may share it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._executor = ThreadPoolExecutor(MAX_THREADS, "passes")
        self._lock = Lock()
        self._queries: LRUCache[tuple[str, ...], tuple[datetime, Future[list[Product]]]] = LRUCache(MAX_LISTS)

    def get(self, tiles: tuple[str, ...]) -> list[Product]:
        """Products of these tiles whose platforms are still observed.

        Raises:
            TimeoutError: The catalog takes too long.
            TransientError: It does not answer.
        """
        now = self._backend.now()
        with self._lock:
            started, query = self._queries.get(tiles, (now, None))
            if query is None or now - started >= _ttl(query):
                query = self._executor.submit(self._query, tiles)
                self._queries[tiles] = now, query
        return query.result(CATALOG_TIMEOUT_S)

    def _query(self, tiles: tuple[str, ...]) -> list[Product]:
        now = self._backend.now()
        period = Query(tiles, start=now - MAX_UNSEEN - REPEAT_CYCLE, end=now, limit=PAGE_SIZE)
        return list(search_all(self._backend.catalog(), period))


def _ttl(query: "Future[list[Product]]") -> timedelta:
    """How long the answer of a query is used; one that found nothing is not cached."""
    if not query.done() or query.exception() is not None:
        return FAILURE_CACHE_TTL
    return CACHE_TTL if query.result() else timedelta(0)


def next_passes(
    recent: RecentProducts, subscriptions: Sequence[Subscription], now: datetime
) -> dict[str, datetime]:
    """When each subscription's AOI is next observed, by subscription id.

    A subscription is left out where no pass is known, or where the list exceeds the limits; all are where the
    catalog does not answer in time.
    """
    tiles_of_list: set[str] = set()
    listed = [
        subscription
        for subscription in subscriptions[:MAX_SUBSCRIPTIONS]
        if _add_tiles(subscription, tiles_of_list)
    ]
    tiles = tuple(sorted(tiles_of_list))
    if not tiles:
        return {}
    products: defaultdict[str, list[Product]] = defaultdict(list)
    try:
        for product in recent.get(tiles):
            products[product.tile].append(product)
    except (PermanentError, TransientError, TimeoutError):
        return {}
    expected: dict[str, datetime] = {}
    for subscription in listed:
        latest = _latest_touching(
            AOI.from_normalized(subscription.aoi),
            (product for tile in subscription.tiles for product in products[tile]),
        )
        if passes := predict_passes(latest, now, now + REPEAT_CYCLE):
            expected[subscription.id] = passes[0].expected
    return expected


def _add_tiles(subscription: Subscription, tiles: set[str]) -> bool:
    """Add a subscription's tiles if all fit: by some of them alone its next pass could be missed."""
    if len(tiles.union(subscription.tiles)) > MAX_LIST_TILES:
        return False
    tiles.update(subscription.tiles)
    return True


def _latest_touching(aoi: AOI, products: Iterable[Product]) -> Iterator[Product]:
    """The latest product of each platform, orbit and tile that touches the AOI, to predict from."""
    found: set[Any] = set()
    for product in sorted(products, key=lambda product: product.sensing_time, reverse=True):
        key = product.platform, product.relative_orbit, product.tile
        if key not in found and match_aois(product, {"": aoi}):
            found.add(key)
            yield product


def upcoming_passes(
    backend: Backend, aoi: AOI | None = None, tiles: tuple[str, ...] = (), days: int = 30
) -> list[Pass]:
    """Predicted passes over an AOI or over tiles, by time.

    Raises:
        InvalidInputError: Neither is given, a tile does not exist, or the request exceeds a limit.
    """
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInputError(f"passes are predicted for 1 to {MAX_DAYS} days, not {days}")
    tiles = tuple(dict.fromkeys(Tile.parse(tile).id for tile in tiles))
    if aoi is None and not tiles:
        raise InvalidInputError("passes need an area: give an AOI or a tile such as 32TQM")
    if (count := len(tiles or (aoi.tiles if aoi else ()))) > MAX_TILES:
        raise InvalidInputError(
            f"passes are predicted for at most {MAX_TILES} tiles, not {count}; divide the area"
        )
    now = backend.now()
    query = Query(tiles, start=now - MAX_CATALOG_AGE - HISTORY_WINDOW, end=now, limit=PAGE_SIZE)
    seen = search_all(backend.catalog(), query) if aoi is None else products_over(backend, aoi, query)
    return predict_passes(seen, now, now + timedelta(days=days))
