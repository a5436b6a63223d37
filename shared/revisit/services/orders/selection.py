"""Which products an order means: the best of each acquisition over a place in a period, or exactly those that are named."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from revisit.domain.aoi import AOI
from revisit.domain.clock import rfc3339
from revisit.domain.footprint import footprint
from revisit.domain.product import LEVELS, Level, Product, ProductName, best
from revisit.domain.recipe import Recipe
from revisit.errors import BadInput, GiveUp
from revisit.geo.mgrs_tile import Tile
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.ports.pagination import every_product
from revisit.services.accounts.limits import check_area, check_beginning, check_period, limits_of
from revisit.services.orders.resolve_recipe import resolved
from revisit.services.products.backfill import recall
from revisit.services.products.search import products_over

MOST_NAMED = 500
"""Products of one order that are named."""
BESIDE = timedelta(hours=1)
"""A tile is sensed within this of the start of its datatake."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: a place, and which of what was seen of it."""

    recipe: Recipe
    aoi: AOI | None = None
    tile: str = ""
    """The whole of it; with an AOI, none."""
    products: tuple[str, ...] = ()
    """Exactly these; the place is the AOI, else their tile."""
    source: str = ""
    """SPEC of the only source to take products from; what it has over the place is brought into the catalog first."""
    start: datetime | None = None
    """Sensed at or after."""
    end: datetime | None = None
    """Sensed at or before."""
    level: Level | None = None
    """The only level wanted; None prefers L2A."""
    max_cloud: float | None = None
    """Percent over the whole product at most."""
    min_clear: float | None = None
    """Percent of the AOI's valid pixels that must be clear."""
    owner: str = "local"

    @property
    def place(self) -> AOI:
        """The AOI, once `choose` has seen to it.

        Raises:
            BadInput: There is none.
        """
        if self.aoi is None:
            raise BadInput("an order needs a place: give an AOI, a tile such as 32TQM, or products")
        return self.aoi


@dataclass(frozen=True, slots=True)
class Choice:
    """What a wish comes to."""

    wish: Wish
    """With its place, and names as the tables have them."""
    products: tuple[Product, ...]
    """One a job, by sensing time."""
    known: int
    """Products that met the conditions before the best of each acquisition was taken."""

    @property
    def identity(self) -> tuple[str, ...]:
        """All that makes it another order; conditions that are not given add nothing."""
        wish = self.wish
        conditions = (("tile", wish.tile), ("level", wish.level), ("max_cloud", wish.max_cloud), ("min_clear", wish.min_clear),
                      ("named", len(wish.products) or None))
        return (wish.owner, wish.place.id, wish.recipe.id, wish.source, _text(wish.start), _text(wish.end),
                *(f"{name}={value}" for name, value in conditions if value not in (None, "")),
                *(f"{product.id} {product.version}" for product in self.products))


def choose(backend: Backend, wish: Wish) -> Choice:
    """Check a wish, and find its products.

    Raises:
        BadInput: A place, index, source, period, percentage or product that makes no sense, or more than the plan allows.
        Retry: The source does not answer.
    """
    limits = limits_of(wish.owner)
    wish = replace(wish, recipe=resolved(wish.recipe))
    _check(wish)
    wish = _placed(wish, limits.area_km2)
    check_area(wish.place, limits)
    if wish.products:
        found = _named(backend, wish)
        return Choice(wish, tuple(found), len(found))
    check_period(wish.start, wish.end, backend.now(), limits)
    check_beginning(wish.start, limits)
    wish = replace(wish, source=recall(backend, wish.place, wish.start, wish.end, wish.source))
    query = Query((wish.tile,) if wish.tile else (), start=wish.start, end=wish.end, max_cloud=wish.max_cloud, level=wish.level, source=wish.source)
    known = products_over(backend, wish.place, query)
    products = best(known, wish.level)
    if len(products) > limits.jobs:
        raise BadInput(f"the order means {len(products):,} acquisitions, more than the {limits.jobs:,} allowed; shorten the period")
    return Choice(wish, tuple(products), len(known))


def _check(wish: Wish) -> None:
    for name, value in (("max_cloud", wish.max_cloud), ("min_clear", wish.min_clear)):
        if value is not None and not 0 <= value <= 100:
            raise BadInput(f"{name} is a percentage from 0 to 100, not {value:g}")
    if wish.level is not None and wish.level not in LEVELS:
        raise BadInput(f"level {str(wish.level)[:40]!r} does not exist; choose {' or '.join(LEVELS)}")
    if wish.aoi is not None and wish.tile:
        raise BadInput("an AOI and a tile are given; give the one that is meant")
    if not wish.products:
        return
    given = [name for name in ("start", "end", "level", "max_cloud") if getattr(wish, name) is not None]
    if given:
        raise BadInput(f"products are named, so {given[0]} would choose nothing; leave it out")
    most = min(MOST_NAMED, limits_of(wish.owner).jobs)
    if len(wish.products) > most:
        raise BadInput(f"{len(wish.products):,} products are named, more than the {most:,} allowed; order them in parts")


def _placed(wish: Wish, area_km2: float) -> Wish:
    """The wish with an AOI: its own, or its tile's footprint."""
    tile = "" if wish.aoi is not None else wish.tile or _one_tile(wish.products)
    if not tile:
        return wish
    from shapely.geometry import mapping

    there = Tile.parse(tile)
    try:
        aoi = AOI.parse(mapping(there.footprint), area_km2)
    except BadInput as error:
        raise BadInput(f"the whole of tile {there.id} is too much: {error}") from None
    return replace(wish, aoi=aoi, tile=there.id)


def _one_tile(products: tuple[str, ...]) -> str:
    """The tile that named products are of; empty where none are named."""
    tiles = {name.tile for name in map(_parsed, products) if name}
    if len(tiles) > 1:
        raise BadInput(f"the products named are of {len(tiles)} tiles ({', '.join(sorted(tiles)[:5])}); give an AOI that says where to cut them")
    if products and not tiles:
        raise BadInput(f"the tile of product {products[0][:100]!r} cannot be told from its name; give an AOI or a tile")
    return tiles.pop() if tiles else ""


def _named(backend: Backend, wish: Wish) -> list[Product]:
    """The products named, by sensing time.

    Raises:
        BadInput: One is not known, or does not touch the place.
    """
    import shapely

    wanted = tuple(dict.fromkeys(wish.products))
    if wish.source:
        moments = [name.datatake for id in wanted if (name := _parsed(id))]
        start, end = (min(moments) - BESIDE, max(moments) + BESIDE) if len(moments) == len(wanted) else (None, None)
        wish = replace(wish, source=recall(backend, wish.place, start, end, wish.source))
    found = _looked_up(backend, wanted, wish.source)
    shape = wish.place.shape
    shapely.prepare(shape)
    for id in wanted:
        if id not in found:
            raise BadInput(f"product {id[:100]!r} is not in the catalog; see `revisit search`, or name the source to bring it in from")
        if not shape.intersects(footprint(found[id])):
            raise BadInput(f"product {id!r} does not touch the AOI; leave it out, or draw the AOI where it is")
    return sorted(found.values(), key=lambda product: (product.sensing_time, product.id))


def _looked_up(backend: Backend, wanted: tuple[str, ...], source: str) -> dict[str, Product]:
    """Products by id: those of one tile together, since each question to a catalog is paid for; others one by one."""
    catalog, found = backend.catalog(), dict[str, Product]()
    parsed = {id: name for id in wanted if (name := _parsed(id))}
    for tile in sorted({name.tile for name in parsed.values()}):
        moments = [name.datatake for name in parsed.values() if name.tile == tile]
        query = Query((tile,), start=min(moments) - BESIDE, end=max(moments) + BESIDE, source=source)
        for product in every_product(catalog, query):
            rival = found.get(product.id)
            if product.id in parsed and (rival is None or product.rank > rival.rank):
                found[product.id] = product
    for id in wanted:
        other = None if id in found else catalog.get(id, source)
        if other is not None:
            found[id] = other
    return found


def _parsed(id: str) -> ProductName | None:
    try:
        return ProductName.parse(id)
    except GiveUp:
        return None


def _text(moment: datetime | None) -> str:
    return rfc3339(moment) if moment else ""
