"""Preview of a subscription from the catalog, and summary of an AOI or a tile."""

from datetime import datetime, timedelta

from revisit.domain.aoi import AOI
from revisit.domain.conditions import skip_reason
from revisit.domain.job import Cover, Job
from revisit.domain.order import Order
from revisit.domain.preview import AoiSummary, SubscriptionPreview
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.domain.selection import SAME_SHARE, keeps_tiles_apart, select_passes
from revisit.domain.subscription import Subscription
from revisit.errors import InvalidInputError
from revisit.geo.bounds import bounds_of
from revisit.geo.mgrs_tile import Tile
from revisit.geo.tile_square import TILE_SIDE_M
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.services.accounts.limits import check_area, check_period, limits_of
from revisit.services.products.no_match import no_match_note
from revisit.services.products.passes import MAX_TILES, upcoming_passes
from revisit.services.products.search import KnownPasses, find_passes

DEFAULT_PERIOD = timedelta(days=365)
"""Default length of the preview."""
MAX_PRODUCTS = 10_000
"""Maximum number of products of a preview: those of 60 tiles for a year."""
PAGE_SIZE = 5_000
"""Products per catalog query: in BigQuery, where each query takes a second, a year needs one."""
MAX_RECORDS_SCANNED = 200
"""Maximum number of subscriptions and orders in which the same AOI is searched."""
MAX_JOBS_PER_RECORD = 500
"""Maximum number of jobs read of each of them."""


def summarize_aoi(backend: Backend, aoi: AOI, tiles: tuple[str, ...] = ()) -> AoiSummary:
    """Size, tiles and expected cost of an AOI.

    Args:
        backend: The backend.
        aoi: Area of interest.
        tiles: Tiles to include; empty means all that the AOI touches.
    """
    coming = upcoming_passes(backend, aoi, tiles) if len(tiles or aoi.tiles) <= MAX_TILES else []
    tiles = tiles or aoi.tiles
    return AoiSummary(
        aoi,
        tiles,
        float(len(coming)) if coming else None,
        coming[0].expected if coming else None,
        _estimate_pass_bytes(backend, aoi, tiles),
    )


def _estimate_pass_bytes(backend: Backend, aoi: AOI, tiles: tuple[str, ...]) -> int:
    """Estimated bytes read for one pass, in whole compressed blocks: of the tiles that the AOI needs; a
    sample of many tiles."""
    from revisit.pixels.read_estimate import estimate_jobs

    source, now = next(iter(backend.sources), ""), backend.now()
    looked_at = tiles[:: max(1, -(-len(tiles) // MAX_TILES))]
    whole = [
        Product(
            id=tile,
            source=source,
            level="L2A",
            platform="S2A",
            tile=tile,
            sensing_time=now,
            datatake="",
            west=bounds[0],
            south=bounds[1],
            east=bounds[2],
            north=bounds[3],
        )
        for tile in looked_at
        for bounds in [bounds_of(Tile.parse(tile).footprint)]
    ]
    apart = keeps_tiles_apart(aoi.shape, tiles)
    jobs = [one.products for one in select_passes(whole, aoi.shape, per_tile=apart)]
    read = estimate_jobs(jobs, len(whole), aoi.geometry, Recipe(indices=("NDVI",)), deployed=False).bytes_read
    return read if looked_at == tiles else round(read * len(tiles) / len(looked_at))


def summarize_tile(backend: Backend, tile: str) -> AoiSummary:
    """Summary of a tile by its id, even if the plan allows no AOI of that size.

    Raises:
        InvalidInputError: There is no such tile.
    """
    from shapely.geometry import mapping

    meant = Tile.parse(tile)
    return summarize_aoi(
        backend, AOI.parse(dict(mapping(meant.footprint)), 2 * TILE_SIDE_M**2 / 1e6), (meant.id,)
    )


def preview_subscription(
    backend: Backend, aoi: AOI, subscription: Subscription, start: datetime | None = None
) -> SubscriptionPreview:
    """Match the products of the catalog over an AOI with the conditions of a subscription, stored or not.

    Args:
        backend: The backend.
        aoi: Area of interest.
        subscription: The conditions.
        start: Sensed at or after; None starts a year ago.

    Raises:
        InvalidInputError: The AOI or the period exceeds the plan, or there are too many products.
    """
    now, limits = backend.now(), limits_of(subscription.owner)
    start = start or now - DEFAULT_PERIOD
    check_area(aoi, limits)
    check_period(start, None, now, limits)
    query = Query(start=start, end=now, limit=PAGE_SIZE)
    found = find_passes(
        backend,
        aoi,
        query,
        subscription.level,
        subscription.recipe.resolution_m,
        most=MAX_PRODUCTS + 1,
    )
    if len(found.known) > MAX_PRODUCTS:
        raise InvalidInputError(
            f"since {start:%Y-%m-%d} there are more than the {MAX_PRODUCTS:,} products over the AOI that are "
            "looked at; begin later"
        )
    covers = _processed_covers(backend, aoi, subscription)
    met = {observed: not skip_reason(subscription, cover) for observed, cover in covers.items()}
    fired: list[Product] = []
    cloudy: list[Product] = []
    too_small: list[Product] = []
    for one in found.passes:
        if subscription.rejection_reason(one.product):
            cloudy.append(one.product)
        elif not {one.product.pass_id, one.product.acquisition} & met.keys() and 100 * (
            one.coverage + SAME_SHARE
        ) < (subscription.min_coverage or 0):
            too_small.append(one.product)
        else:
            fired.append(one.product)
    verdicts = {
        product.id: met[observed]
        for product in fired
        for observed in (product.pass_id, product.acquisition)
        if observed in met
    }
    nothing = "" if fired else _no_match_note(backend, aoi, query, subscription, found)
    return SubscriptionPreview(
        start,
        now,
        subscription,
        tuple(fired),
        tuple(cloudy),
        verdicts,
        sum(met.values()),
        len(met),
        tuple(too_small),
        nothing,
    )


def _no_match_note(
    backend: Backend, aoi: AOI, query: Query, subscription: Subscription, found: KnownPasses
) -> str:
    limits = subscription.max_cloud, subscription.min_coverage
    return no_match_note(backend, aoi, query, subscription.level, found, *limits)


def _processed_covers(backend: Backend, aoi: AOI, subscription: Subscription) -> dict[str, Cover]:
    """Covers of what the owner had processed over the same AOI at the subscription's level, by the id of the
    pass or acquisition that was observed."""
    records, owner = backend.records, subscription.owner
    jobs = [
        job
        for one in records.find(Subscription, owner=owner, limit=MAX_RECORDS_SCANNED)
        if one.aoi == aoi.geometry
        for job in records.find(Job, subscription=one.id, limit=MAX_JOBS_PER_RECORD)
    ]
    jobs += [
        job
        for one in records.find(Order, owner=owner, limit=MAX_RECORDS_SCANNED)
        if one.aoi == aoi.geometry
        for job in records.find(Job, orders=one.id, limit=MAX_JOBS_PER_RECORD)
    ]
    return {
        job.observed: job.cover
        for job in jobs
        if job.aoi == aoi.geometry and job.cover and job.product.level == subscription.level
    }
