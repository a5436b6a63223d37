"""The sources of products: a catalog has a product once for each source that lists it."""

from collections.abc import Mapping, Sequence

from revisit.domain.product import Product
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.ports.pagination import search_all
from revisit.ports.system_records import SourceState
from revisit.stac.search_query import MAX_SENSING_SPREAD

MAX_PRODUCTS = 100
"""Products whose sources are looked up at once; on a larger page of items they are left out."""


def find_sources(backend: Backend, products: Sequence[Product]) -> Mapping[str, tuple[str, ...]]:
    """SPECs of the sources of each product by its id, that of the product first.

    One query of the catalog; none in a deployment with one source, where each query takes a second.

    Returns:
        Empty for more than `MAX_PRODUCTS` products.
    """
    if not products or len(products) > MAX_PRODUCTS:
        return {}
    own = {product.id: product.source for product in products}
    if backend.settings.on_google_cloud and _known_source_count(backend) < 2:
        return {id: (source,) for id, source in own.items()}
    times = [product.sensing_time for product in products]
    query = Query(
        tuple(sorted({product.tile for product in products})),
        start=min(times) - MAX_SENSING_SPREAD,
        end=max(times) + MAX_SENSING_SPREAD,
        ids=tuple(own),
    )
    others: dict[str, set[str]] = {id: set() for id in own}
    for copy in search_all(backend.catalog(), query):
        if copy.id in own and copy.source != own[copy.id]:
            others[copy.id].add(copy.source)
    return {id: (source, *sorted(others[id])) for id, source in own.items()}


def _known_source_count(backend: Backend) -> int:
    """Number of sources that are or were refreshed; 2 stands for more. A deployment takes no others."""
    return len({*backend.sources, *(state.id for state in backend.records.find(SourceState, limit=2))})
