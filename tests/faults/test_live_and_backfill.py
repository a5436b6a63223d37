"""Passes whose products come as news in any order: the end is what a backfill of the same catalog selects."""

import random
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import box, mapping

from backends import with_adapters
from catalog_samples import real_products
from faults.pass_chain import Chain
from products import product
from profiles import examples
from revisit.domain.aoi import AOI
from revisit.domain.recipe import Recipe
from revisit.domain.selection import SAME_SHARE, select_passes
from revisit.geo.mgrs_tile import Tile
from revisit.ports.catalog import Page, Query
from revisit.services.subscriptions.backfill import past_passes
from samples import subscription

BETWEEN = AOI.parse(mapping(box(9.09, 45.3, 9.15, 45.32)))
"""Wholly in tile 32TNR, whose western neighbour 32TMR ends within it."""
LARGE = AOI.parse(mapping(box(8.9, 45.0, 9.2, 45.7)))
"""Of several tiles, and too large for one job a pass at 10 m."""


def watch(aoi):
    return subscription(
        aoi=aoi.geometry, tiles=tuple(aoi.tiles), recipe=Recipe(indices=("NDVI",)), max_cloud=20.0
    )


@pytest.fixture
def chain(memory_folder):
    return Chain(memory_folder)


@st.composite
def known_products(draw):
    """Up to seven products of two passes: tiles, baselines, halves, levels and sources."""
    found = {}
    for number in range(draw(st.integers(1, 7))):
        west, east = draw(st.sampled_from([(8.0, 9.12), (9.1, 10.4), (8.0, 10.4)]))
        ring = [[west, 44.5], [east, 44.5], [east, 45.9], [west, 45.9], [west, 44.5]]
        one = product(
            draw(st.sampled_from([1, 2])),
            draw(st.sampled_from(["L2A", "L2A", "L2A", "L1C"])),
            draw(st.sampled_from(["32TNR", "32TMR"])),
            cloud=draw(st.sampled_from([5.0, 50.0, None])),
            id=f"product-{number}",
            source=draw(st.sampled_from(["folder:/a", "folder:/b"])),
            baseline=draw(st.sampled_from(["0510", "0511", "9999"])),
            west=west,
            east=east,
            south=44.5,
            north=45.9,
            footprint={"type": "Polygon", "coordinates": [ring]},
        )
        found[one.id, one.source] = one
    return list(found.values())


def announce(chain, products, moves):
    """Announce products one after the other; after each, the moves given for it happen."""
    for one, between in zip(products, moves, strict=False):
        chain.announce(one)
        for move in between:
            if move in ("take", "end"):
                getattr(chain, move)()
            else:
                chain.run(move)
    chain.settle()


class ListedCatalog:
    """A catalog of a few products, in memory."""

    def __init__(self, products):
        self._products = sorted(products, key=lambda one: (one.sensing_time, one.id))

    def search(self, query):
        found = [one for one in self._products if one.tile in query.tiles and one.level == query.level]
        return Page(tuple(found))


def check(chain, watched, aoi, products):
    """Jobs, their tiles and their alerts are those of a backfill; returns the number of passes."""
    backend = with_adapters(chain.backend, catalog=lambda: ListedCatalog(products))
    selected = {one.observed: one for one in past_passes(backend, watched, Query())}
    jobs = {job.observed: job for job in chain.jobs}
    too_cloudy = {id for id, job in jobs.items() if watched.rejection_reason(job.product)}
    assert all(jobs[id].state == "skipped" and "more than 20 %" in jobs[id].reason for id in too_cloudy)
    assert jobs.keys() - too_cloudy == selected.keys()
    for id, one in selected.items():
        job = jobs[id]
        assert (job.state, job.product.tile) == ("done", one.product.tile)
        [taken] = select_passes(job.products, aoi.shape, "L2A", not job.pass_id)
        assert taken.coverage >= one.coverage - SAME_SHARE
    kinds = Counter((alert.job, alert.kind) for alert in chain.alerts)
    assert all(kinds[job.id, "new"] == 1 for id, job in jobs.items() if id in selected)
    assert {alert.job for alert in chain.alerts} <= {job.id for job in jobs.values()}
    return len(selected)


MOVES = st.lists(st.sampled_from(["notify", "notify", "take", "end", "deliver"]), max_size=8)


@settings(
    max_examples=examples(300) // 2,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    products=known_products(),
    moves=st.lists(MOVES, min_size=7, max_size=7),
    aoi=st.sampled_from([BETWEEN, LARGE]),
)
def test_any_order_of_the_news_ends_as_a_backfill_would(chain, products, moves, aoi):
    watched = watch(aoi)
    chain.empty()
    chain.put(watched)
    announce(chain, products, moves)
    check(chain, watched, aoi, products)


def test_months_of_a_real_catalogue_in_a_random_order_end_as_a_backfill_would(chain):
    chosen, aoi = random.Random(1), AOI.parse(mapping(Tile.parse("31UFS").footprint.centroid.buffer(0.02)))
    days = (datetime(2019, 5, 1, tzinfo=UTC), datetime(2019, 7, 15, tzinfo=UTC))
    known = real_products()
    products = [one for one in known if one.tile == "31UFS" and days[0] <= one.sensing_time < days[1]]
    watched = watch(aoi)
    chain.put(watched)
    chosen.shuffle(products)
    steps = ["notify", "take", "end", "deliver"]
    announce(chain, products, [chosen.choices(steps, k=chosen.randrange(4)) for _ in products])
    assert check(chain, watched, aoi, products) > 3


@pytest.mark.parametrize("first", ["32TNR", "32TMR"])
@pytest.mark.parametrize("cloudy", ["32TNR", "32TMR"])
@pytest.mark.parametrize("is_settled", [False, True])
def test_the_tile_that_covers_most_decides_whichever_comes_first(chain, first, cloudy, is_settled):
    tiles = [first, *({"32TNR", "32TMR"} - {first})]
    news = [product(1, tile=tile, west=8.0, cloud=50.0 if tile == cloudy else 5.0) for tile in tiles]
    watched = watch(BETWEEN)
    chain.put(watched)
    for one in news:
        chain.announce(one)
        if is_settled:
            chain.settle()
    chain.settle()
    assert check(chain, watched, BETWEEN, news) == (cloudy == "32TMR")
