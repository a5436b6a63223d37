"""Why no pass over an area meets the conditions of an order or a subscription, as one sentence."""

from collections.abc import Sequence
from dataclasses import replace

from revisit.domain.aoi import AOI
from revisit.domain.product import LEVELS, LevelChoice, Product
from revisit.domain.selection import PassSelection
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.services.products.search import KnownPasses, products_over

MAX_PRODUCTS = 1_000
"""Products that are read to say what is known instead: those of some years over one tile."""


def no_match_note(
    backend: Backend,
    aoi: AOI,
    query: Query,
    level: LevelChoice | None,
    found: KnownPasses,
    max_cloud: float | None = None,
    min_coverage: float | None = None,
) -> str:
    """Why none of the passes is left, and what is known instead: other levels, other dates or nothing.

    Args:
        query: Source, period and tiles that were requested.
        level: Level that was requested.
        found: The passes of the period; none of them meets the limits.
        max_cloud: Maximum cloud cover of the whole product, percent.
        min_coverage: Minimum coverage of the AOI by the footprint, percent.
    """
    if found.passes:
        return rejected_passes_note(found.passes, max_cloud, min_coverage)
    of_source = f" of {query.source}" if query.source else ""
    other = next((name for name in LEVELS if level in LEVELS and name != level), None)
    if other:
        passes = {product.pass_id for product in _known(backend, aoi, query) if product.level == other}
        if passes:
            count = "1 pass is" if len(passes) == 1 else f"{len(passes):,} passes are"
            return f"no {level} product{of_source} is known in the period, but {count} as {other}"
    known = _known(backend, aoi, replace(query, start=None, end=None))
    if not known:
        return f"no product{of_source} over the area is known, of any date"
    count = "1 product" if len(known) == 1 else f"{len(known):,} products"
    first, last = (f"{one.sensing_time:%Y-%m-%d}" for one in (known[0], known[-1]))
    dates = f"of {first}" if first == last else f"of {first} to {last}"
    if len(known) == MAX_PRODUCTS:
        count, dates = f"more than {count}", f"since {first}"
    return f"no product{of_source} over the area is known in the period, but {count} {dates}"


def rejected_passes_note(
    passes: Sequence[PassSelection], max_cloud: float | None, min_coverage: float | None
) -> str:
    """Which limits the passes miss, all of which miss one; both limits are percentages."""
    cloudy = [
        one.product for one in passes if _cloud(one.product) > (100 if max_cloud is None else max_cloud)
    ]
    reasons = []
    if cloudy:
        least = min(cloudy, key=_cloud)
        reasons.append(
            f"{len(cloudy):,} with more than {max_cloud:g} % cloud, "
            f"the least {_cloud(least):.4g} % on {least.sensing_time:%Y-%m-%d}"
        )
    if len(passes) > len(cloudy):
        reasons.append(f"{len(passes) - len(cloudy):,} over less than {min_coverage or 0:g} % of the area")
    which = (
        "the only known pass does not meet" if len(passes) == 1 else f"none of {len(passes):,} passes meets"
    )
    return f"{which} the conditions: {'; '.join(reasons)}"


def _cloud(product: Product) -> float:
    """Cloud cover of a product in percent; 0 where it does not state it."""
    return product.cloud_cover or 0.0


def _known(backend: Backend, aoi: AOI, query: Query) -> list[Product]:
    return products_over(backend, aoi, replace(query, level=None), MAX_PRODUCTS)
