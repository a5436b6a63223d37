"""STAC items as products and band files: every real item, and invalid ones."""

import copy
import gzip
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import shared_data
from product_tables import to_products
from profiles import examples
from revisit.adapters.sources import stac_assets, stac_item
from revisit.adapters.sources.allowed_hosts import require_allowed_url
from revisit.adapters.sources.stated_footprint import parse_footprint
from revisit.domain.bands import BANDS, BandFile
from revisit.domain.product import Product
from revisit.domain.product_name import ProductName
from revisit.errors import PermanentError
from revisit.ports.catalog_schema import to_table

SOURCE = "stac:https://example.org#c"


def items(name: str) -> list[dict[str, Any]]:
    path = shared_data("stac", name)
    read = json.loads(gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_text())
    if "response" in read:
        body = read["response"].get("body", read["response"])
        read = json.loads(body) if isinstance(body, str) else body
    return read.get("features", [read])


def product(item: dict[str, Any]) -> Product:
    return stac_item.product_of(item, SOURCE, "https://example.org/item")


def bands(item: dict[str, Any]) -> Mapping[str, BandFile]:
    return stac_assets.band_files(item, require_allowed_url).files


def band_files(
    item: dict[str, Any], resolve: Callable[[str], str]
) -> tuple[Mapping[str, BandFile], Mapping[str, str]]:
    found = stac_assets.band_files(item, resolve)
    return found.files, found.left_out


def minimal(**properties: Any) -> dict[str, Any]:
    square = [[[4.0, 51.0], [5.0, 51.0], [5.0, 52.0], [4.0, 52.0], [4.0, 51.0]]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "local",
        "collection": "sentinel-2-l2a",
        "bbox": [4, 51, 5, 52],
        "geometry": {"type": "Polygon", "coordinates": square},
        "links": [],
        "properties": {
            "datetime": "2024-06-01T10:30:00Z",
            "platform": "sentinel-2b",
            "grid:code": "MGRS-31UES",
        }
        | properties,
        "assets": {
            "red": {
                "href": "https://sentinel-cogs.s3.us-west-2.amazonaws.com/x/B04.tif",
                "type": "image/tiff",
            }
        },
    }


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


# ---- bands


def test_earth_search_applied_the_offset_to_its_cogs_where_it_says_so():
    """Its raster:bands state -0.1 all the same; the JP2 originals beside them lie in a bucket that makes the
    requester pay."""
    for item in items("earthsearch_v1_l2a_paged_1.json") + items("earthsearch_v1_l2a_paged_2.json"):
        files, left_out = band_files(item, require_allowed_url)
        assert set(files) == set(BANDS) - {"B10"}
        assert {file.offset for file in files.values()} == {0.0}
        assert {file.driver for file in files.values()} == {"GTiff"}
        assert files["B05"].href.endswith("/B05.tif")
        assert (files["SCL"].scale, files["AOT"].scale, files["B04"].scale) == (1.0, 0.001, 0.0001)
        assert not left_out


def test_collection_1_keeps_its_offset():
    item = items("S2B_T37MGP_20240710_c1.json")[0]
    files, left_out = band_files(item, lambda href: href)
    assert {files[name].offset for name in ("B01", "B02", "B8A", "B12")} == {-0.1}
    assert (files["SCL"].offset, files["AOT"].offset, files["WVP"].scale) == (0.0, 0.0, 0.001)
    files, left_out = band_files(item, require_allowed_url)
    assert not files
    assert "outside the hosts" in left_out["B04"]


def test_items_without_offsets_are_accepted_before_baseline_4_and_refused_after():
    before, after = [], []
    for item in items("earthsearch_v0_100_items.json.gz"):
        (after if product(item).baseline >= "0400" else before).append(item)
    assert (len(before), len(after)) == (97, 3)
    for item in before:
        assert {file.offset for file in bands(item).values()} == {0.0}
        assert len(bands(item)) == 15
    for item in after:
        files, left_out = band_files(item, require_allowed_url)
        assert set(files) == {"SCL", "AOT", "WVP"}
        assert "states no radiometric offset of B02" in left_out["B02"]
    newest = items("earthsearch_v0_1.json")[0]
    assert newest["properties"]["sentinel:boa_offset_applied"] is True
    assert bands(newest)["B02"].offset == 0.0


def test_planetary_computer_is_read_without_an_offset_before_baseline_4():
    files, left_out = band_files(items("S2B_T06VVN_pc_item.json")[0], require_allowed_url)
    assert not left_out
    assert set(files) == set(BANDS) - {"B10"}
    assert files["B8A"].href.startswith("https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/06/V/VN/")
    assert files["B8A"].href.endswith("_B8A_20m.tif")
    assert "?" not in files["B8A"].href


def test_level_1c_of_earth_search_is_in_a_requester_pays_bucket():
    item = items("eodag_earth_search_search.json")[0]
    files, left_out = band_files(item, require_allowed_url)
    assert not files
    assert "requester-pays" in left_out["B02"]
    files, _ = band_files(item, lambda href: href)
    assert (len(files), files["B10"].driver, files["B10"].offset) == (13, "JP2OpenJPEG", -0.1)


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        ({"raster:bands": [{"scale": 0.0001, "offset": -0.1, "nodata": 0}]}, (0.0001, -0.1, 0)),
        ({"raster:bands": [{"scale": 0.0001}]}, (0.0001, 0.0, 0)),
        (
            {"bands": [{"name": "B04", "raster:scale": 0.0001, "raster:offset": -0.2, "nodata": 7}]},
            (0.0001, -0.2, 7),
        ),
        (
            {"bands": [{"name": "B04"}], "raster:scale": 0.0002, "raster:offset": -0.3, "nodata": 1},
            (0.0002, -0.3, 1),
        ),
        (
            {"bands": [{"name": "B04"}], "raster:bands": [{"scale": 0.0001, "offset": -0.1}]},
            (0.0001, -0.1, 0),
        ),
        ({}, (0.0001, 0.0, 0)),
    ],
)
def test_scale_and_offset_are_read_in_every_form(asset, expected):
    item = minimal(datetime="2021-06-01T10:30:00Z")
    item["assets"]["red"] |= asset
    file = bands(item)["B04"]
    assert (file.scale, file.offset, file.nodata) == expected


@pytest.mark.parametrize(
    ("applied", "stated", "offset"),
    [(True, -0.1, 0.0), (False, -0.1, -0.1), (False, 0, 0.0), (None, -0.1, -0.1)],
)
def test_the_offset_is_zero_only_where_it_is_stated_as_applied(applied, stated, offset):
    item = minimal(**{"earthsearch:boa_offset_applied": applied, "s2:processing_baseline": "05.10"})
    item["assets"]["red"]["raster:bands"] = [{"scale": 0.0001, "offset": stated}]
    assert bands(item)["B04"].offset == offset


@pytest.mark.parametrize("value", ["much", True, [1], math.inf])
def test_a_band_with_an_invalid_scale_is_left_out(value):
    item = minimal()
    item["assets"]["red"]["raster:bands"] = [{"scale": value}]
    files, left_out = band_files(item, require_allowed_url)
    assert not files
    assert "is not a number" in left_out["B04"]


def test_the_native_resolution_wins_and_then_the_cog():
    item = minimal(datetime="2021-06-01T10:30:00Z")
    at = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/x/"
    item["assets"] = {
        "B02_60m": {"href": at + "B02_60m.jp2"},
        "B02_10m": {"href": at + "B02_10m.jp2"},
        "B02_20m": {"href": at + "B02_20m.jp2"},
        "red-jp2": {"href": at + "B04.jp2", "bands": [{"name": "red"}]},
        "red": {"href": at + "B04.tif"},
        "visual": {"href": at + "TCI.tif", "bands": [{"name": "B04"}, {"name": "B03"}, {"name": "B02"}]},
        "thumbnail": {"href": at + "p.png"},
        "SCL": {"href": at + "SCL.vrt"},
        "cloud": {"href": at + "CLD.tif"},
    }
    assert {name: file.href.removeprefix(at) for name, file in bands(item).items()} == {
        "B02": "B02_10m.jp2",
        "B04": "B04.tif",
    }


@pytest.mark.parametrize(
    "href",
    [
        "http://sentinel-cogs.s3.us-west-2.amazonaws.com/x.tif",
        "https://sentinel-cogs.s3.us-west-2.amazonaws.com.evil.example/x.tif",
        "https://evil.example/https://sentinel-cogs.s3.us-west-2.amazonaws.com/x.tif",
        "https://sentinel-cogs.s3.us-west-2.amazonaws.com@evil.example/x.tif",
        "https://storage.googleapis.com/another-bucket/x.jp2",
        "https://storage.googleapis.com/gcp-public-data-sentinel-2/../another-bucket/x.jp2",
        "https://storage.googleapis.com/gcp-public-data-sentinel-2/%2e%2e/x.jp2",
        "https://storage.googleapis.com/gcp-public-data-sentinel-2-evil/x.jp2",
        "http://127.0.0.1/x.tif",
        "http://169.254.169.254/x.tif",
        "file:///etc/passwd.tif",
        "/etc/passwd.tif",
        "/vsicurl/https://x/y.tif",
        "x.tif",
        "s3://deafrica-sentinel-2-l2a-c1-dev/x.tif",
        "gs://another/x.tif",
        "https://[::1/x.tif",
        "https://sentinel-cogs.s3.us-west-2.amazonaws.com/a\n.tif",
        "https://sentinel-cogs.s3.us-west-2.amazonaws.com\\@evil.example/x.tif",
        "",
        "https://sentinel-cogs.s3.us-west-2.amazonaws.com/\xe9.tif",
    ],
)
def test_a_band_file_elsewhere_is_refused(href):
    with pytest.raises(PermanentError):
        require_allowed_url(href)


def test_public_buckets_are_reached_by_https():
    assert (
        require_allowed_url("s3://sentinel-cogs/a/B04.tif")
        == "https://sentinel-cogs.s3.us-west-2.amazonaws.com/a/B04.tif"
    )
    assert (
        require_allowed_url("gs://gcp-public-data-sentinel-2/a.jp2")
        == "https://storage.googleapis.com/gcp-public-data-sentinel-2/a.jp2"
    )
    assert (
        require_allowed_url("http://127.0.0.1:8000/a.tif", ["http://127.0.0.1:8000/"])
        == "http://127.0.0.1:8000/a.tif"
    )
    with pytest.raises(PermanentError):
        require_allowed_url("http://127.0.0.1:8001/a.tif", ["http://127.0.0.1:8000/"])


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
        ({"s2:processing_baseline": "05.11"}, "baseline", "0511"),
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
