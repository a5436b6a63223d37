"""Search of products by area, date and cloud, exact filter by footprint, and the passes over an AOI."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from revisit.domain.aoi import AOI
from revisit.domain.aoi_match import match_aois
from revisit.domain.product import LEVELS, Level, LevelChoice, Product
from revisit.domain.selection import PassSelection, keeps_tiles_apart, select_passes
from revisit.errors import InvalidInputError
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.ports.pagination import search_all
from revisit.services.accounts.limits import check_period, limits_of

MAX_PRODUCTS = 10_000
"""Maximum number of products of one search."""
MAX_SENSING_SPREAD = timedelta(hours=1)
"""Upper bound of the differences between the sensing times that sources state for one product."""


@dataclass(frozen=True, slots=True)
class FoundProduct:
    """A product, once for all the sources that have it."""

    product: Product
    sources: tuple[str, ...]
    """SPECs of its sources; that of `product` is the first."""


@dataclass(frozen=True, slots=True)
class KnownPasses:
    """The passes over an AOI in a period, before their products are judged."""

    passes: tuple[PassSelection, ...]
    """By sensing time."""
    known: tuple[Product, ...]
    """All products that they were chosen of."""
    level: Level | None
    """The only level that was chosen; None where levels are mixed, or nothing is known."""
    left_out: tuple[PassSelection, ...] = ()
    """The passes that are left out, because only the other level is known of them, with its products."""

    def count_products(self, passes: Iterable[PassSelection]) -> int:
        """Number of known products of some of the passes: levels, versions, parts and tiles."""
        observed = {one.observed for one in passes}
        return sum(product.pass_id in observed or product.acquisition in observed for product in self.known)


def search_products(
    backend: Backend,
    aoi: AOI | None = None,
    tile: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    max_cloud: float | None = None,
    level: Level | None = None,
    source: str = "",
    limit: int = 100,
) -> list[FoundProduct]:
    """Products by sensing time, the oldest first, each once with its sources.

    Args:
        aoi: Their footprint touches it; exact, with holes and across the antimeridian.
        tile: MGRS id, with or without the T; together with `aoi` both must hold.
        max_cloud: Percent at most; products that do not state their cloud cover are found too.
        source: SPEC; empty means all.
        limit: At most this many.

    Raises:
        InvalidInputError: A tile, level, percentage or period is invalid, or there is neither AOI nor tile.
    """
    from revisit.geo.mgrs_tile import Tile

    if aoi is None and not tile:
        raise InvalidInputError("a search needs a place: give an AOI or a tile such as 32TQM")
    if level is not None and level not in LEVELS:
        raise InvalidInputError(f"level {level!r} does not exist; choose {' or '.join(LEVELS)}")
    if max_cloud is not None and not 0 <= max_cloud <= 100:
        raise InvalidInputError(f"max_cloud is a percentage from 0 to 100, not {max_cloud:g}")
    if not 1 <= limit <= MAX_PRODUCTS:
        raise InvalidInputError(f"a search gives 1 to {MAX_PRODUCTS:,} products, not {limit:,}")
    check_period(start, end, backend.now(), limits_of("local"))
    tiles = (Tile.parse(tile).id,) if tile else ()
    query = Query(tiles, start=start, end=end, level=level, source=source)
    products = search_all(backend.catalog(), query) if aoi is None else _scan_over(backend, aoi, query)
    found = (
        one
        for one in _group_sources(products)
        if max_cloud is None or one.product.cloud_cover is None or one.product.cloud_cover <= max_cloud
    )
    return list(islice(found, limit))


def _group_sources(products: Iterable[Product]) -> Iterator[FoundProduct]:
    """Products by sensing time, each once with its sources; few are held in memory."""
    waiting: dict[str, list[Product]] = {}
    for product in products:
        for id, copies in list(waiting.items()):
            if product.sensing_time - copies[0].sensing_time <= MAX_SENSING_SPREAD:
                break
            yield _found(waiting.pop(id))
        waiting.setdefault(product.id, []).append(product)
    yield from map(_found, waiting.values())


def _found(copies: list[Product]) -> FoundProduct:
    first, *others = sorted(copies, key=lambda one: (one.footprint is None, one.source))
    return FoundProduct(first, (first.source, *(one.source for one in others)))


def find_passes(
    backend: Backend,
    aoi: AOI,
    query: Query,
    level: LevelChoice | None,
    resolution_m: float | None = None,
    per_tile: bool = False,
    most: int | None = None,
) -> KnownPasses:
    """The passes over an AOI: the best products of each, chosen before any is judged by its cloud cover.

    Args:
        backend: Has the catalog.
        aoi: Area of interest.
        query: Source, period of the chosen products, and tiles; other conditions are left to the caller.
        level: Level to choose; "any" takes L1C where a pass has no L2A; None takes one level for all passes,
            L2A where any of them has it.
        resolution_m: Pixel size of the result in metres, by which tiles of a large AOI are kept apart.
        per_tile: Whether the tiles of a pass are kept apart whatever the size.
        most: Maximum number of products that are read; None reads all.
    """
    only = next((known for known in LEVELS if known == level), None)
    wide = replace(
        query,
        start=query.start and query.start - MAX_SENSING_SPREAD,
        end=query.end and query.end + MAX_SENSING_SPREAD,
        level=only,
    )

    def is_in_period(product: Product) -> bool:
        moment = product.sensing_time
        return (query.start is None or moment >= query.start) and (query.end is None or moment <= query.end)

    known = products_over(backend, aoi, wide, most)
    if level is None:
        levels = {product.level for product in known if is_in_period(product)}
        only = max(levels, default=None)
    apart = per_tile or keeps_tiles_apart(aoi.shape, query.tiles or aoi.tiles, resolution_m)
    passes = [one for one in select_passes(known, aoi.shape, only, apart) if is_in_period(one.product)]
    left_out: list[PassSelection] = []
    if level is None:
        taken = {_observed(product, apart) for product in known if product.level == only}
        others = [product for product in known if _observed(product, apart) not in taken]
        left_out = [one for one in select_passes(others, aoi.shape, None, apart) if is_in_period(one.product)]
    return KnownPasses(tuple(passes), tuple(known), only, tuple(left_out))


def _observed(product: Product, apart: bool) -> str:
    return product.acquisition if apart else product.pass_id


def products_over(backend: Backend, aoi: AOI, query: Query, limit: int | None = None) -> list[Product]:
    """Products of a query whose footprint touches an AOI, by sensing time.

    Args:
        query: Its place is the AOI's unless it names tiles itself.
        limit: At most this many; None takes all.
    """
    return list(islice(_scan_over(backend, aoi, query), limit))


def _scan_over(backend: Backend, aoi: AOI, query: Query) -> Iterator[Product]:
    query = replace(query, tiles=query.tiles or tuple(aoi.tiles), bounds=aoi.bounds)
    return (product for product in search_all(backend.catalog(), query) if match_aois(product, {"aoi": aoi}))
