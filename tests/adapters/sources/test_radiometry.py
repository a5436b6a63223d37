"""Scale and offset of the bands of every recorded item, and of statements in every form."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from data import shared_data
from revisit.adapters.sources import stac_assets
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
