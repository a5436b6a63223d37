"""Which products an order means: the best of each acquisition over a place in a period, or exactly those that
are named."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from revisit.domain.aoi import AOI
from revisit.domain.clock import format_rfc3339
from revisit.domain.footprint import product_footprint
from revisit.domain.product import LEVELS, Level, Product, ProductName, select_best_products
from revisit.domain.recipe import Recipe
from revisit.errors import InvalidInputError, PermanentError
from revisit.geo.mgrs_tile import Tile
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.ports.pagination import search_all
from revisit.services.accounts.limits import check_area, check_period, check_start, limits_of
from revisit.services.orders.resolve_recipe import resolve_recipe
from revisit.services.products.backfill import sync_sources
from revisit.services.products.search import products_over

MAX_NAMED_PRODUCTS = 500
"""Products of one order that are named."""
MAX_DATATAKE_OFFSET = timedelta(hours=1)
"""A tile is sensed within this of the start of its datatake."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What is asked for: a place, and which of what was seen of it."""

    recipe: Recipe
    aoi: AOI | None = None
    tile: str = ""
    """The whole of it; with an AOI, none."""
    products: tuple[str, ...] = ()
    """Exactly these; the place is the AOI, else their tile."""
    source: str = ""
    """SPEC of the only source to take products from; what it has over the place is brought into the catalog
    first."""
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
    def resolved_aoi(self) -> AOI:
        """The AOI, once `select_products` has seen to it.

        Raises:
            InvalidInputError: There is none.
        """
        if self.aoi is None:
            raise InvalidInputError("an order needs a place: give an AOI, a tile such as 32TQM, or products")
        return self.aoi


@dataclass(frozen=True, slots=True)
class ProductSelection:
    """What a wish comes to."""

    request: OrderRequest
    """With its place, and names as the tables have them."""
    products: tuple[Product, ...]
    """One a job, by sensing time."""
    matched_count: int
    """Products that met the conditions before the best of each acquisition was taken."""

    @property
    def identity(self) -> tuple[str, ...]:
        """All that makes it another order; conditions that are not given add nothing."""
        wish = self.request
        conditions = (
            ("tile", wish.tile),
            ("level", wish.level),
            ("max_cloud", wish.max_cloud),
            ("min_clear", wish.min_clear),
            ("named", len(wish.products) or None),
        )
        return (
            wish.owner,
            wish.resolved_aoi.id,
            wish.recipe.id,
            wish.source,
            _format_time(wish.start),
            _format_time(wish.end),
            *(f"{name}={value}" for name, value in conditions if value not in (None, "")),
            *(f"{product.id} {product.version}" for product in self.products),
        )


def select_products(backend: Backend, request: OrderRequest) -> ProductSelection:
    """Check a wish, and find its products.

    Raises:
        InvalidInputError: A place, index, source, period, percentage or product that makes no sense, or more
            than the plan allows.
        TransientError: The source does not answer.
    """
    limits = limits_of(request.owner)
    request = replace(request, recipe=resolve_recipe(request.recipe))
    _check_request(request)
    request = _resolve_aoi(request, limits.area_km2)
    check_area(request.resolved_aoi, limits)
    if request.products:
        found = _select_named_products(backend, request)
        return ProductSelection(request, tuple(found), len(found))
    check_period(request.start, request.end, backend.now(), limits)
    check_start(request.start, limits)
    request = replace(
        request,
        source=sync_sources(backend, request.resolved_aoi, request.start, request.end, request.source),
    )
    query = Query(
        (request.tile,) if request.tile else (),
        start=request.start,
        end=request.end,
        max_cloud=request.max_cloud,
        level=request.level,
        source=request.source,
    )
    known = products_over(backend, request.resolved_aoi, query)
    products = select_best_products(known, request.level)
    if len(products) > limits.jobs:
        raise InvalidInputError(
            f"the order means {len(products):,} acquisitions, more than the {limits.jobs:,} allowed; shorten the period"
        )
    return ProductSelection(request, tuple(products), len(known))


def _check_request(request: OrderRequest) -> None:
    for name, value in (("max_cloud", request.max_cloud), ("min_clear", request.min_clear)):
        if value is not None and not 0 <= value <= 100:
            raise InvalidInputError(f"{name} is a percentage from 0 to 100, not {value:g}")
    if request.level is not None and request.level not in LEVELS:
        raise InvalidInputError(
            f"level {str(request.level)[:40]!r} does not exist; choose {' or '.join(LEVELS)}"
        )
    if request.aoi is not None and request.tile:
        raise InvalidInputError("an AOI and a tile are given; give the one that is meant")
    if not request.products:
        return
    given = [name for name in ("start", "end", "level", "max_cloud") if getattr(request, name) is not None]
    if given:
        raise InvalidInputError(f"products are named, so {given[0]} would choose nothing; leave it out")
    most = min(MAX_NAMED_PRODUCTS, limits_of(request.owner).jobs)
    if len(request.products) > most:
        raise InvalidInputError(
            f"{len(request.products):,} products are named, more than the {most:,} allowed; order them in parts"
        )


def _resolve_aoi(request: OrderRequest, area_km2: float) -> OrderRequest:
    """The wish with an AOI: its own, or its tile's footprint."""
    tile = "" if request.aoi is not None else request.tile or _common_tile(request.products)
    if not tile:
        return request
    from shapely.geometry import mapping

    there = Tile.parse(tile)
    try:
        aoi = AOI.parse(mapping(there.footprint), area_km2)
    except InvalidInputError as error:
        raise InvalidInputError(f"the whole of tile {there.id} is too much: {error}") from None
    return replace(request, aoi=aoi, tile=there.id)


def _common_tile(products: tuple[str, ...]) -> str:
    """The tile that named products are of; empty where none are named."""
    tiles = {name.tile for name in map(_parse_name, products) if name}
    if len(tiles) > 1:
        raise InvalidInputError(
            f"the products named are of {len(tiles)} tiles ({', '.join(sorted(tiles)[:5])}); give an AOI that says where to cut them"
        )
    if products and not tiles:
        raise InvalidInputError(
            f"the tile of product {products[0][:100]!r} cannot be read from its name; give an AOI or a tile"
        )
    return tiles.pop() if tiles else ""


def _select_named_products(backend: Backend, request: OrderRequest) -> list[Product]:
    """The products named, by sensing time.

    Raises:
        InvalidInputError: One is not known, or does not touch the place.
    """
    import shapely

    wanted = tuple(dict.fromkeys(request.products))
    if request.source:
        moments = [name.datatake for id in wanted if (name := _parse_name(id))]
        start, end = (
            (min(moments) - MAX_DATATAKE_OFFSET, max(moments) + MAX_DATATAKE_OFFSET)
            if len(moments) == len(wanted)
            else (None, None)
        )
        request = replace(
            request, source=sync_sources(backend, request.resolved_aoi, start, end, request.source)
        )
    found = _find_by_id(backend, wanted, request.source)
    shape = request.resolved_aoi.shape
    shapely.prepare(shape)
    for id in wanted:
        if id not in found:
            raise InvalidInputError(
                f"product {id[:100]!r} is not in the catalog; see `revisit search`, or name the source to bring it in from"
            )
        if not shape.intersects(product_footprint(found[id])):
            raise InvalidInputError(
                f"product {id!r} does not touch the AOI; leave it out, or draw the AOI where it is"
            )
    return sorted(found.values(), key=lambda product: (product.sensing_time, product.id))


def _find_by_id(backend: Backend, ids: tuple[str, ...], source: str) -> dict[str, Product]:
    """Products by id: those of one tile together, since each question to a catalog is paid for; others one by
    one."""
    catalog, found = backend.catalog(), dict[str, Product]()
    parsed = {id: name for id in ids if (name := _parse_name(id))}
    for tile in sorted({name.tile for name in parsed.values()}):
        moments = [name.datatake for name in parsed.values() if name.tile == tile]
        query = Query(
            (tile,),
            start=min(moments) - MAX_DATATAKE_OFFSET,
            end=max(moments) + MAX_DATATAKE_OFFSET,
            source=source,
        )
        for product in search_all(catalog, query):
            rival = found.get(product.id)
            if product.id in parsed and (rival is None or product.rank > rival.rank):
                found[product.id] = product
    for id in ids:
        other = None if id in found else catalog.get(id, source)
        if other is not None:
            found[id] = other
    return found


def _parse_name(id: str) -> ProductName | None:
    try:
        return ProductName.parse(id)
    except PermanentError:
        return None


def _format_time(moment: datetime | None) -> str:
    return format_rfc3339(moment) if moment else ""
