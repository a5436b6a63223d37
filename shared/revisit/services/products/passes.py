"""The next pass over each of many subscriptions, for one question to the catalog (`foreseeing` tells all of one place)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from revisit.domain.aoi import AOI
from revisit.domain.matching import touching
from revisit.domain.passes import AGES_OUT, CYCLE, LEARNT_FROM, STALE, Pass, expected
from revisit.domain.product import Product
from revisit.domain.subscription import Subscription
from revisit.errors import BadInput, GiveUp, Retry
from revisit.geo.mgrs_tile import Tile
from revisit.ports.backend import Backend
from revisit.ports.catalog import Catalog, Query
from revisit.ports.pagination import every_product
from revisit.services.products.search import products_over

PAGE = 5_000
MOST_WATCHED = 500
"""Subscriptions of one list whose next pass is told."""
MOST_TILES = 200
"""Of them together, that the catalog is asked of."""
REMEMBERED = timedelta(minutes=30)
"""A list that is asked for again and again asks the catalog no oftener: a question to BigQuery takes a second, and is paid."""
IN_VAIN = timedelta(minutes=1)
"""A catalog that did not answer is asked again after so long."""
WAITED_S = 3.0
"""What is watched is told after so long without what the catalog has not said; it is told with the next list."""

type _Answers = dict[tuple[str, ...], tuple[datetime, Future[list[Product]]]]

_remembered: WeakKeyDictionary[Catalog, _Answers] = WeakKeyDictionary()
_asking = ThreadPoolExecutor(4, "passes")


def next_passes(backend: Backend, watchers: Sequence[Subscription]) -> dict[str, datetime]:
    """When each subscription's AOI is next seen, by its id; those are left out of whose passes nothing is known, or that are too many.

    None is told where the catalog does not answer in time: subscriptions are listed all the same.
    """
    now = backend.now()
    asked: set[str] = set()
    told = [watcher for watcher in watchers[:MOST_WATCHED] if _fits(watcher, asked)]
    tiles = tuple(sorted(asked))
    if not tiles:
        return {}
    known: defaultdict[str, list[Product]] = defaultdict(list)
    try:
        for product in _recent(backend, tiles, now):
            known[product.tile].append(product)
    except (GiveUp, Retry, TimeoutError):
        return {}
    found: dict[str, datetime] = {}
    for watcher in told:
        seen = _touching(AOI.of(watcher.aoi), (product for tile in watcher.tiles for product in known[tile]))
        if coming := expected(seen, now, now + CYCLE):
            found[watcher.id] = coming[0].expected
    return found


def _fits(watcher: Subscription, asked: set[str]) -> bool:
    """Whether all its tiles are asked of too: by some of them the next pass could be missed. They are added to what is asked."""
    if len(asked.union(watcher.tiles)) > MOST_TILES:
        return False
    asked.update(watcher.tiles)
    return True


def _touching(aoi: AOI, products: Iterable[Product]) -> Iterator[Product]:
    """The latest product of each platform, orbit and tile that touches the AOI: what the next pass is reckoned from."""
    found: set[Any] = set()
    for product in sorted(products, key=lambda product: product.sensing_time, reverse=True):
        key = product.platform, product.relative_orbit, product.tile
        if key not in found and touching(product, {"": aoi}):
            found.add(key)
            yield product


def _recent(backend: Backend, tiles: tuple[str, ...], now: datetime) -> list[Product]:
    """Products of these tiles sensed so lately that their platforms still come.

    Raises:
        TimeoutError: The catalog takes long.
        Retry: It does not answer.
    """
    catalog = backend.catalog()
    answers = _remembered.setdefault(catalog, {})
    asked, answer = answers.get(tiles, (now, None))
    if answer is None or now - asked >= _good_for(answer):
        if len(answers) >= 100:
            answers.clear()
        answer = _asking.submit(_ask, catalog, tiles, now)
        answers[tiles] = now, answer
    return answer.result(WAITED_S)


def _good_for(answer: Future[list[Product]]) -> timedelta:
    if not answer.done() or answer.exception() is not None:
        return IN_VAIN
    return REMEMBERED if answer.result() else timedelta(0)


def _ask(catalog: Catalog, tiles: tuple[str, ...], now: datetime) -> list[Product]:
    return list(every_product(catalog, Query(tiles, start=now - AGES_OUT - CYCLE, end=now, limit=PAGE)))


MOST_DAYS = 90
MOST_TILES = 50
PAGE = 5_000
"""Products asked of the catalog at once: more than a tile has in the past that is learnt from."""


def passes_of(backend: Backend, aoi: AOI | None = None, tiles: tuple[str, ...] = (), days: int = 30) -> list[Pass]:
    """Passes over an AOI, or over tiles, in the days to come, by time.

    Raises:
        BadInput: Neither is given, a tile does not exist, or more is asked than is told at once.
    """
    if not 1 <= days <= MOST_DAYS:
        raise BadInput(f"passes are foreseen for 1 to {MOST_DAYS} days, not {days}")
    tiles = tuple(dict.fromkeys(Tile.parse(tile).id for tile in tiles))
    if aoi is None and not tiles:
        raise BadInput("passes need a place: give an AOI or a tile such as 32TQM")
    if (count := len(tiles or (aoi.tiles if aoi else ()))) > MOST_TILES:
        raise BadInput(f"passes are foreseen for {MOST_TILES} tiles at once, and these are {count}; divide the place")
    now = backend.now()
    query = Query(tiles, start=now - STALE - LEARNT_FROM, end=now, limit=PAGE)
    seen = every_product(backend.catalog(), query) if aoi is None else products_over(backend, aoi, query)
    return expected(seen, now, now + timedelta(days=days))
