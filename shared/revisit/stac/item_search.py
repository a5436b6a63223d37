"""Items found in the catalog and among one's own results: exactly, in order, page by page, one question to
the catalog at a time."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Self

from revisit.domain.aoi import AOI
from revisit.domain.clock import format_rfc3339
from revisit.domain.footprint import product_footprint
from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.product import Product
from revisit.errors import InvalidInputError, NotFoundError
from revisit.ports.backend import Backend
from revisit.ports.catalog_query import parse_page_token
from revisit.ports.pagination import find_all
from revisit.stac.cql2 import evaluate
from revisit.stac.search_area import covered_share
from revisit.stac.search_query import (
    MAX_SENSING_SPREAD,
    RESULTS_COLLECTION,
    ItemQuery,
    build_catalog_query,
    sort_key,
)

MAX_ITEMS = 10_000
"""Items that one question may have to hold at once, to be sorted, counted or exported."""
MAX_SCANNED = 50_000
"""Products that may be looked at for one page."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One item found: a product, or a job of whoever asks."""

    product: Product
    job: Job | None = None

    @property
    def id(self) -> str:
        return self.job.id if self.job else self.product.id

    @property
    def sort_key(self) -> tuple[datetime, str, str]:
        """Where it stands in the order of a search."""
        return self.product.sensing_time, self.id, "" if self.job else self.product.source

    @property
    def shape(self) -> Any:
        """Its geometry, as a shapely one."""
        return AOI.from_normalized(self.job.aoi).shape if self.job else product_footprint(self.product)

    def values(self) -> Mapping[str, Any]:
        """What it can be filtered and sorted by."""
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


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Some items, and where to go on."""

    items: tuple[SearchHit, ...]
    next: str = ""
    matched: int | None = None
    """How many there are in all, where that costs nothing to say."""

    @classmethod
    def of(cls, hits: list[SearchHit], limit: int, is_first: bool) -> Self:
        """A page of one more than fit, where there are more."""
        items = tuple(hits[:limit])
        return cls(
            items,
            page_token(items[-1]) if len(hits) > limit else "",
            len(items) if is_first and len(hits) <= limit else None,
        )


def page_token(hit: SearchHit) -> str:
    """Where a page that ends with it ends."""
    moment, id, source = hit.sort_key
    return f"{format_rfc3339(moment)}|{id}|{source}"


def search_page(backend: Backend, query: ItemQuery, owner: str, limit: int, after: str = "") -> SearchPage:
    """Items by (datetime, id).

    Args:
        owner: Whose results are among them.
        after: The `next` of the page before.

    Raises:
        InvalidInputError: What is wanted makes no sense, or too much would have to be looked at.
    """
    return SearchPage.of(
        list(islice(find_items(backend, query, owner, after, limit), limit + 1)), limit, not after
    )


def find_items(
    backend: Backend, query: ItemQuery, owner: str, after: str = "", size_hint: int = MAX_ITEMS
) -> Iterator[SearchHit]:
    """Items in the order of a search.

    Args:
        hint: About how many will be taken.
    """
    if query.coverage is not None and (query.shape is None or not query.shape.area):
        raise InvalidInputError(
            "coverage is a percentage of an area: give bbox or intersects with an area too"
        )
    products = (SearchHit(product) for product in _find_products(backend, query, after, size_hint))
    results = _find_results(backend, query, owner, after) if query.includes_results else []
    waiting = next(products, None)
    for result in results:
        while waiting is not None and (
            waiting.sort_key > result.sort_key if query.latest_first else waiting.sort_key < result.sort_key
        ):
            yield waiting
            waiting = next(products, None)
        yield result
    if waiting is not None:
        yield waiting
        yield from products


def get_item(backend: Backend, collection: str, id: str, owner: str) -> SearchHit:
    """One item by its id.

    Raises:
        NotFoundError: There is none in this collection, or it is another's.
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
    raise NotFoundError(f"collection {collection} has no item {id[:200]!r}; a search finds those it has")


def matches_query(hit: SearchHit, query: ItemQuery) -> bool:
    """Whether an item is wanted, by all that is known of it."""
    if (query.ids and hit.id not in query.ids) or (query.tiles and hit.product.tile not in query.tiles):
        return False
    moment = hit.product.sensing_time
    if (query.start and moment < query.start) or (query.end and moment > query.end):
        return False
    if query.filter is not None and not evaluate(query.filter, hit.values(), lambda: hit.shape):
        return False
    if query.shape is None:
        return True
    shape = hit.shape
    if not query.shape.intersects(shape):
        return False
    return query.coverage is None or 100 * covered_share(query.shape, shape) >= query.coverage - 1e-6


def _find_products(backend: Backend, query: ItemQuery, after: str, size_hint: int) -> Iterator[Product]:
    import shapely

    if query.shape is not None:
        shapely.prepare(query.shape)
    last = parse_page_token(after) if after else None
    for product in (
        _scan_best_products(backend, query, after, size_hint)
        if query.newest
        else _scan_catalog(backend, query, after, size_hint)
    ):
        # The same product of another source stands beside it.
        if (last is None or (product.sensing_time, product.id) != last[:2]) and matches_query(
            SearchHit(product), query
        ):
            last = sort_key(product)
            yield product


def _scan_catalog(backend: Backend, wanted: ItemQuery, after: str, size_hint: int) -> Iterator[Product]:
    """All products that may be wanted, in order."""
    asked = build_catalog_query(wanted)
    if asked is None:
        return
    # One question more costs more than some products that are not needed.
    limit, looked_at, catalog = (
        min(max(size_hint + size_hint // 4 + 1, 20), MAX_ITEMS + 1),
        0,
        backend.catalog(),
    )
    while True:
        found = catalog.search(replace(asked, after=after, limit=limit))
        yield from found.products
        looked_at += len(found.products)
        if not found.next:
            return
        if looked_at >= MAX_SCANNED:
            raise InvalidInputError(
                f"more than {MAX_SCANNED:,} products would have to be looked at for this; name a smaller place or a shorter period"
            )
        after, limit = found.next, min(4 * limit, MAX_ITEMS + 1)


def _scan_best_products(backend: Backend, query: ItemQuery, after: str, size_hint: int) -> Iterator[Product]:
    """The best product of each acquisition, in order: those of one are near one another in time, whatever
    else is wanted of them."""
    if query.ids:
        named = list(_scan_catalog(backend, replace(query, newest=False), "", size_hint))
        if not named:
            return
        times = [product.sensing_time for product in named]
        query = replace(
            query, ids=(), tiles=tuple({product.tile for product in named}), start=min(times), end=max(times)
        )
    last = parse_page_token(after) if after else None
    if last:
        query = (
            replace(query, end=last[0] + MAX_SENSING_SPREAD)
            if query.latest_first
            else replace(query, start=last[0] - MAX_SENSING_SPREAD)
        )
    best: dict[str, Product] = {}
    waiting: deque[Product] = deque()

    def ripe(until: datetime | None) -> Iterator[Product]:
        """Those before which and beside which no other product can come any more."""
        while waiting and (until is None or abs(waiting[0].sensing_time - until) > MAX_SENSING_SPREAD):
            product = waiting.popleft()
            ahead = last is None or (
                sort_key(product) < last if query.latest_first else sort_key(product) > last
            )
            if ahead and sort_key(product) == sort_key(best[product.acquisition]):
                yield product

    for product in _scan_catalog(backend, query, "", size_hint):
        yield from ripe(product.sensing_time)
        rival = best.get(product.acquisition)
        if rival is None or product.rank > rival.rank:
            best[product.acquisition] = product
        waiting.append(product)
    yield from ripe(None)


def _find_results(backend: Backend, query: ItemQuery, owner: str, after: str) -> list[SearchHit]:
    """Finished jobs of an owner, in the order of a search."""
    last = parse_page_token(after) if after else None
    jobs = (
        list(_find_jobs(backend, query.ids))
        if query.ids
        else list(islice(find_all(backend.records, Job, owner=owner), MAX_SCANNED + 1))
    )
    if len(jobs) > MAX_SCANNED:
        raise InvalidInputError(
            f"there are more than {MAX_SCANNED:,} results of yours to look at; name the collections to search, or the ids of results"
        )
    results = [
        found
        for job in jobs
        if job.owner == owner
        and job.state in FINISHED_STATES
        and matches_query(found := SearchHit(job.product, job), query)
    ]
    results.sort(key=lambda found: found.sort_key, reverse=query.latest_first)
    return [
        found
        for found in results
        if last is None or (found.sort_key < last if query.latest_first else found.sort_key > last)
    ]


def _find_jobs(backend: Backend, ids: Iterable[str]) -> Iterator[Job]:
    """Jobs among the items named; products have names of their own."""
    for id in dict.fromkeys(ids):
        if id.startswith("job_") and (job := backend.records.get(Job, id)):
            yield job
