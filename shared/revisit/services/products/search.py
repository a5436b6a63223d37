"""Search of products by area, date and cloud, and exact filter by footprint."""

from dataclasses import replace
from datetime import datetime
from itertools import islice

from revisit.domain.aoi import AOI
from revisit.domain.matching import match_aois
from revisit.domain.product import LEVELS, Level, Product
from revisit.errors import InvalidInputError
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.ports.pagination import search_all
from revisit.services.accounts.limits import check_period, limits_of

MAX_PRODUCTS = 10_000
"""Maximum number of products of one search."""


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
) -> list[Product]:
    """Products by sensing time, the oldest first.

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
    query = Query(tiles, start=start, end=end, max_cloud=max_cloud, level=level, source=source)
    if aoi is None:
        return list(backend.catalog().search(replace(query, limit=limit)).products)
    return products_over(backend, aoi, query, limit)


def products_over(backend: Backend, aoi: AOI, query: Query, limit: int | None = None) -> list[Product]:
    """Products of a query whose footprint touches an AOI, by sensing time.

    Args:
        query: Its place is the AOI's unless it names tiles itself.
        limit: At most this many; None takes all.
    """
    query = replace(query, tiles=query.tiles or tuple(aoi.tiles), bounds=aoi.bounds)
    return list(
        islice(
            (
                product
                for product in search_all(backend.catalog(), query)
                if match_aois(product, {"aoi": aoi})
            ),
            limit,
        )
    )
