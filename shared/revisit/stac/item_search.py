"""Search for items among the products of the catalog and an owner's results, a page at a time by keyset."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any, Self

from revisit.domain.aoi import AOI
from revisit.domain.clock import format_rfc3339, parse_instant
from revisit.domain.filters import evaluate
from revisit.domain.footprint import product_footprint
from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.product import Product
from revisit.domain.selection import select_best_products
from revisit.errors import InvalidInputError, NotFoundError
from revisit.geo.equal_area import covered_share
from revisit.ports.backend import Backend
from revisit.ports.catalog import Catalog, OrderBy, Query
from revisit.ports.catalog_query import parse_position
from revisit.ports.pagination import find_all
from revisit.stac.cql2 import PROPERTIES, push_down
from revisit.stac.search_query import (
    MAX_SENSING_SPREAD,
    RESULTS_COLLECTION,
    ItemQuery,
    build_catalog_query,
    sort_key,
)

MAX_ITEMS = 10_000
"""Items that one request may hold in memory to sort, count or export them."""
MAX_SCANNED = 50_000
"""Products that may be read for one page."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """An item found: a product, or a finished job of the owner."""

    product: Product
    job: Job | None = None

    @property
    def id(self) -> str:
        return self.job.id if self.job else self.product.id

    @property
    def sort_key(self) -> tuple[datetime, str, str]:
        """Key of the default order of a search."""
        return self.product.sensing_time, self.id, "" if self.job else self.product.source

    @property
    def shape(self) -> Any:
        """Its geometry as a shapely geometry."""
        return AOI.from_normalized(self.job.aoi).shape if self.job else product_footprint(self.product)

    def values(self) -> Mapping[str, Any]:
        """Its properties with its id and collection."""
        from revisit.stac import product_item, result_item

        if self.job:
            return {
                **result_item.result_properties(self.job),
                "id": self.id,
                "collection": RESULTS_COLLECTION,
            }
        return {
            **product_item.product_properties(self.product),
            "id": self.id,
            "collection": product_item.COLLECTIONS[self.product.level],
        }

    def getter(self) -> Callable[[str], Any]:
        """Lookup of queryables by name, for `filters.evaluate`; builds the properties only when one needs
        them."""
        properties: Mapping[str, Any] | None = None

        def get(name: str) -> Any:
            nonlocal properties
            known = PROPERTIES[name]
            if known.kind == "geometry":
                return self.shape
            if known.column and not self.job:
                return getattr(self.product, known.column)
            if properties is None:
                properties = self.values()
            value = properties.get(name)
            return parse_instant(value) if known.kind == "instant" and value is not None else value

        return get


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of items."""

    items: tuple[SearchHit, ...]
    next: str = ""
    """Token of the page that follows; empty at the end."""
    matched: int | None = None
    """Number of all items that match, where it is known without further reads."""

    @classmethod
    def of(cls, hits: list[SearchHit], limit: int, is_first: bool) -> Self:
        """A page of the first `limit` hits; one more hit means that another page follows."""
        items = tuple(hits[:limit])
        return cls(
            items,
            page_token(items[-1]) if len(hits) > limit else "",
            len(items) if is_first and len(hits) <= limit else None,
        )


def page_token(hit: SearchHit) -> str:
    """Keyset token of the page that follows this item."""
    moment, id, source = hit.sort_key
    return f"{format_rfc3339(moment)}|{id}|{source}"


def search_page(backend: Backend, query: ItemQuery, owner: str, limit: int, after: str = "") -> SearchPage:
    """Items by (datetime, id).

    Args:
        owner: Id of the account whose results are searched too.
        after: `next` of the previous page.

    Raises:
        InvalidInputError: The query is contradictory, or too many products would have to be read.
    """
    return SearchPage.of(
        list(islice(find_items(backend, query, owner, after, limit), limit + 1)), limit, not after
    )


def find_items(
    backend: Backend, query: ItemQuery, owner: str, after: str = "", size_hint: int = MAX_ITEMS
) -> Iterator[SearchHit]:
    """Items in the order of a search.

    Args:
        size_hint: About how many items the caller takes.

    Raises:
        InvalidInputError: As for `search_page`.
    """
    if query.coverage is not None and (query.shape is None or not query.shape.area):
        raise InvalidInputError(
            "coverage is a percentage of an area; give bbox or intersects with an area too"
        )
    products = (SearchHit(product) for product in _find_products(backend, query, after, size_hint))
    results = _results_after(backend, query, owner, after) if query.includes_results else []
    yield from merge(products, results, key=lambda hit: hit.sort_key, reverse=query.latest_first)


def get_item(backend: Backend, collection: str, id: str, owner: str) -> SearchHit:
    """One item by its id.

    Raises:
        NotFoundError: The collection has no such item, or the item belongs to another owner.
    """
    from revisit.stac.product_item import COLLECTIONS

    if collection == RESULTS_COLLECTION:
        job = backend.records.get(Job, id)
        if job and job.owner == owner and job.state in FINISHED_STATES:
            return SearchHit(job.product, job)
    elif collection in COLLECTIONS.values():
        product = backend.catalog().get(id)
        if product and COLLECTIONS[product.level] == collection:
            return SearchHit(product)
    else:
        raise NotFoundError(f"there is no collection {collection[:80]!r}; /stac/collections lists them")
    raise NotFoundError(f"collection {collection} has no item {id[:200]!r}; search it with /stac/search")


def matches_query(hit: SearchHit, query: ItemQuery) -> bool:
    """Whether an item meets every condition of a query, `newest` aside."""
    if (query.ids and hit.id not in query.ids) or (query.tiles and hit.product.tile not in query.tiles):
        return False
    moment = hit.product.sensing_time
    if (query.start and moment < query.start) or (query.end and moment > query.end):
        return False
    if query.filter is not None and not evaluate(query.filter, hit.getter()):
        return False
    if query.shape is None:
        return True
    shape = hit.shape
    if not query.shape.intersects(shape):
        return False
    return query.coverage is None or 100 * covered_share(query.shape, shape) >= query.coverage - 1e-6


def _find_products(backend: Backend, query: ItemQuery, after: str, size_hint: int) -> Iterator[Product]:
    """Products that match, in the default order."""
    remaining = _prepare(query)
    last = _last_key(after)
    last_shown = last and last[:2]
    for product in (
        _scan_best_products(backend, query, after, size_hint)
        if query.newest
        else _scan_catalog(backend, query, after, size_hint)
    ):
        # The same product from another source follows directly.
        key = product.sensing_time, product.id
        if key != last_shown and matches_query(SearchHit(product), remaining):
            last_shown = key
            yield product


def find_sorted_products(
    backend: Backend, query: ItemQuery, order_by: tuple[OrderBy, ...], after: str, size_hint: int
) -> Iterator[Product]:
    """Products that match, in an order of the catalog; `query.newest` does not apply.

    Args:
        after: Keyset token of the catalog in this order.
        size_hint: About how many products the caller takes.
    """
    catalog_query = build_catalog_query(query)
    if catalog_query is None:
        return
    remaining, catalog = _prepare(query), backend.catalog()
    for page in _scan_pages(catalog, replace(catalog_query, order_by=order_by), after, size_hint):
        matches = [product for product in page if matches_query(SearchHit(product), remaining)]
        if not matches:
            continue
        # The same product from another source may have other values and so be on another page: one is shown.
        ids = tuple(sorted({product.id for product in matches}))
        sources: dict[tuple[datetime, str], str] = {}
        for versions in _scan_pages(catalog, replace(catalog_query, ids=ids), "", len(ids)):
            for version in versions:
                if matches_query(SearchHit(version), remaining):
                    sources.setdefault((version.sensing_time, version.id), version.source)
        for product in matches:
            if sources.get((product.sensing_time, product.id), product.source) == product.source:
                yield product


def _prepare(query: ItemQuery) -> ItemQuery:
    """The conditions that remain to evaluate for each product that the catalog returns.

    The catalog answers the predicates that it has columns for exactly. With `newest` it has not: they apply
    to the best product of each acquisition.
    """
    import shapely

    if query.shape is not None:
        shapely.prepare(query.shape)
    if query.filter is None or query.newest:
        return query
    return replace(query, filter=push_down(query.filter).residual)


def _scan_catalog(backend: Backend, query: ItemQuery, after: str, size_hint: int) -> Iterator[Product]:
    """Products that may match, in the default order."""
    catalog_query = build_catalog_query(query)
    if catalog_query is not None:
        for products in _scan_pages(backend.catalog(), catalog_query, after, size_hint):
            yield from products


def _scan_pages(catalog: Catalog, query: Query, after: str, size_hint: int) -> Iterator[tuple[Product, ...]]:
    """Pages of the catalog, each larger than the previous one.

    Raises:
        InvalidInputError: Too many products would have to be read.
    """
    # A second query costs more than some products too many.
    limit, scanned = min(max(size_hint + size_hint // 4 + 1, 20), MAX_ITEMS + 1), 0
    while True:
        page = catalog.search(replace(query, after=after, limit=limit))
        yield page.products
        scanned += len(page.products)
        if not page.next:
            return
        if scanned >= MAX_SCANNED:
            raise InvalidInputError(
                f"more than {MAX_SCANNED:,} products would have to be read for this search; name a smaller "
                "place "
                "or a shorter period"
            )
        after, limit = page.next, min(4 * limit, MAX_ITEMS + 1)


def _scan_best_products(backend: Backend, query: ItemQuery, after: str, size_hint: int) -> Iterator[Product]:
    """The best products of each acquisition, in order.

    Products of one acquisition are at most `MAX_SENSING_SPREAD` apart, so few are held in memory.
    """
    if query.ids:
        named = list(_scan_catalog(backend, replace(query, newest=False), "", size_hint))
        if not named:
            return
        times = [product.sensing_time for product in named]
        query = replace(
            query, ids=(), tiles=tuple({product.tile for product in named}), start=min(times), end=max(times)
        )
    last = _last_key(after)
    if last:
        query = (
            replace(query, end=last[0] + MAX_SENSING_SPREAD)
            if query.latest_first
            else replace(query, start=last[0] - MAX_SENSING_SPREAD)
        )
    known: dict[str, list[Product]] = {}
    best: dict[str, set[tuple[datetime, str, str]]] = {}
    waiting: deque[Product] = deque()

    def settled(until: datetime | None) -> Iterator[Product]:
        """Products whose acquisition can get no better product in the rest of the scan."""
        while waiting and (until is None or abs(waiting[0].sensing_time - until) > MAX_SENSING_SPREAD):
            product = waiting.popleft()
            is_after = last is None or (
                sort_key(product) < last if query.latest_first else sort_key(product) > last
            )
            if product.acquisition not in best:
                chosen = select_best_products(known.pop(product.acquisition))
                best[product.acquisition] = {sort_key(one) for one in chosen}
            if is_after and sort_key(product) in best[product.acquisition]:
                yield product

    for product in _scan_catalog(backend, query, "", size_hint):
        yield from settled(product.sensing_time)
        known.setdefault(product.acquisition, []).append(product)
        waiting.append(product)
    yield from settled(None)


def _results_after(backend: Backend, query: ItemQuery, owner: str, after: str) -> list[SearchHit]:
    """Results of an owner, in the default order of a search."""
    last = _last_key(after)
    results = sorted(
        find_results(backend, query, owner), key=lambda hit: hit.sort_key, reverse=query.latest_first
    )
    return [
        hit
        for hit in results
        if last is None or (hit.sort_key < last if query.latest_first else hit.sort_key > last)
    ]


def find_results(backend: Backend, query: ItemQuery, owner: str) -> list[SearchHit]:
    """Results of an owner that match, in no order.

    Raises:
        InvalidInputError: Too many results would have to be read.
    """
    jobs = (
        list(_find_jobs(backend, query.ids))
        if query.ids
        else list(islice(find_all(backend.records, Job, owner=owner), MAX_SCANNED + 1))
    )
    if len(jobs) > MAX_SCANNED:
        raise InvalidInputError(
            f"more than {MAX_SCANNED:,} results would have to be read for this search; name the collections "
            "to search, "
            "or the ids of results"
        )
    return [
        hit
        for job in jobs
        if job.owner == owner
        and job.state in FINISHED_STATES
        and matches_query(hit := SearchHit(job.product, job), query)
    ]


def _last_key(after: str) -> tuple[datetime, str, str] | None:
    if not after:
        return None
    position = parse_position(after)
    return position.sensing_time, position.id, position.source


def _find_jobs(backend: Backend, ids: Iterable[str]) -> Iterator[Job]:
    """Jobs among the items with these ids."""
    for id in dict.fromkeys(ids):
        if id.startswith("job_") and (job := backend.records.get(Job, id)):
            yield job
