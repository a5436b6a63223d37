"""The next pass over each of many subscriptions, for one question to the catalog (`foreseeing` tells all of
one place)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from revisit.domain.aoi import AOI
from revisit.domain.matching import match_aois
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
from revisit.ports.catalog import Catalog, Query
from revisit.ports.pagination import search_all
from revisit.services.products.search import products_over

RECENT_PAGE_SIZE = 5_000
MAX_SUBSCRIPTIONS = 500
"""Subscriptions of one list whose next pass is told."""
MAX_WATCHED_TILES = 200
"""Of them together, that the catalog is asked of."""
CACHE_TTL = timedelta(minutes=30)
"""A list that is asked for again and again asks the catalog no oftener: a question to BigQuery takes a
second, and is paid."""
FAILURE_CACHE_TTL = timedelta(minutes=1)
"""A catalog that did not answer is asked again after so long."""
CATALOG_TIMEOUT_S = 3.0
"""What is watched is told after so long without what the catalog has not said; it is told with the next
list."""

type _CacheEntries = dict[tuple[str, ...], tuple[datetime, Future[list[Product]]]]

_cache: WeakKeyDictionary[Catalog, _CacheEntries] = WeakKeyDictionary()
_executor = ThreadPoolExecutor(4, "passes")


def next_passes(backend: Backend, subscriptions: Sequence[Subscription]) -> dict[str, datetime]:
    """When each subscription's AOI is next seen, by its id; those are left out of whose passes nothing is
    known, or that are too many.

    None is told where the catalog does not answer in time: subscriptions are listed all the same.
    """
    now = backend.now()
    asked: set[str] = set()
    told = [watcher for watcher in subscriptions[:MAX_SUBSCRIPTIONS] if _add_tiles(watcher, asked)]
    tiles = tuple(sorted(asked))
    if not tiles:
        return {}
    known: defaultdict[str, list[Product]] = defaultdict(list)
    try:
        for product in _recent_products(backend, tiles, now):
            known[product.tile].append(product)
    except (PermanentError, TransientError, TimeoutError):
        return {}
    found: dict[str, datetime] = {}
    for watcher in told:
        seen = _latest_touching(
            AOI.from_normalized(watcher.aoi), (product for tile in watcher.tiles for product in known[tile])
        )
        if coming := predict_passes(seen, now, now + REPEAT_CYCLE):
            found[watcher.id] = coming[0].expected
    return found


def _add_tiles(subscription: Subscription, tiles: set[str]) -> bool:
    """Whether all its tiles are asked of too: by some of them the next pass could be missed. They are added
    to what is asked."""
    if len(tiles.union(subscription.tiles)) > MAX_WATCHED_TILES:
        return False
    tiles.update(subscription.tiles)
    return True


def _latest_touching(aoi: AOI, products: Iterable[Product]) -> Iterator[Product]:
    """The latest product of each platform, orbit and tile that touches the AOI: what the next pass is
    reckoned from."""
    found: set[Any] = set()
    for product in sorted(products, key=lambda product: product.sensing_time, reverse=True):
        key = product.platform, product.relative_orbit, product.tile
        if key not in found and match_aois(product, {"": aoi}):
            found.add(key)
            yield product


def _recent_products(backend: Backend, tiles: tuple[str, ...], now: datetime) -> list[Product]:
    """Products of these tiles sensed so lately that their platforms still come.

    Raises:
        TimeoutError: The catalog takes long.
        TransientError: It does not answer.
    """
    catalog = backend.catalog()
    answers = _cache.setdefault(catalog, {})
    asked, answer = answers.get(tiles, (now, None))
    if answer is None or now - asked >= _cache_ttl(answer):
        if len(answers) >= 100:
            answers.clear()
        answer = _executor.submit(_query_catalog, catalog, tiles, now)
        answers[tiles] = now, answer
    return answer.result(CATALOG_TIMEOUT_S)


def _cache_ttl(answer: Future[list[Product]]) -> timedelta:
    if not answer.done() or answer.exception() is not None:
        return FAILURE_CACHE_TTL
    return CACHE_TTL if answer.result() else timedelta(0)


def _query_catalog(catalog: Catalog, tiles: tuple[str, ...], now: datetime) -> list[Product]:
    return list(
        search_all(
            catalog, Query(tiles, start=now - MAX_UNSEEN - REPEAT_CYCLE, end=now, limit=RECENT_PAGE_SIZE)
        )
    )


MAX_DAYS = 90
MAX_WATCHED_TILES = 50
RECENT_PAGE_SIZE = 5_000
"""Products asked of the catalog at once: more than a tile has in the past that is learnt from."""


def upcoming_passes(
    backend: Backend, aoi: AOI | None = None, tiles: tuple[str, ...] = (), days: int = 30
) -> list[Pass]:
    """Passes over an AOI, or over tiles, in the days to come, by time.

    Raises:
        InvalidInputError: Neither is given, a tile does not exist, or more is asked than is told at once.
    """
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInputError(f"passes are foreseen for 1 to {MAX_DAYS} days, not {days}")
    tiles = tuple(dict.fromkeys(Tile.parse(tile).id for tile in tiles))
    if aoi is None and not tiles:
        raise InvalidInputError("passes need a place: give an AOI or a tile such as 32TQM")
    if (count := len(tiles or (aoi.tiles if aoi else ()))) > MAX_WATCHED_TILES:
        raise InvalidInputError(
            f"passes are foreseen for {MAX_WATCHED_TILES} tiles at once, and these are {count}; divide the place"
        )
    now = backend.now()
    query = Query(tiles, start=now - MAX_CATALOG_AGE - HISTORY_WINDOW, end=now, limit=RECENT_PAGE_SIZE)
    seen = search_all(backend.catalog(), query) if aoi is None else products_over(backend, aoi, query)
    return predict_passes(seen, now, now + timedelta(days=days))
