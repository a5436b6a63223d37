"""STAC items as products and band files: every real item, and invalid ones."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sources.stac_item_samples import bands, items, minimal, product
from data import shared_data
from product_tables import to_products
from profiles import examples
from revisit.adapters.sources import stac_assets, stac_item
from revisit.adapters.sources.allowed_hosts import require_allowed_url
from revisit.adapters.sources.stated_footprint import parse_footprint
from revisit.domain.product_name import ProductName
from revisit.errors import PermanentError
from revisit.ports.catalog_schema import to_table

FILES = {
    "S2A_28QCH_20200714_0_L2A.json": 1,
    "S2B_T06VVN_pc_item.json": 1,
    "S2B_T37MGP_20240710_c1.json": 1,
    "earthsearch_v0_1.json": 1,
    "earthsearch_v0_100_items.json.gz": 100,
    "earthsearch_v1_c1_l2a_1.json": 10,
    "earthsearch_v1_l2a_paged_1.json": 10,
    "earthsearch_v1_l2a_paged_2.json": 6,
    "eodag_earth_search_search.json": 1,
    "odc_site1_strip_africa_9_items.json": 9,
    "rustac_search-page-1.json": 1,
    "rustac_search-page-2.json": 1,
}


@pytest.mark.parametrize(("name", "count"), FILES.items())
def test_every_real_item_becomes_the_product_it_names(name, count):
    read = items(name)
    assert len(read) == count
    for item in read:
        found, properties = product(item), item["properties"]
        stated = properties.get("s2:product_uri") or properties.get("sentinel:product_id")
        if stated:
            parsed = ProductName.parse(stated)
            assert (found.tile, found.platform, found.level) == (parsed.tile, parsed.platform, parsed.level)
            assert (found.baseline, found.relative_orbit) == (parsed.baseline, parsed.relative_orbit)
            assert found.datatake == f"{parsed.datatake:%Y%m%dT%H%M%S}"
        assert found.id == item["id"]
        assert found.sensing_time == datetime.fromisoformat(properties["datetime"]).astimezone(UTC)
        assert (found.west, found.south, found.east, found.north) == pytest.approx(item["bbox"], abs=2e-3)
        assert to_products(to_table([found])) == [found]


def test_the_thousand_items_of_a_geoparquet_become_products():
    import pyarrow.parquet as pq
    import shapely

    rows = pq.read_table(shared_data("stac", "pc_1000_items.parquet")).to_pylist()
    core = {
        "type",
        "stac_version",
        "id",
        "links",
        "assets",
        "collection",
        "bbox",
        "geometry",
        "stac_extensions",
    }
    tiles = set()
    for row in rows:
        properties = {key: value for key, value in row.items() if key not in core}
        item = {
            "id": row["id"],
            "collection": row["collection"],
            "geometry": shapely.geometry.mapping(shapely.from_wkb(row["geometry"])),
            "properties": properties | {"datetime": row["datetime"].isoformat()},
            "assets": row["assets"],
        }
        found = product(item)
        tiles.add(found.tile)
        assert found.cloud_cover == row["eo:cloud_cover"]
        assert found.published == datetime.fromisoformat(row["s2:generation_time"])
        assert (found.west, found.north) == pytest.approx(
            (row["bbox"]["xmin"], row["bbox"]["ymax"]), abs=1e-6
        )
    assert (len(rows), len(tiles)) == (1000, 54)


# ---- properties


def test_a_grid_code_that_contradicts_the_name_is_ignored():
    """Real: Earth Search v0 gives items of tile 01CCV the grid code MGRS-60CWE."""
    item = items("earthsearch_v0_100_items.json.gz")[0]
    assert item["properties"]["grid:code"] == "MGRS-60CWE"
    assert product(item).tile == "01CCV"


@pytest.mark.parametrize(
    ("properties", "field", "value"),
    [
        ({"platform": "Sentinel-2C"}, "platform", "S2C"),
        ({"platform": "s2z"}, "platform", "S2Z"),
        (
            {"grid:code": None, "mgrs:utm_zone": 1, "mgrs:latitude_band": "C", "mgrs:grid_square": "CV"},
            "tile",
            "01CCV",
        ),
        ({"grid:code": None, "s2:mgrs_tile": "06VVN"}, "tile", "06VVN"),
        ({"eo:cloud_cover": None}, "cloud_cover", None),
        ({"eo:cloud_cover": 140}, "cloud_cover", None),
        ({"eo:cloud_cover": 0, "sentinel:valid_cloud_cover": False}, "cloud_cover", None),
        ({"eo:cloud_cover": 0}, "cloud_cover", 0.0),
        ({"processing:level": "L1C"}, "level", "L1C"),
        ({"processing:version": "05.10"}, "baseline", "0510"),
        ({"processing:version": "1.10"}, "baseline", None),
        ({"processing:version": 1.1}, "baseline", None),
        *(
            ({"s2:processing_baseline": stated}, "baseline", right)
            for stated, right in (
                ("05.11", "0511"),
                ("v02.14", "0214"),
                ("2.07", "0207"),
                ("400", "0400"),
                (5.09, "0509"),
                (5.1, "0510"),
                (2.14, "0214"),
                (5, "0500"),
                (True, None),
                ("5.1", None),
            )
        ),
        ({"s2:datatake_id": "GS2A_20230216T145731_039976_N04.00"}, "datatake", "20230216T145731"),
        ({}, "datatake", "20240601T103000"),
        ({}, "published", None),
        ({"created": "2025-01-01T00:00:00Z"}, "published", None),
    ],
)
def test_properties_are_read_as_they_are_written(properties, field, value):
    assert getattr(product(minimal(**properties)), field) == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datetime": None}, "no datetime"),
        ({"datetime": "yesterday"}, "not a date or time"),
        ({"datetime": "0001-01-01T00:00:00+14:00"}, "not a date or time"),
        ({"platform": "landsat-8"}, "is not a unit of Sentinel-2"),
        ({"grid:code": "MGRS-99ZZZ"}, "no MGRS tile"),
    ],
)
def test_an_invalid_item_is_rejected_with_the_reason(change, message):
    with pytest.raises(PermanentError, match=message):
        product(minimal(**change))


@pytest.mark.parametrize("id", ["", "a/b", "../x", "a\x1fb", "\ud800", "x" * 201, 7, None])
def test_an_id_with_other_characters_is_refused(id):
    with pytest.raises(PermanentError, match="the item's id"):
        product(minimal() | {"id": id})


@pytest.mark.parametrize(
    "coordinates",
    [
        [[[179, 0], [-179, 0], [179, 1]], [[0, 0], [1, 1], [1, 0]]],
        [[[10**400, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]],
    ],
)
def test_a_footprint_that_cannot_be_split_or_computed_with_is_rejected(coordinates):
    with pytest.raises(PermanentError, match="the footprint"):
        product(minimal() | {"geometry": {"type": "Polygon", "coordinates": coordinates}})


def test_numbers_of_four_hundred_digits_are_refused():
    assert product(minimal(**{"eo:cloud_cover": 10**400})).cloud_cover is None
    with pytest.raises(PermanentError, match="bounds"):
        product(minimal() | {"geometry": None, "bbox": [10**400, 0, 1, 1]})


def test_invalid_properties_are_ignored_for_bands():
    item = minimal() | {"properties": ["nothing"]}
    item["assets"]["red"]["raster:bands"] = [{"scale": 0.0001, "offset": -0.1}]
    assert set(bands(item)) == {"B04"}


def test_a_footprint_that_jumps_over_the_antimeridian_is_split():
    shape, box = parse_footprint(
        {"type": "Polygon", "coordinates": [[[179, -10], [-179, -10], [-179, -9], [179, -9], [179, -10]]]}
    )
    assert shape["type"] == "MultiPolygon"
    assert box == (179, -10, -179, -9)
    assert parse_footprint(shape)[1] == box
    beyond, box = parse_footprint(
        {"type": "Polygon", "coordinates": [[[179, -10], [181, -10], [181, -9], [179, -9], [179, -10]]]}
    )
    assert (beyond["type"], box) == ("MultiPolygon", (179, -10, -179, -9))


NONSENSE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.builds(list),
    st.builds(dict),
    st.builds(lambda: [[]]),
    st.lists(st.one_of(st.none(), st.integers(), st.builds(dict)), max_size=3),
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found += paths(inner, (*at, key))
    return found


@settings(max_examples=examples(400), deadline=None)
@given(data=st.data())
def test_nonsense_anywhere_in_an_item_is_a_product_or_a_stated_refusal(data):
    item = copy.deepcopy(
        minimal(
            **{"eo:cloud_cover": 5, "s2:product_uri": "x", "sat:relative_orbit": 51, "s2:datatake_id": "y"}
        )
    )
    item["assets"]["red"] |= {
        "bands": [{"name": "B04", "raster:scale": 0.0001}],
        "raster:bands": [{"scale": 0.0001, "offset": 0}],
    }
    for _ in range(data.draw(st.integers(1, 2))):
        *above, last = data.draw(st.sampled_from(paths(item)))
        at = item
        for step in above:
            at = at[step]
        at[last] = data.draw(NONSENSE)
    try:
        if stac_item.is_item(item) and stac_item.is_sentinel_2(item):
            found = product(item)
            assert -90 <= found.south <= found.north <= 90
            to_table([found])
            stac_assets.band_files(item, require_allowed_url)
    except PermanentError as reason:
        assert str(reason)
