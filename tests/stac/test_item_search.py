"""Pages of a search of any size, in both directions, form one list; also with the newest per acquisition."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from products import FIELD, NOW, product
from profiles import examples
from revisit.adapters.local.backend import local_backend
from revisit.adapters.local.catalog_segment import IndexSegment
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe
from revisit.domain.selection import select_best_products
from revisit.errors import InvalidInputError
from revisit.ports.catalog_schema import to_table
from revisit.stac import item_search
from revisit.stac.cql2 import parse_cql2_text
from revisit.stac.item_search import search_page
from revisit.stac.search_query import ItemQuery, sort_key
from revisit.stac.sorted_search import SortKey, find_sorted_page

PRODUCTS = st.lists(
    st.builds(
        lambda day, level, baseline, source, late, cloud: replace(
            product(day, level, cloud=cloud),
            id=f"S2A_MSI{level}_202406{day:02d}T101600_N{baseline}_R065_T32TNR_{source[-1]}",
            source=source,
            baseline=baseline,
            sensing_time=product(day).sensing_time + timedelta(minutes=late),
        ),
        st.integers(1, 4),
        st.sampled_from(["L1C", "L2A"]),
        st.sampled_from(["0300", "0500", "0510"]),
        st.sampled_from(["folder:/a", "folder:/b"]),
        st.sampled_from([0, 0, 3, 55]),
        st.sampled_from([5.0, 50.0, None]),
    ),
    max_size=14,
    unique_by=lambda one: (one.source, one.id),
)


def pages(backend, wanted, limit, find=search_page, keys=None):
    found, after = [], ""
    while True:
        one = (
            find(backend, wanted, "local", limit, after)
            if keys is None
            else find_sorted_page(backend, wanted, keys, "local", limit, after)
        )
        found += [item.product for item in one.items]
        assert len(one.items) <= limit
        if not one.next:
            return found
        after = one.next


@settings(max_examples=examples(60), deadline=None)
@given(
    PRODUCTS,
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "eo:cloud_cover < 20", "collection = 'sentinel-2-l1c'"]),
)
def test_pages_of_any_size_are_one_list(tmp_path_factory, products, limit, latest_first, newest, text):
    backend = local_backend(tmp_path_factory.mktemp("data"), now=lambda: NOW)
    backend.catalog().add(to_table(products))
    # Who wants L1C wants the best of that.
    wanted = [one for one in products if "collection" not in text or one.level == "L1C"]
    expected = select_best_products(wanted) if newest else products
    meets = {
        "": lambda _: True,
        "eo:cloud_cover < 20": lambda one: one.cloud_cover is not None and one.cloud_cover < 20,
        "collection = 'sentinel-2-l1c'": lambda one: one.level == "L1C",
    }[text]
    expected = sorted(
        (one for one in expected if meets(one)),
        key=lambda one: (one.sensing_time, one.id, one.source),
        reverse=latest_first,
    )
    wanted = ItemQuery(
        newest=newest, latest_first=latest_first, filter=parse_cql2_text(text) if text else None
    )
    assert pages(backend, wanted, limit) == expected
    for descending in (False, True):
        sign = -1 if descending else 1
        by_cloud = sorted(
            sorted(expected, key=sort_key, reverse=True),
            key=lambda one: (one.cloud_cover is None, sign * (one.cloud_cover or 0)),
        )
        keys = [SortKey("eo:cloud_cover", descending)]
        assert pages(backend, wanted, limit, keys=keys) == by_cloud
    keys = [SortKey("eo:cloud_cover", descending=True), SortKey("id")]
    by_cloud = sorted(
        sorted(expected, key=lambda one: one.id),
        key=lambda one: (one.cloud_cover is None, -(one.cloud_cover or 0)),
    )
    assert [one.id for one in pages(backend, replace(wanted, latest_first=True), limit, keys=keys)] == [
        one.id for one in by_cloud
    ]


@pytest.mark.parametrize("name", ["eo:cloud_cover", "sat:relative_orbit", "s2:mgrs_tile"])
def test_the_first_page_of_a_sorted_search_reads_as_many_rows_of_a_large_catalog_as_of_a_small_one(
    tmp_path, monkeypatch, name
):
    rows = []

    def fetch(segment, numbers):
        rows.append(len(numbers))
        return fetched(segment, numbers)

    fetched = IndexSegment.fetch
    monkeypatch.setattr(IndexSegment, "fetch", fetch)
    reads = []
    for count in (200, 2000):
        backend = local_backend(tmp_path / str(count), now=lambda: NOW)
        backend.catalog().add(
            to_table(
                replace(
                    product(1),
                    id=f"p{number}",
                    sensing_time=NOW - timedelta(minutes=number),
                    cloud_cover=number * 100 / count,
                    relative_orbit=1 + number % 100,
                )
                for number in range(count)
            )
        )
        rows.clear()
        page = find_sorted_page(backend, ItemQuery(), [SortKey(name, descending=True)], "local", 10)
        assert len(page.items) == 10 and page.next
        reads.append(sum(rows))
    assert reads[1] <= 1.2 * reads[0] < 100


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "[]",
        "[1, 2]",
        '["a", 5, "2024-06-01T00:00:00Z"]',
        "[null, null, null, null]",
        '[5.0, "a", "yesterday", "b"]',
    ],
)
def test_an_invalid_page_token_is_refused(tmp_path, after):
    backend = local_backend(tmp_path, now=lambda: NOW)
    backend.catalog().add(to_table([product(1), product(2, cloud=5.0)]))
    with pytest.raises(InvalidInputError):
        find_sorted_page(backend, ItemQuery(), [SortKey("eo:cloud_cover"), SortKey("id")], "local", 1, after)


def test_a_search_finds_only_the_callers_results_in_pages(tmp_path, monkeypatch):
    backend = local_backend(tmp_path, now=lambda: NOW)
    jobs = [
        Job(
            f"job_{owner}{day}", product(day), FIELD, Recipe(indices=("NDVI",)), NOW, owner=owner, state=state
        )
        for owner, day, state in (
            ("ann", 1, "done"),
            ("ann", 2, "failed"),
            ("ann", 3, "started"),
            ("bob", 4, "done"),
        )
    ]
    backend.commit(lambda commit: [commit.put(job) for job in jobs], completes_event=False)

    def ids(**wanted):
        return [one.id for one in search_page(backend, ItemQuery(**wanted), "ann", 10).items]

    assert ids() == ["job_ann2", "job_ann1"]
    assert ids(ids=("job_ann1", "job_ann3", "job_bob4", "job_none", product(1).id)) == ["job_ann1"]
    monkeypatch.setattr(item_search, "MAX_SCANNED", 2)
    assert ids(ids=("job_ann2",)) == ["job_ann2"]
    assert ids(collections=("sentinel-2-l2a",)) == []
    with pytest.raises(InvalidInputError, match="more than 2 results would have to be read"):
        ids()
