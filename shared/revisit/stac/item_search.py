"""Items found in the catalog and among one's own results: exactly, in order, page by page, one question to the catalog at a time."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Self

from revisit.domain.aoi import AOI
from revisit.domain.clock import rfc3339
from revisit.domain.footprint import footprint
from revisit.domain.job import FINISHED, Job
from revisit.domain.product import Product
from revisit.errors import BadInput, NotFound
from revisit.ports.backend import Backend
from revisit.ports.catalog_query import place_of
from revisit.ports.pagination import every
from revisit.stac.cql2 import holds
from revisit.stac.search_area import share
from revisit.stac.search_query import APART, RESULTS, Wanted, key, query

MOST = 10_000
"""Items that one question may have to hold at once, to be sorted, counted or exported."""
LOOKED_AT = 50_000
"""Products that may be looked at for one page."""


@dataclass(frozen=True, slots=True)
class Found:
    """One item found: a product, or a job of whoever asks."""

    product: Product
    job: Job | None = None

    @property
    def id(self) -> str:
        return self.job.id if self.job else self.product.id

    @property
    def key(self) -> tuple[datetime, str, str]:
        """Where it stands in the order of a search."""
        return self.product.sensing_time, self.id, "" if self.job else self.product.source

    @property
    def shape(self) -> Any:
        """Its geometry, as a shapely one."""
        return AOI.of(self.job.aoi).shape if self.job else footprint(self.product)

    def values(self) -> Mapping[str, Any]:
        """What it can be filtered and sorted by."""
        from revisit.stac import product_item, result_item

        if self.job:
            return {**result_item.fields(self.job), "id": self.id, "collection": RESULTS}
        return {**product_item.fields(self.product), "id": self.id, "collection": product_item.COLLECTIONS[self.product.level]}


@dataclass(frozen=True, slots=True)
class Pageful:
    """Some items, and where to go on."""

    items: tuple[Found, ...]
    next: str = ""
    matched: int | None = None
    """How many there are in all, where that costs nothing to say."""

    @classmethod
    def of(cls, found: list[Found], limit: int, first: bool) -> Self:
        """A page of one more than fit, where there are more."""
        items = tuple(found[:limit])
        return cls(items, place(items[-1]) if len(found) > limit else "", len(items) if first and len(found) <= limit else None)


def place(found: Found) -> str:
    """Where a page that ends with it ends."""
    moment, id, source = found.key
    return f"{rfc3339(moment)}|{id}|{source}"


def page(backend: Backend, wanted: Wanted, owner: str, limit: int, after: str = "") -> Pageful:
    """Items by (datetime, id).

    Args:
        owner: Whose results are among them.
        after: The `next` of the page before.

    Raises:
        BadInput: What is wanted makes no sense, or too much would have to be looked at.
    """
    return Pageful.of(list(islice(find(backend, wanted, owner, after, limit), limit + 1)), limit, not after)


def find(backend: Backend, wanted: Wanted, owner: str, after: str = "", hint: int = MOST) -> Iterator[Found]:
    """Items in the order of a search.

    Args:
        hint: About how many will be taken.
    """
    if wanted.coverage is not None and (wanted.shape is None or not wanted.shape.area):
        raise BadInput("coverage is a percentage of an area: give bbox or intersects with an area too")
    products = (Found(product) for product in _products(backend, wanted, after, hint))
    results = _results(backend, wanted, owner, after) if wanted.results else []
    waiting = next(products, None)
    for result in results:
        while waiting is not None and (waiting.key > result.key if wanted.latest_first else waiting.key < result.key):
            yield waiting
            waiting = next(products, None)
        yield result
    if waiting is not None:
        yield waiting
        yield from products


def one(backend: Backend, collection: str, id: str, owner: str) -> Found:
    """One item by its id.

    Raises:
        NotFound: There is none in this collection, or it is another's.
    """
    from revisit.stac.product_item import COLLECTIONS

    if collection == RESULTS:
        job = backend.records.get(Job, id)
        if job and job.owner == owner and job.state in FINISHED:
            return Found(job.product, job)
    elif collection in COLLECTIONS.values():
        product = backend.catalog().get(id)
        if product and COLLECTIONS[product.level] == collection:
            return Found(product)
    else:
        raise NotFound(f"there is no collection {collection[:80]!r}; /stac/collections lists them")
    raise NotFound(f"collection {collection} has no item {id[:200]!r}; a search finds those it has")


def passes(found: Found, wanted: Wanted) -> bool:
    """Whether an item is wanted, by all that is known of it."""
    if (wanted.ids and found.id not in wanted.ids) or (wanted.tiles and found.product.tile not in wanted.tiles):
        return False
    moment = found.product.sensing_time
    if (wanted.start and moment < wanted.start) or (wanted.end and moment > wanted.end):
        return False
    if wanted.filter is not None and not holds(wanted.filter, found.values(), lambda: found.shape):
        return False
    if wanted.shape is None:
        return True
    shape = found.shape
    if not wanted.shape.intersects(shape):
        return False
    return wanted.coverage is None or 100 * share(wanted.shape, shape) >= wanted.coverage - 1e-6


def _products(backend: Backend, wanted: Wanted, after: str, hint: int) -> Iterator[Product]:
    import shapely

    if wanted.shape is not None:
        shapely.prepare(wanted.shape)
    last = place_of(after) if after else None
    for product in _best(backend, wanted, after, hint) if wanted.newest else _all(backend, wanted, after, hint):
        # The same product of another source stands beside it.
        if (last is None or (product.sensing_time, product.id) != last[:2]) and passes(Found(product), wanted):
            last = key(product)
            yield product


def _all(backend: Backend, wanted: Wanted, after: str, hint: int) -> Iterator[Product]:
    """All products that may be wanted, in order."""
    asked = query(wanted)
    if asked is None:
        return
    # One question more costs more than some products that are not needed.
    limit, looked_at, catalog = min(max(hint + hint // 4 + 1, 20), MOST + 1), 0, backend.catalog()
    while True:
        found = catalog.search(replace(asked, after=after, limit=limit))
        yield from found.products
        looked_at += len(found.products)
        if not found.next:
            return
        if looked_at >= LOOKED_AT:
            raise BadInput(f"more than {LOOKED_AT:,} products would have to be looked at for this; name a smaller place or a shorter period")
        after, limit = found.next, min(4 * limit, MOST + 1)


def _best(backend: Backend, wanted: Wanted, after: str, hint: int) -> Iterator[Product]:
    """The best product of each acquisition, in order: those of one are near one another in time, whatever else is wanted of them."""
    if wanted.ids:
        named = list(_all(backend, replace(wanted, newest=False), "", hint))
        if not named:
            return
        times = [product.sensing_time for product in named]
        wanted = replace(wanted, ids=(), tiles=tuple({product.tile for product in named}), start=min(times), end=max(times))
    last = place_of(after) if after else None
    if last:
        wanted = replace(wanted, end=last[0] + APART) if wanted.latest_first else replace(wanted, start=last[0] - APART)
    best: dict[str, Product] = {}
    waiting: deque[Product] = deque()

    def ripe(until: datetime | None) -> Iterator[Product]:
        """Those before which and beside which no other product can come any more."""
        while waiting and (until is None or abs(waiting[0].sensing_time - until) > APART):
            product = waiting.popleft()
            ahead = last is None or (key(product) < last if wanted.latest_first else key(product) > last)
            if ahead and key(product) == key(best[product.acquisition]):
                yield product

    for product in _all(backend, wanted, "", hint):
        yield from ripe(product.sensing_time)
        rival = best.get(product.acquisition)
        if rival is None or product.rank > rival.rank:
            best[product.acquisition] = product
        waiting.append(product)
    yield from ripe(None)


def _results(backend: Backend, wanted: Wanted, owner: str, after: str) -> list[Found]:
    """Finished jobs of an owner, in the order of a search."""
    last = place_of(after) if after else None
    jobs = list(_named(backend, wanted.ids)) if wanted.ids else list(islice(every(backend.records, Job, owner=owner), LOOKED_AT + 1))
    if len(jobs) > LOOKED_AT:
        raise BadInput(f"there are more than {LOOKED_AT:,} results of yours to look at; name the collections to search, or the ids of results")
    results = [found for job in jobs
               if job.owner == owner and job.state in FINISHED and passes(found := Found(job.product, job), wanted)]
    results.sort(key=lambda found: found.key, reverse=wanted.latest_first)
    return [found for found in results if last is None or (found.key < last if wanted.latest_first else found.key > last)]


def _named(backend: Backend, ids: Iterable[str]) -> Iterator[Job]:
    """Jobs among the items named; products have names of their own."""
    for id in dict.fromkeys(ids):
        if id.startswith("job_") and (job := backend.records.get(Job, id)):
            yield job
