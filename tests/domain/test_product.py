"""Product names parse and print back; products of one acquisition are grouped and the best one is chosen."""

import gzip
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import shared_data
from product_names import MOMENTS, NAMES
from revisit.domain.product import Product, acquisition_id
from revisit.domain.product_name import OldProductName, ProductName
from revisit.domain.selection import select_best_products
from revisit.errors import InvalidInputError


@given(NAMES)
def test_a_name_parses_and_prints_back(name):
    assert ProductName.parse(str(name)) == name
    assert ProductName.parse(f"{name}.SAFE") == name


@given(
    st.builds(
        OldProductName,
        platform=st.just("S2A"),
        file_class=st.sampled_from(["OPER", "USER"]),
        level=st.sampled_from(["L1C", "L2A"]),
        centre=st.just("PDMC"),
        created=MOMENTS,
        relative_orbit=st.integers(0, 143),
        start=MOMENTS,
        stop=MOMENTS,
    )
)
def test_an_old_name_parses_and_prints_back(name):
    assert OldProductName.parse(str(name)) == name


def test_every_real_name_of_the_catalog_parses_and_prints_back():
    import pyarrow.parquet as pq

    titles = pq.read_table(shared_data("catalog", "cdse_products.parquet")).column("title").to_pylist()
    compact = [title.removesuffix(".SAFE") for title in titles]
    assert len(compact) == 2271
    assert [str(ProductName.parse(name)) for name in compact] == compact


def test_names_of_the_google_index_parse_with_their_parts():
    rows = (
        gzip.decompress(shared_data("google_index", "L2_index_derived.csv.gz").read_bytes())
        .decode()
        .splitlines()[1:]
    )
    for row in rows:
        granule, name, datatake, tile = row.split(",")[:4]
        parsed = ProductName.parse(name)
        assert (parsed.tile, f"{parsed.datatake:%Y%m%dT%H%M%S}") == (tile, datatake.split("_")[1]), granule


def test_a_name_is_taken_apart():
    name = ProductName.parse("S2C_MSIL2A_20250327T105019_N0511_R051_T31UFS_20250327T134916")
    assert (name.platform, name.level, name.baseline, name.relative_orbit, name.tile) == (
        "S2C",
        "L2A",
        "0511",
        51,
        "31UFS",
    )
    assert name.datatake == datetime(2025, 3, 27, 10, 50, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "S2A",
        "S1A_IW_GRDH_1SDV_20180716T004042_20180716T004107_022812_02792A_FD5B",
        "S2A_MSIL2A_20180327T105019_N0207_R051_T31IFS_20180327T134916",  # no tile letter I
        "S2A_MSIL2A_20181327T105019_N0207_R051_T31UFS_20180327T134916",  # month 13
        "S2A_MSIL3A_20180327T105019_N0207_R051_T31UFS_20180327T134916",
        "S2A_MSIL2A_20180327T105019_N0207_R051_T31UFS_20180327T134916.zip",
    ],
)
def test_what_is_no_name_is_refused_and_quoted(text):
    with pytest.raises(
        InvalidInputError, match=re.escape(text.split("_")[0] if "1327" not in text else "20181327")
    ):
        ProductName.parse(text)


def product(name: str, **changes) -> Product:
    """A product of a compact name; only what a test states differs."""
    parts = ProductName.parse(name)
    fields = {
        "id": name,
        "source": "folder:/a",
        "level": parts.level,
        "platform": parts.platform,
        "tile": parts.tile,
        "sensing_time": parts.datatake,
        "datatake": f"{parts.datatake:%Y%m%dT%H%M%S}",
        "west": 4.0,
        "south": 50.0,
        "east": 5.0,
        "north": 51.0,
        "baseline": parts.baseline,
        "published": parts.discriminator,
    } | changes
    return Product(**fields)


FIRST = product("S2A_MSIL2A_20180327T105019_N0207_R051_T31UFS_20180327T134916")
AGAIN = product("S2A_MSIL2A_20180327T105019_N0500_R051_T31UFS_20230805T011111")
TOP = product("S2A_MSIL1C_20180327T105019_N0206_R051_T31UFS_20180327T130000")


def test_levels_and_reprocessings_are_one_acquisition():
    assert FIRST.acquisition == AGAIN.acquisition == TOP.acquisition == "S2A_20180327T105019_T31UFS"
    assert acquisition_id("S2B", "20180327T105019", "31UFS") != FIRST.acquisition


def test_the_newer_package_of_a_baseline_is_the_better_one():
    later = product(FIRST.id, published=FIRST.published + timedelta(hours=1))
    assert select_best_products([FIRST, later]) == select_best_products([later, FIRST]) == [later]


def test_the_best_product_of_an_acquisition_is_l2a_of_the_newest_baseline_whatever_the_order():
    assert select_best_products([FIRST, TOP, AGAIN]) == select_best_products([AGAIN, FIRST, TOP]) == [AGAIN]
    assert select_best_products([TOP]) == [TOP]
