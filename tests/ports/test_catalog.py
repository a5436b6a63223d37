"""Contract of `ports.Catalog`, for every adapter."""

from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
import shapely

from catalog_samples import (
    FOLDER_SOURCE,
    ROME,
    STAC_SOURCE,
    START,
    SUVA,
    TAVEUNI,
    TILES,
    TURIN,
    add_products,
    bounds_of,
    page_ids,
    product,
    real_products,
)
from figures import figure
from revisit.domain.selection import select_best_products
from revisit.errors import InvalidInputError
from revisit.ports.catalog import OrderBy, Page, Query
from revisit.ports.catalog_schema import to_table


@pytest.fixture
def catalog(backend):
    return backend.catalog()


# ------------------------------------------------------------------------------------------------------------
# -------
# growing


def test_an_empty_catalog_answers_with_nothing(catalog):
    assert catalog.search(Query()) == Page(())
    assert catalog.get("product-000") is None
    assert catalog.read_additions(0) == ([], 0)
    assert catalog.freshness() == []
    assert catalog.missing_mask(STAC_SOURCE, ["a", "b"]).tolist() == [True, True]
    assert catalog.missing_mask(STAC_SOURCE, []).tolist() == []
    assert catalog.add(to_table([])) == 0


def test_a_product_comes_back_as_it_went_in(catalog):
    full = product(
        cloud_cover=12.5,
        relative_orbit=8,
        baseline="0511",
        published=START + timedelta(hours=3, microseconds=7),
        size=10**9,
        href="https://example.org/item",
        footprint={"type": "Polygon", "coordinates": [[[7.0, 45.0], [8.5, 45.0], [8, 46], [7.0, 45.0]]]},
    )
    add_products(catalog, full, product(1))
    assert catalog.get(full.id) == full
    assert catalog.search(Query(tiles=(TURIN,))).products == (full, product(1))
    assert catalog.read_additions(0) == ([full, product(1)], 2)


def test_a_repeated_refresh_adds_nothing(catalog):
    assert add_products(catalog, *map(product, range(5))) == 5
    assert add_products(catalog, *map(product, range(7))) == 2
    assert add_products(catalog, *map(product, range(7))) == 0
    assert len(catalog.search(Query()).products) == 7
    assert catalog.read_additions(7) == ([], 7)


def test_a_batch_that_repeats_itself_counts_once(catalog):
    assert add_products(catalog, product(), product(), product()) == 1


def test_ids_are_known_by_source(catalog):
    add_products(catalog, product(1), product(2, source=FOLDER_SOURCE))
    assert catalog.missing_mask(STAC_SOURCE, ["product-001", "product-002", "product-003"]).tolist() == [
        False,
        True,
        True,
    ]
    assert catalog.missing_mask(FOLDER_SOURCE, pa.array(["product-001", "product-002"])).tolist() == [
        True,
        False,
    ]


def test_the_same_product_in_two_sources_is_two_rows(catalog):
    assert add_products(catalog, product(), product(source=FOLDER_SOURCE)) == 2
    assert [found.source for found in catalog.search(Query(tiles=(TURIN,))).products] == [
        FOLDER_SOURCE,
        STAC_SOURCE,
    ]
    assert catalog.get("product-000", FOLDER_SOURCE).source == FOLDER_SOURCE


def test_a_product_published_again_replaces_its_earlier_version(catalog):
    first, updated = (
        product(published=START, cloud_cover=5.0),
        product(published=START + timedelta(days=9), cloud_cover=80.0),
    )
    add_products(catalog, first, product(1))
    assert add_products(catalog, updated) == 1
    assert catalog.get(first.id) == updated
    assert catalog.search(Query(tiles=(TURIN,))).products == (updated, product(1))
    assert page_ids(catalog.search(Query(max_cloud=20))) == ["product-001"]
    assert catalog.read_additions(0) == ([first, product(1), updated], 3)
    assert [entry.rows for entry in catalog.freshness()] == [2]


def test_an_older_version_that_arrives_late_does_not_replace_a_newer_one(catalog):
    latest = product(published=START + timedelta(days=9))
    add_products(catalog, latest)
    assert add_products(catalog, product(published=START), product(published=None)) == 2
    assert catalog.get(latest.id) == latest
    assert catalog.search(Query()).products == (latest,)
    assert [entry.rows for entry in catalog.freshness()] == [1]


def test_a_removed_product_is_unknown_until_it_is_added_again(catalog):
    older, newer, other = product(1), product(1, published=START + timedelta(days=9)), product(2)
    catalog.add(to_table([older, newer, other]))
    assert catalog.remove(older.source, [older.id, other.id[:-1], older.id]) == 1
    assert catalog.remove(older.source, [older.id]) == catalog.remove("folder:/b", [other.id]) == 0
    assert catalog.get(older.id) is None
    assert catalog.search(Query()).products == (other,)
    assert catalog.missing_mask(older.source, [older.id, other.id]).tolist() == [True, False]
    assert [entry.rows for entry in catalog.freshness()] == [1]
    found, cursor = catalog.read_additions(0)
    assert found == [other]
    # The same versions come back, at another place.
    back = [replace(one, href="/elsewhere") for one in (newer, older)]
    assert catalog.add(to_table(back)) == 2 and catalog.add(to_table(back)) == 0
    assert catalog.get(older.id) == back[0]
    assert catalog.search(Query(tiles=(older.tile,), ids=(older.id,))).products == (back[0],)
    assert [entry.rows for entry in catalog.freshness()] == [2]
    assert catalog.read_additions(cursor)[0] == back
    assert catalog.remove(older.source, [older.id]) == 1 and catalog.get(older.id) is None


def test_freshness_is_listed_by_source(catalog):
    add_products(
        catalog,
        product(3, published=START),
        product(1, published=START + timedelta(days=20)),
        product(2, source=FOLDER_SOURCE),
    )
    assert [
        (entry.source, entry.rows, entry.last_sensing, entry.last_published) for entry in catalog.freshness()
    ] == [
        (FOLDER_SOURCE, 1, START + timedelta(days=2), None),
        (STAC_SOURCE, 2, START + timedelta(days=3), START + timedelta(days=20)),
    ]


def test_the_log_is_read_from_the_cursor_on(catalog):
    add_products(catalog, *map(product, (5, 3, 4)))
    seen, cursor = catalog.read_additions(0, limit=2)
    add_products(catalog, product(1))
    more, end = catalog.read_additions(cursor, limit=2)
    assert [found.id for found in seen + more] == ["product-005", "product-003", "product-004", "product-001"]
    assert catalog.read_additions(end) == ([], end)


def test_the_log_skips_products_sensed_before_a_sources_cutoff(catalog):
    add_products(catalog, *(product(number) for number in (400, 3, 0)))
    add_products(catalog, product(1), product(2, source=FOLDER_SOURCE), product(40))
    past = {
        STAC_SOURCE: START + timedelta(days=3),
        "stac:https://nowhere.example#x": START + timedelta(days=900),
    }
    found, end = catalog.read_additions(0, min_sensing_times=past)
    assert [(one.id, one.source) for one in found] == [
        ("product-400", STAC_SOURCE),
        ("product-003", STAC_SOURCE),
        ("product-002", FOLDER_SOURCE),
        ("product-040", STAC_SOURCE),
    ]
    assert catalog.read_additions(end, min_sensing_times=past) == ([], end)
    seen, cursor = [], 0
    while cursor < end:
        more, cursor = catalog.read_additions(cursor, limit=3, min_sensing_times=past)
        assert 1 <= len(more) <= 3
        seen += more
    assert seen == found
    assert catalog.read_additions(0, min_sensing_times={STAC_SOURCE: START + timedelta(days=500)})[0] == [
        found[2]
    ]
    assert (
        catalog.read_additions(
            0,
            min_sensing_times={
                STAC_SOURCE: START + timedelta(days=500),
                FOLDER_SOURCE: START + timedelta(days=500),
            },
        )[0]
        == []
    )


# ------------------------------------------------------------------------------------------------------------
# -------
# searching


def test_all_conditions_of_a_query_apply(catalog):
    add_products(
        catalog,
        product(0, cloud_cover=10.0),
        product(1, cloud_cover=90.0),
        product(2),
        product(3, level="L1C", cloud_cover=1.0),
        product(4, tile=ROME, cloud_cover=1.0),
        product(5, source=FOLDER_SOURCE, cloud_cover=20.0),
    )
    day = timedelta(days=1)
    for query, expected in (
        (Query(tiles=(TURIN,)), [0, 1, 2, 3, 5]),
        (Query(tiles=(TURIN, ROME)), [0, 1, 2, 3, 4, 5]),
        (Query(tiles=("01WCP",)), []),
        (Query(max_cloud=20), [0, 2, 3, 4, 5]),
        (Query(max_cloud=0), [2]),
        (Query(level="L1C"), [3]),
        (Query(source=FOLDER_SOURCE), [5]),
        (Query(source="x"), []),
        (Query(start=START + day, end=START + 3 * day), [1, 2, 3]),
        (Query(tiles=(TURIN,), start=START + day, end=START + 3 * day, max_cloud=50), [2, 3]),
        (Query(start=START + 3 * day, end=START + day), []),
    ):
        assert page_ids(catalog.search(query)) == [f"product-{number:03d}" for number in expected], query


def test_pages_follow_one_another_without_a_gap_while_the_catalog_grows(catalog):
    add_products(
        catalog,
        *(
            product(number // 10, id=f"p-{number:03d}", source=STAC_SOURCE if number % 3 else FOLDER_SOURCE)
            for number in range(0, 100, 2)
        ),
    )
    seen, after = [], ""
    while True:
        page = catalog.search(Query(tiles=(TURIN,), limit=7, after=after))
        seen += page_ids(page)
        if not page.next:
            break
        if len(seen) == 21:
            add_products(
                catalog, *(product(number // 10, id=f"p-{number:03d}") for number in range(1, 100, 2))
            )
        after = page.next
    # Products that sort before the page being read when the catalog grew are missed; none is repeated.
    assert seen == [f"p-{number:03d}" for number in range(100) if number % 2 == 0 or number > 40]


@pytest.mark.parametrize(
    "order_by",
    [
        (OrderBy("cloud_cover"),),
        (OrderBy("cloud_cover", descending=True), OrderBy("tile")),
        (OrderBy("tile", descending=True), OrderBy("relative_orbit")),
        (OrderBy("relative_orbit", descending=True), OrderBy("sensing_time"), OrderBy("cloud_cover")),
    ],
    ids=["cloud", "cloud-tile", "tile-orbit", "orbit-time-cloud"],
)
@pytest.mark.parametrize("latest_first", [True, False])
def test_pages_in_the_order_of_other_columns_are_one_list(catalog, order_by, latest_first):
    products = [
        product(
            number % 4,
            id=f"p-{number:02d}",
            tile=TILES[number % 3],
            source=FOLDER_SOURCE if number % 5 else STAC_SOURCE,
            cloud_cover=None if number % 7 == 0 else float(number % 3),
            relative_orbit=None if number % 4 == 0 else 1 + number % 2,
        )
        for number in range(30)
    ]
    add_products(catalog, *products)
    query = Query(order_by=order_by, latest_first=latest_first, limit=4, tiles=TILES[:2])
    found, page = [], catalog.search(query)
    found += page.products
    while page.next:
        page = catalog.search(replace(query, after=page.next))
        found += page.products

    def key(one):
        values = [getattr(one, key.column) for key in order_by]
        ordered = [
            (value is None, 0 if value is None else _reverse(value) if key.descending else value)
            for key, value in zip(order_by, values, strict=True)
        ]
        ties = (one.sensing_time, one.id, one.source)
        return (*ordered, *(map(_reverse, ties) if latest_first else ties))

    assert found == sorted((one for one in products if one.tile in TILES[:2]), key=key)


def _reverse(value):
    """Key that sorts in the opposite order of the value."""
    if isinstance(value, str):
        return [-ord(letter) for letter in value]
    return -(value.timestamp() if isinstance(value, datetime) else value)


def test_the_same_id_at_the_same_time_in_two_sources_is_on_two_pages(catalog):
    add_products(catalog, product(), product(source=FOLDER_SOURCE))
    first = catalog.search(Query(limit=1))
    second = catalog.search(Query(limit=1, after=first.next))
    assert [found.source for found in first.products + second.products] == [FOLDER_SOURCE, STAC_SOURCE]
    assert not second.next


@pytest.mark.parametrize(
    "query",
    [
        Query(after="nowhere"),
        Query(after="2024-13-01|a|b"),
        Query(after="2024-06-01|a|b", order_by=(OrderBy("tile"),)),
        Query(after='[5, "2024-06-01T00:00:00Z", "a", "b"]', order_by=(OrderBy("tile"),)),
        Query(after='["2024-06-01T00:00:00Z", "a", "b"]', order_by=(OrderBy("cloud_cover"),)),
        Query(limit=0),
        Query(bounds=(0, 50, 1, 40)),
        Query(bounds=(0, 0, 200, 1)),
        Query(bounds=(float("nan"), 0, 1, 1)),
    ],
)
def test_an_invalid_query_is_refused(catalog, query):
    with pytest.raises(InvalidInputError):
        catalog.search(query)


@pytest.mark.parametrize("text", ["'); attach 'x' as y; --", "a'b", '"', "\x00", "%", "*", "€" * 50])
def test_user_input_is_passed_as_parameters_only(catalog, text):
    odd = product(id=f"odd{text}", source=f"folder:{text}")
    add_products(catalog, odd, product(1))
    assert catalog.missing_mask(odd.source, [odd.id, text]).tolist() == [False, True]
    assert catalog.get(odd.id, odd.source) == odd
    assert catalog.search(Query(source=odd.source)).products == (odd,)
    assert catalog.search(Query(tiles=(text,))).products == ()
    assert catalog.get(text) is None


def test_bounds_match_on_both_sides_of_the_antimeridian(catalog):
    west, south, east, north = bounds_of(TAVEUNI)
    assert west > east
    middle = (south + north) / 2
    add_products(
        catalog,
        product(0, tile=TAVEUNI),
        product(1, tile=SUVA),
        product(2, tile=TURIN),
        product(3, tile=TAVEUNI, bounds=(west, south, 179.9, north)),
    )
    for bounds, expected in (
        ((179.95, middle, 180.0, middle), [0]),
        ((-180.0, middle, -179.9, middle), [0]),
        ((179.5, middle, -179.9, middle + 0.1), [0, 1, 3]),
        ((179.99, middle, -170.0, middle + 0.1), [0]),
        ((7.0, 44.5, 7.5, 45.0), [2]),
        ((-10.0, 80.0, 10.0, 81.0), []),
        ((-180.0, -90.0, 180.0, 90.0), [0, 1, 2, 3]),
        ((west - 0.2, middle, west - 0.1, middle), [1]),
    ):
        assert page_ids(catalog.search(Query(bounds=bounds))) == [
            f"product-{number:03d}" for number in expected
        ], bounds


# ------------------------------------------------------------------------------------------------------------
# -----
# real products


def test_real_products_are_found_by_place_and_grouped_into_acquisitions(catalog):
    products = real_products()
    assert len(products) == 2271
    assert add_products(catalog, *products) == 2271
    assert add_products(catalog, *products) == 0
    here = shapely.box(4.6, 50.9, 5.0, 51.1)
    found = []
    page = catalog.search(Query(bounds=here.bounds, limit=100))
    while page.next:
        found += page.products
        page = catalog.search(Query(bounds=here.bounds, limit=100, after=page.next))
    found += page.products
    expected = {
        one.id for one in products if here.intersects(shapely.box(one.west, one.south, one.east, one.north))
    }
    assert {one.id for one in found} == expected
    # By name alone: what one satellite sensed of one tile in one datatake.
    acquisitions = {}
    for title in expected:
        platform, _, datatake, _, _, tile, _ = title.split("_")
        acquisitions.setdefault((platform, datatake, tile), []).append(title)
    chosen = select_best_products(found)
    # 3 acquisitions have two datastrips, which complete one another.
    assert len(chosen) - 3 == len(acquisitions) < len(found)
    for one in chosen:
        rivals = acquisitions[one.platform, one.datatake, f"T{one.tile}"]
        versions = [(title.split("_")[1][3:], title.split("_")[3][1:]) for title in rivals]
        assert (one.level, one.baseline) == max(versions, key=lambda of: (of[0], of[1] != "9999", of[1]))
    figure(
        "real catalog",
        f"{len(products)} products taken in, 0 by a second refresh, {len(found)} of them here grouped into "
        f"{len(chosen)} acquisitions",
    )
