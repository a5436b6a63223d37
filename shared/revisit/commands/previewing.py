"""What a wish would mean, told before anything is saved: of an AOI its extent and passes, of a subscription what its past would have brought."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from revisit.aoi import AOI, bounds_of
from revisit.backend import Backend
from revisit.commands.foreseeing import MOST_TILES, passes_of
from revisit.commands.limits import check_area, check_period, limits_of
from revisit.commands.searching import products_over
from revisit.errors import BadInput
from revisit.job import Job
from revisit.order import Order
from revisit.ports import Query
from revisit.product import Product, best
from revisit.recipe import Recipe
from revisit.subscription import Subscription
from revisit.tile import SIDE_M, Tile

YEAR = timedelta(days=365)
"""Of the past that is looked at where nobody says from when."""
MOST = 10_000
"""Products of the past looked at: those of 60 tiles for a year."""
ENOUGH = 5
"""Acquisitions whose pixels were looked at, of which a share can be told."""
PAGE = 5_000
"""Products asked of the catalog at once: in BigQuery, where every question takes a second, a year is one."""
MOST_ASKERS = 200
"""Subscriptions, and orders, among which those with the same AOI are looked for."""
MOST_JOBS = 500
"""Of each of them."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What an AOI would take."""

    aoi: AOI
    tiles: tuple[str, ...]
    passes_per_month: float | None
    """Passes expected within 30 days; None where too little is known to learn from."""
    next_pass: datetime | None
    bytes_per_pass: int
    """Read of the source for NDVI, about."""

    @property
    def vertices(self) -> int:
        """Not counting those that close a ring."""
        polygons = [self.aoi.geometry["coordinates"]] if self.aoi.geometry["type"] == "Polygon" else self.aoi.geometry["coordinates"]
        return sum(len(ring) - 1 for rings in polygons for ring in rings)

    @property
    def parts(self) -> int:
        return 1 if self.aoi.geometry["type"] == "Polygon" else len(self.aoi.geometry["coordinates"])

    @property
    def pixels_10m(self) -> int:
        return round(self.aoi.area_km2 * 10_000)


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
    from revisit.estimate import estimate

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


@dataclass(frozen=True, slots=True)
class Past:
    """What a subscription would have done since a day, as far as the catalog knows."""

    start: datetime
    end: datetime
    fired: tuple[Product, ...]
    """Acquisitions that meet every condition judged without pixels, each by its best product."""
    cloudy: tuple[Product, ...]
    """Those over which the product states more cloud than wanted."""
    clear: int
    """Of the acquisitions below, those that were clear enough."""
    looked_at: int
    """Acquisitions whose pixels over the very same AOI were looked at before, by whatever subscription or order."""
    min_clear: float | None

    @property
    def first(self) -> datetime | None:
        """When the first acquisition known was sensed: what the catalog lacks before it cannot be told."""
        return min((product.sensing_time for product in (*self.fired, *self.cloudy)), default=None)

    @property
    def clear_share(self) -> float | None:
        """Of the acquisitions that were clear enough, 0 to 1; None where too few were looked at, or nobody asks."""
        return self.clear / self.looked_at if self.min_clear is not None and self.looked_at >= ENOUGH else None

    @property
    def judged(self) -> str:
        """What is known of the condition that needs pixels, in a sentence."""
        if self.min_clear is None:
            return "no least share of clear pixels is asked for; an acquisition without any clear pixel would not have fired"
        if self.clear_share is None:
            return f"whether {self.min_clear:g} % of the AOI was clear is seen in its pixels only, so fewer would have fired"
        return (f"of {self.looked_at:,} acquisitions of this AOI whose pixels were looked at, {self.clear:,} had {self.min_clear:g} % clear, "
                f"so about {round(self.clear_share * len(self.fired)):,} would have fired")

    @property
    def months(self) -> list[tuple[str, int, int]]:
        """Each month of the period, how many acquisitions would have fired in it, and how many there were."""
        fired = Counter(f"{product.sensing_time:%Y-%m}" for product in self.fired)
        passed = fired + Counter(f"{product.sensing_time:%Y-%m}" for product in self.cloudy)
        first, last = (moment.year * 12 + moment.month - 1 for moment in (self.start, self.end))
        names = [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, last + 1)]
        return [(name, fired[name], passed[name]) for name in names]


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
