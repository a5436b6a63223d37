"""Scale and offset of the bands of every recorded item, and of statements in every form."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from data import shared_data
from revisit.adapters.sources import stac_assets
from revisit.adapters.sources.allowed_hosts import require_allowed_url
from revisit.adapters.sources.radiometry import SILENT, ItemFacts, Radiometry, Statement, radiometry_of
from revisit.errors import PermanentError


def features(name: str) -> Iterator[dict[str, Any]]:
    path = shared_data("stac", name)
    if name.endswith(".parquet"):
        import pyarrow.parquet as pq

        for row in pq.read_table(path, columns=["id", "assets", "s2:processing_baseline"]).to_pylist():
            yield {
                "id": row["id"],
                "assets": row["assets"],
                "properties": {"s2:processing_baseline": row["s2:processing_baseline"]},
            }
        return
    read = json.loads(gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_text())
    if "response" in read:
        body = read["response"].get("body", read["response"])
        read = json.loads(body) if isinstance(body, str) else body
    yield from read.get("features", [read])


OFFSETS = {
    # Earth Search v0 until January 2022, and after it had begun to subtract the offset.
    "S2A_28QCH_20200714_0_L2A.json": {0.0: 12},
    "earthsearch_v0_1.json": {0.0: 12},
    # Three of the hundred are of baseline 04.00 and say nothing.
    "earthsearch_v0_100_items.json.gz": {0.0: 97 * 12, None: 3 * 12},
    # Flag true at 05.00, false at 02.14: the COGs hold DN without an offset.
    "earthsearch_v1_l2a_paged_1.json": {0.0: 10 * 12},
    "earthsearch_v1_l2a_paged_2.json": {0.0: 6 * 12},
    # Collection 1 and L1C hold ESA's own DN.
    "S2B_T37MGP_20240710_c1.json": {-0.1: 12},
    "eodag_earth_search_search.json": {-0.1: 13},
    # Planetary Computer: 02.12, then 04.00, then 05.10 and 05.11; nothing is stated.
    "S2B_T06VVN_pc_item.json": {0.0: 12},
    "odc_site1_strip_africa_9_items.json": {0.0: 9 * 12},
    "rustac_search-page-1.json": {-0.1: 12},
    "rustac_search-page-2.json": {-0.1: 12},
    "pc_1000_items.parquet": {-0.1: 1000 * 12},
}
"""Recorded file -> offset (None where the band is refused) -> bands of reflectance."""


@pytest.mark.parametrize("name", OFFSETS)
def test_every_recorded_item_has_the_scale_and_offset_of_its_provider(name):
    offsets: Counter[float | None] = Counter()
    for item in features(name):
        found = stac_assets.band_files(item, lambda href: href)
        assert not [file for file in found.values() if file.other_offset is not None]
        for band, file in found.items():
            layer = band in ("SCL", "AOT", "WVP")
            assert file.scale == (1.0 if band == "SCL" else 0.001 if layer else 0.0001)
            assert file.nodata == 0
            assert not (layer and file.offset)
            offsets[file.offset] += not layer
        offsets[None] += len(found.left_out)
    assert +offsets == OFFSETS[name]


CDSE = "https://eodata.dataspace.copernicus.eu/eodata/Sentinel-2/x_10m.jp2"
PLANETARY = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/x.tif"
EARTH_SEARCH = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/x.tif"


def radiometry(band="B04", href="/data/x.tif", baseline="0511", applied=None, tags=SILENT, **stated):
    driver = "JP2OpenJPEG" if href.endswith("jp2") else "GTiff"
    facts = ItemFacts(baseline, None, applied)
    return radiometry_of(band, Statement.parse(band, stated), tags, facts, href, driver)


@pytest.mark.parametrize(
    ("case", "scale", "offset"),
    [
        # Copernicus Data Space states reflectance's numbers for AOT and WVP too.
        ({"href": CDSE, "scale": 0.0001, "offset": -0.1}, 0.0001, -0.1),
        ({"href": CDSE, "scale": 0.0001, "offset": -0.1, "band": "AOT"}, 0.001, 0.0),
        ({"href": CDSE, "scale": 0.0001, "offset": -0.1, "band": "WVP"}, 0.001, 0.0),
        ({"href": CDSE, "scale": 0.0001, "offset": 0.0, "band": "WVP", "baseline": "0214"}, 0.001, 0.0),
        ({"href": CDSE, "band": "SCL", "scale": 0.0001, "offset": -0.1}, 1.0, 0.0),
        ({"href": CDSE}, 0.0001, -0.1),
        ({"href": CDSE, "baseline": "0214"}, 0.0001, 0.0),
        ({"href": PLANETARY}, 0.0001, -0.1),
        ({"href": PLANETARY, "baseline": "0301"}, 0.0001, 0.0),
        ({"href": EARTH_SEARCH, "applied": True, "scale": 0.0001, "offset": -0.1}, 0.0001, 0.0),
        # A scale of 1 says nothing, and the offset may be in the file's tags, or in DN.
        ({"scale": 1, "offset": 0, "baseline": "0214"}, 0.0001, 0.0),
        ({"scale": 1.0, "offset": -0.1}, 0.0001, -0.1),
        ({"scale": 1, "offset": -1000}, 0.0001, -0.1),
        ({"scale": 0.0001, "offset": -7000}, 0.0001, -0.7),
        ({"scale": 0.0001, "tags": Statement(0.0001, -0.1)}, 0.0001, -0.1),
        ({"tags": Statement(0.0002, -0.1)}, 0.0002, -0.1),
        ({"offset": 0}, 0.0001, 0.0),
    ],
)
def test_statements_in_every_form(case, scale, offset):
    found = radiometry(**case)
    assert (found.scale, found.offset, found.other_offset) == (scale, pytest.approx(offset), None)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({}, "no radiometric offset of B04, which baseline 0511 may have"),
        ({"scale": 0.0001}, "no radiometric offset of B04"),
        ({"scale": 1.0, "offset": 0.0}, "no radiometric offset of B04"),
        ({"scale": 1.0, "offset": 0.0, "baseline": None}, "a product sensed since 2022-01-25 may have"),
        ({"href": PLANETARY, "baseline": "9999"}, "baseline 9999 may have"),
        ({"scale": 10_000, "offset": 0}, "the scale of B04 is stated as 10000, which is none of reflectance"),
        (
            {"scale": 0.0001, "offset": 0.1},
            "the offset of B04 is stated as 0.1, which is none of reflectance",
        ),
        ({"scale": 0.0001, "offset": -5}, "the offset of B04 is stated as -5"),
        ({"scale": "0.0001", "offset": -0.1}, "the scale of B04 is '0.0001', which is not a number"),
        ({"offset": -0.1, "tags": Statement(0.0001, -0.2)}, "-0.1 for B04 and its file one of -0.2"),
    ],
)
def test_what_is_not_stated_or_impossible_is_refused_with_its_reason(case, reason):
    with pytest.raises(PermanentError, match=reason):
        radiometry(**case)


@pytest.mark.parametrize(
    ("case", "offsets"),
    [
        ({"applied": False, "offset": -0.1}, (-0.1, 0.0)),
        ({"applied": False, "offset": 0.0}, (0.0, -0.1)),
        ({"href": EARTH_SEARCH, "offset": -0.1}, (-0.1, 0.0)),
        ({"offset": -0.1, "baseline": "0214"}, (-0.1, 0.0)),
        ({"applied": False, "offset": 0.0, "baseline": "0214"}, (0.0, None)),
        ({"applied": False, "offset": -0.1, "href": "/data/x.jp2"}, (-0.1, None)),
    ],
)
def test_contradictions_leave_two_offsets_between_which_the_pixels_decide(case, offsets):
    found = radiometry(scale=0.0001, **case)
    assert (found.offset, found.other_offset) == offsets
    assert bool(found.doubt) == (offsets[1] is not None)
    assert isinstance(found, Radiometry)


def one_asset(href: str, baseline: str = "05.10", key: str = "B04", **members: Any) -> dict[str, Any]:
    properties = {"datetime": "2024-06-01T10:50:31Z", "s2:processing_baseline": baseline}
    flag = members.pop("flag", None)
    kind = "image/jp2" if href.endswith("jp2") else "image/tiff; application=geotiff"
    return {
        "id": "S2A_31UFS_20240601_0_L2A",
        "properties": properties | ({} if flag is None else {"earthsearch:boa_offset_applied": flag}),
        "assets": {key: {"href": href, "type": kind, **members}},
    }


def only_band(item: dict[str, Any], tags: Statement = SILENT) -> Any:
    (found,) = stac_assets.band_files(item, lambda href: href, lambda *_: tags, compare_tags=True).values()
    return found


STATED = {"raster:bands": [{"scale": 0.0001, "offset": -0.1, "nodata": 0}]}
COLLECTION_1 = "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/sentinel-2-c1-l2a/x.tif"
GOOGLE = "https://storage.googleapis.com/gcp-public-data-sentinel-2/tiles/31/U/FS/x_B04.jp2"


@pytest.mark.parametrize(
    ("item", "offsets"),
    [
        # The bucket of Google and Collection 1 hold ESA's numbers, whatever the item leaves out.
        (one_asset(GOOGLE), (-0.1, None)),
        (one_asset(GOOGLE, "03.01"), (0.0, None)),
        (one_asset(COLLECTION_1), (-0.1, None)),
        (one_asset(COLLECTION_1, **STATED), (-0.1, None)),
        # An offset of 0, or a flag, that contradicts them leaves it to the pixels.
        (one_asset(COLLECTION_1, flag=True, **STATED), (0.0, -0.1)),
        (one_asset(PLANETARY, **{"raster:bands": [{"scale": 0.0001, "offset": 0}]}), (0.0, -0.1)),
        (one_asset(CDSE, **{"raster:scale": 0.0001, "raster:offset": 0.0}), (0.0, -0.1)),
        (
            one_asset(EARTH_SEARCH, flag="yes", **{"raster:bands": [{"scale": 0.0001, "offset": 0}]}),
            (0.0, -0.1),
        ),
        # STAC 1.1: the fields in `bands`, those of the asset for all, null for silence.
        (
            one_asset(CDSE, bands=[{"name": "B04", "raster:scale": 0.0001, "raster:offset": -0.1}]),
            (-0.1, None),
        ),
        (
            one_asset(CDSE, bands=[{"name": "B04", "raster:offset": None}], **{"raster:offset": -0.1}),
            (-0.1, None),
        ),
        # Digital Earth Africa keeps copies of the files of Earth Search v0, with its flag.
        (one_asset("/data/s2_l2a/B04.tif", "04.00", flag=True), (0.0, None)),
    ],
)
def test_items_in_the_form_of_each_provider_have_its_offset_or_leave_it_to_the_pixels(item, offsets):
    found = only_band(item)
    assert (found.offset, found.other_offset) == offsets and found.scale == 0.0001
    assert bool(found.doubt) == (offsets[1] is not None)


def test_a_flag_that_the_tags_of_a_file_contradict_leaves_it_to_the_pixels():
    item = one_asset("/data/x.tif", flag=True, **STATED)
    assert (only_band(item).offset, only_band(item).other_offset) == (0.0, None)
    found = only_band(item, Statement(0.0001, -0.1))
    assert (found.offset, found.other_offset) == (0.0, -0.1) and "its file states -0.1" in found.doubt


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (one_asset("/data/s2_l2a/B04.tif", "04.00"), "no radiometric offset of B04"),
        (
            one_asset(CDSE, bands=[{"name": "B04", "raster:offset": 0.0}], **{"raster:offset": -0.1}),
            "offsets of",
        ),
        (one_asset(CDSE, **{"raster:scale": 0.001}, **STATED), "scales of 0.001 and 0.0001 for one band"),
    ],
)
def test_an_item_that_leaves_its_numbers_open_is_refused(item, reason):
    found = stac_assets.band_files(item, lambda href: href)
    assert not found and reason in found.left_out["B04"]


@pytest.mark.parametrize(
    ("key", "members", "band"),
    [
        ("x1", {"bands": [{"eo:common_name": "nir"}]}, "B08"),
        ("x2", {"eo:bands": [{"name": "8a", "common_name": "nir08"}]}, "B8A"),
        ("B05_20m", {"bands": [{"eo:common_name": "rededge071"}]}, "B05"),
        ("red", {"bands": [{"name": "B04", "eo:common_name": "red"}]}, "B04"),
        ("B04_10m", {}, "B04"),
        ("x3", {"bands": [{"eo:common_name": "rededge"}]}, None),  # of three bands
        ("TCI", {"bands": [{"name": "B04"}, {"name": "B03"}]}, None),
    ],
)
def test_the_band_of_an_asset_is_that_of_its_name_its_key_or_its_common_name(key, members, band):
    item = one_asset(PLANETARY, key=key, **members)
    assert list(stac_assets.band_files(item, lambda href: href)) == ([band] if band else [])


def test_a_saved_item_with_signed_addresses_is_read_by_a_new_signature():
    """As planetary_computer.sign leaves the items of a search."""
    item = one_asset(f"{PLANETARY}?st=2024-06-01T00%3A00%3A00Z&sp=rl&sig=abc%2B")
    found = stac_assets.band_files(item, require_allowed_url)
    assert found["B04"].href == PLANETARY and found["B04"].offset == -0.1
