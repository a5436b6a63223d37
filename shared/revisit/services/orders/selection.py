"""Order requests, and selection of their products: the best of each pass, or exactly those named."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from revisit.domain.aoi import AOI
from revisit.domain.clock import format_rfc3339
from revisit.domain.conditions import check_limits
from revisit.domain.footprint import product_footprint
from revisit.domain.job import ClearBase
from revisit.domain.product import LEVELS, LevelChoice, Product
from revisit.domain.product_name import ProductName, id_of_file_name
from revisit.domain.recipe import Recipe
from revisit.domain.selection import PassSelection
from revisit.errors import InvalidInputError, PermanentError
from revisit.geo.mgrs_tile import Tile
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.ports.pagination import search_all
from revisit.services.accounts.limits import check_area, check_period, check_start, limits_of
from revisit.services.orders.resolve_recipe import resolve_recipe
from revisit.services.products.no_match import no_match_note
from revisit.services.products.search import find_passes
from revisit.services.products.source_sync import rejecting_sources, rejection_note, sync_sources

MAX_NAMED_PRODUCTS = 500
"""Products that one order may name."""
MAX_DATATAKE_OFFSET = timedelta(hours=1)
"""Longest time between the start of a datatake and the sensing of a tile."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A request for an order: an area, and which products over it to process."""

    recipe: Recipe
    aoi: AOI | None = None
    tile: str = ""
    """MGRS id; the whole tile is ordered. Excludes `aoi` until `validate_request` has set both."""
    products: tuple[str, ...] = ()
    """Ids of exactly the products to process; the area is the AOI, else their common tile."""
    source: str = ""
    """SPEC of the only source to take products from; empty takes all."""
    start: datetime | None = None
    """Sensed at or after."""
    end: datetime | None = None
    """Sensed at or before."""
    level: LevelChoice | None = None
    """The only level wanted; None takes L2A where any acquisition has it, otherwise L1C; "any" mixes them."""
    max_cloud: float | None = None
    """Maximum cloud cover of the whole product, percent."""
    min_clear: float | None = None
    """Minimum clear share in percent, of what `min_clear_of` says."""
    owner: str = "local"
    min_coverage: float | None = None
    """Minimum coverage of the AOI, percent; None accepts any."""
    min_clear_of: ClearBase = "aoi"
    """What `min_clear` is a percentage of: all pixels of the AOI, or the seen ones."""
    per_tile: bool = False
    """Whether each tile of a pass gets a job of its own."""

    def __post_init__(self) -> None:
        check_limits(self, self.max_cloud)
        if self.level is not None and self.level not in (*LEVELS, "any"):
            raise InvalidInputError(
                f"level {str(self.level)[:40]!r} does not exist; choose {', '.join(LEVELS)} or any"
            )

    @property
    def resolved_aoi(self) -> AOI:
        """The AOI.

        Raises:
            InvalidInputError: The request names no area.
        """
        if self.aoi is None:
            raise InvalidInputError("an order needs an area: give an AOI, a tile such as 32TQM, or products")
        return self.aoi

    @property
    def identity(self) -> tuple[str, ...]:
        """Everything that makes it another order; conditions that are not set add nothing."""
        conditions = (
            ("tile", self.tile),
            ("level", self.level),
            ("max_cloud", self.max_cloud),
            ("min_clear", self.min_clear),
            # Orders of earlier versions mean the seen part and keep their ids.
            ("min_clear_of", None if self.min_clear is None or self.min_clear_of == "seen" else "aoi"),
            ("min_coverage", self.min_coverage or None),
            ("named", len(self.products) or None),
            ("per_tile", self.per_tile or None),
        )
        return (
            self.owner,
            self.resolved_aoi.id,
            self.recipe.id,
            self.source,
            _format_time(self.start),
            _format_time(self.end),
            *(f"{name}={value}" for name, value in conditions if value not in (None, "")),
        )


@dataclass(frozen=True, slots=True)
class ProductSelection:
    """The products of an order request."""

    request: OrderRequest
    """With the source's own SPEC."""
    passes: tuple[PassSelection, ...]
    """One per job, by sensing time."""
    matched_count: int
    """Known products of these passes, of which theirs were chosen."""
    notes: tuple[str, ...] = ()
    """What is left out and why; why nothing was found."""

    @property
    def identity(self) -> tuple[str, ...]:
        """The request's identity and its products'."""
        return (*self.request.identity, *_product_versions(self.passes))

    @property
    def digest(self) -> str:
        """Changes with any product."""
        return selection_digest(self.passes)


def selection_digest(passes: Iterable[PassSelection]) -> str:
    """Digest of the ids and versions of the products of passes, hexadecimal."""
    return sha256("\n".join(_product_versions(passes)).encode()).hexdigest()[:32]


def validate_request(backend: Backend, request: OrderRequest) -> OrderRequest:
    """Check a request against the owner's plan, and resolve its index names and area; sends no request to a
    source.

    Raises:
        InvalidInputError: An index, area, period or product name is invalid, or exceeds the plan.
    """
    limits = limits_of(request.owner)
    if request.aoi is not None and request.tile:
        raise InvalidInputError("give either an AOI or a tile, not both")
    if request.products:
        request = replace(request, products=tuple(map(id_of_file_name, request.products)))
        _check_named_products(request)
    request = _resolve_aoi(replace(request, recipe=resolve_recipe(request.recipe)), limits.area_km2)
    check_area(request.resolved_aoi, limits)
    if not request.products:
        check_period(request.start, request.end, backend.now(), limits)
        check_start(request.start, limits)
    return request


def select_products(backend: Backend, request: OrderRequest) -> ProductSelection:
    """List the sources of a validated request and select its products.

    Raises:
        InvalidInputError: A product is not in the catalog, or there are more than the plan allows.
        TransientError: A source does not answer.
    """
    limits = limits_of(request.owner)
    if request.products:
        named = [PassSelection("", product) for product in _select_named_products(backend, request)]
        return ProductSelection(request, tuple(named), len(named))
    request = replace(
        request,
        source=sync_sources(backend, request.resolved_aoi, request.start, request.end, request.source),
    )
    query = Query(
        (request.tile,) if request.tile else (), start=request.start, end=request.end, source=request.source
    )
    found = find_passes(
        backend,
        request.resolved_aoi,
        query,
        request.level,
        request.recipe.resolution_m,
        request.per_tile,
    )
    passes = [one for one in found.passes if _is_clear_enough(one.product, request.max_cloud)]
    if len(passes) > limits.jobs:
        raise InvalidInputError(
            f"the order has {len(passes):,} passes, more than the {limits.jobs:,} allowed; shorten the period"
        )
    left_out = sum(_is_clear_enough(one.product, request.max_cloud) for one in found.left_out)
    notes = _level_notes(found.level, left_out)
    if not passes:
        aoi = request.resolved_aoi
        nothing = no_match_note(backend, aoi, query, request.level, found, request.max_cloud)
        notes = (nothing, *notes, *map(rejection_note, rejecting_sources(backend, request.source)))
    return ProductSelection(request, tuple(passes), found.count_products(passes), notes)


def _is_clear_enough(product: Product, max_cloud: float | None) -> bool:
    return max_cloud is None or product.cloud_cover is None or product.cloud_cover <= max_cloud


def _level_notes(level: str | None, left_out: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    other = next(name for name in LEVELS if name != level)
    count = "1 pass is" if left_out == 1 else f"{left_out:,} passes are"
    return (f"{count} left out, known as {other} only; level {other} or any takes {other}",)


def _check_named_products(request: OrderRequest) -> None:
    given = [name for name in ("start", "end", "level", "max_cloud") if getattr(request, name) is not None]
    given += ["per_tile"] if request.per_tile else []
    if given:
        raise InvalidInputError(f"products are named, so {given[0]} would choose nothing; leave it out")
    most = min(MAX_NAMED_PRODUCTS, limits_of(request.owner).jobs)
    if len(request.products) > most:
        raise InvalidInputError(
            f"{len(request.products):,} products are named, more than the {most:,} allowed;"
            " order them in parts"
        )


def _resolve_aoi(request: OrderRequest, area_km2: float) -> OrderRequest:
    """The request with an AOI: its own, or its tile's footprint."""
    tile = "" if request.aoi is not None else request.tile or _common_tile(request.products)
    if not tile:
        return request
    from shapely.geometry import mapping

    parsed = Tile.parse(tile)
    try:
        aoi = AOI.parse(mapping(parsed.footprint), area_km2)
    except InvalidInputError as error:
        raise InvalidInputError(f"the whole of tile {parsed.id} is too much: {error}") from None
    return replace(request, aoi=aoi, tile=parsed.id)


def _common_tile(products: tuple[str, ...]) -> str:
    """The tile of the named products; empty where none are named."""
    tiles = {name.tile for name in map(_parse_name, products) if name}
    if len(tiles) > 1:
        raise InvalidInputError(
            f"the named products are of {len(tiles)} tiles ({', '.join(sorted(tiles)[:5])});"
            " give an AOI to cut them to"
        )
    if products and not tiles:
        raise InvalidInputError(
            f"the tile of product {products[0][:100]!r} cannot be read from its name; give an AOI or a tile"
        )
    return tiles.pop() if tiles else ""


def _select_named_products(backend: Backend, request: OrderRequest) -> list[Product]:
    """The named products, by sensing time.

    Raises:
        InvalidInputError: One is not in the catalog, or does not touch the area.
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
                f"product {id[:100]!r} is not in the catalog; see `revisit search`, or name its source"
            )
        if not shape.intersects(product_footprint(found[id])):
            raise InvalidInputError(
                f"product {id!r} does not touch the AOI; leave it out, or draw the AOI where it is"
            )
    return sorted(found.values(), key=lambda product: (product.sensing_time, product.id))


def _find_by_id(backend: Backend, ids: tuple[str, ...], source: str) -> dict[str, Product]:
    """Products by id: one query per tile, since each catalog query is billed; the others one by one."""
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


def _product_versions(passes: Iterable[PassSelection]) -> Iterator[str]:
    return (f"{product.id} {product.version}" for one in passes for product in one.products)


def _format_time(moment: datetime | None) -> str:
    return format_rfc3339(moment) if moment else ""
