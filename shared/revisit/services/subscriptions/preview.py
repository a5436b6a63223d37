"""What a wish would mean, told before anything is saved: of an AOI its extent and passes, of a subscription what its past would have brought."""

from datetime import datetime, timedelta

from revisit.domain.aoi import AOI, bounds_of
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.domain.preview import Extent, Past
from revisit.domain.product import Product, best
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription
from revisit.errors import BadInput
from revisit.geo.mgrs_tile import SIDE_M, Tile
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.services.accounts.limits import check_area, check_period, limits_of
from revisit.services.products.passes import MOST_TILES, passes_of
from revisit.services.products.search import products_over

YEAR = timedelta(days=365)
"""Of the past that is looked at where nobody says from when."""
MOST = 10_000
"""Products of the past looked at: those of 60 tiles for a year."""
PAGE = 5_000
"""Products asked of the catalog at once: in BigQuery, where every question takes a second, a year is one."""
MOST_ASKERS = 200
"""Subscriptions, and orders, among which those with the same AOI are looked for."""
MOST_JOBS = 500
"""Of each of them."""




def extent_of(backend: Backend, aoi: AOI, tiles: tuple[str, ...] = ()) -> Extent:
    """Of an AOI.

    Args:
        tiles: Those meant, where not all that the AOI touches are.
    """
    coming = passes_of(backend, aoi, tiles) if len(tiles or aoi.tiles) <= MOST_TILES else []
    tiles = tiles or aoi.tiles
    return Extent(aoi, tiles, float(len(coming)) if coming else None, coming[0].expected if coming else None, _bytes_of_pass(backend, aoi, tiles))


def _bytes_of_pass(backend: Backend, aoi: AOI, tiles: tuple[str, ...]) -> int:
    """What the estimate of an order tells of one pass over all of the AOI's tiles: whole blocks, compressed as the source packs them.
    Of very many tiles some are looked at."""
    from revisit.pixels.read_estimate import estimate

    source, now = next(iter(backend.sources), ""), backend.now()
    looked_at = tiles[::max(1, -(-len(tiles) // MOST_TILES))]
    whole = [Product(id=tile, source=source, level="L2A", platform="S2A", tile=tile, sensing_time=now, datatake="", west=bounds[0], south=bounds[1],
                     east=bounds[2], north=bounds[3]) for tile in looked_at for bounds in [bounds_of(Tile.parse(tile).footprint)]]
    read = estimate(whole, len(whole), aoi.geometry, Recipe(indices=("NDVI",)), deployed=False).bytes_read
    return read if looked_at == tiles else round(read * len(tiles) / len(looked_at))


def extent_of_tile(backend: Backend, tile: str) -> Extent:
    """Of a tile, by its id; one may be looked at although a plan allows no AOI so large.

    Raises:
        BadInput: No tile is called so.
    """
    from shapely.geometry import mapping

    meant = Tile.parse(tile)
    return extent_of(backend, AOI.parse(dict(mapping(meant.footprint)), 2 * SIDE_M**2 / 1e6), (meant.id,))




def past_of(backend: Backend, aoi: AOI, watcher: Subscription, start: datetime | None = None) -> Past:
    """Judge what the catalog knows over an AOI by the conditions of a subscription that need not have been saved.

    Args:
        start: Sensed at or after; a year ago where nobody says.

    Raises:
        BadInput: The AOI or the period is larger than the plan allows, or holds more products than are looked at.
    """
    now, limits = backend.now(), limits_of(watcher.owner)
    start = start or now - YEAR
    check_area(aoi, limits)
    check_period(start, None, now, limits)
    known = products_over(backend, aoi, Query(start=start, end=now, level=watcher.level, limit=PAGE), MOST + 1)
    if len(known) > MOST:
        raise BadInput(f"since {start:%Y-%m-%d} there are more than the {MOST:,} products over the AOI that are looked at; begin later")
    fired: list[Product] = []
    cloudy: list[Product] = []
    for product in best(known, watcher.level):
        (cloudy if watcher.wants(product) else fired).append(product)
    clear, looked_at = _clear(backend, aoi, watcher) if watcher.min_clear is not None else (0, 0)
    return Past(start, now, tuple(fired), tuple(cloudy), clear, looked_at, watcher.min_clear)


def _clear(backend: Backend, aoi: AOI, watcher: Subscription) -> tuple[int, int]:
    """Of the acquisitions whose pixels over the very same AOI were looked at for this owner, how many were clear enough, and of how many."""
    records, owner = backend.records, watcher.owner
    jobs = [job for one in records.find(Subscription, owner=owner, limit=MOST_ASKERS) if one.aoi == aoi.geometry
            for job in records.find(Job, subscription=one.id, limit=MOST_JOBS)]
    jobs += [job for one in records.find(Order, owner=owner, limit=MOST_ASKERS) if one.aoi == aoi.geometry
             for job in records.find(Job, orders=one.id, limit=MOST_JOBS)]
    seen = {job.acquisition: 100 * job.cover.clear_fraction for job in jobs
            if job.aoi == aoi.geometry and job.cover and job.cover.valid and job.cover.mask != "none"}
    return sum(percent >= (watcher.min_clear or 0) for percent in seen.values()), len(seen)
