"""Band files of STAC items: their scaling, their places and the choice among several."""

import math

import pytest

from adapters.sources.stac_item_samples import band_files, bands, items, minimal, product
from revisit.adapters.sources.allowed_hosts import require_allowed_url
from revisit.domain.bands import BANDS
from revisit.errors import PermanentError


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
