"""The spelling of product names: one set of patterns and offsets for every reader."""

from datetime import date

import pytest
from hypothesis import given

from product_names import NAMES
from revisit.domain.product import acquisition_id
from revisit.domain.product_name import (
    COMPACT_EXAMPLE,
    COMPACT_LENGTH,
    COMPACT_PATTERN,
    DATATAKE_EXAMPLE,
    DATATAKE_PATTERN,
    MAX_GRANULES,
    OLD_EXAMPLE,
    OLD_PATTERN,
    IdParts,
    OldProductName,
    ProductName,
    field_span,
    granule_number,
    id_of_file_name,
    is_sentinel_2_id,
    old_product_id,
    package_name,
    parse_acquisition_id,
    parse_datatake_id,
    parse_id,
    parse_name,
    parse_short_id,
)

SPANS = {
    ("compact", "platform"): (0, 3),
    ("compact", "level"): (7, 3),
    ("compact", "datatake"): (11, 15),
    ("compact", "baseline"): (28, 4),
    ("compact", "orbit"): (34, 3),
    ("compact", "tile"): (39, 5),
    ("compact", "discriminator"): (45, 15),
    ("old", "platform"): (0, 3),
    ("old", "level"): (16, 3),
    ("old", "orbit"): (42, 3),
    ("old", "start"): (47, 15),
    ("datatake", "datatake"): (5, 15),
    ("datatake", "major"): (29, 2),
    ("datatake", "minor"): (32, 2),
}
"""Offset and length of each field, counted by hand."""
FORMS = {
    "compact": (COMPACT_PATTERN, COMPACT_EXAMPLE),
    "old": (OLD_PATTERN, OLD_EXAMPLE),
    "datatake": (DATATAKE_PATTERN, DATATAKE_EXAMPLE),
}


def test_fields_have_the_offsets_that_sql_reads_them_at():
    for (form, field), span in SPANS.items():
        assert field_span(*FORMS[form], field) == span, (form, field)


@given(NAMES)
def test_every_compact_name_has_its_fields_at_these_offsets(name):
    text = str(name)
    assert len(text) == COMPACT_LENGTH
    for field, value in (
        ("platform", name.platform),
        ("level", name.level),
        ("baseline", name.baseline),
        ("tile", name.tile),
        ("orbit", f"{name.relative_orbit:03d}"),
    ):
        offset, length = field_span(COMPACT_PATTERN, COMPACT_EXAMPLE, field)
        assert text[offset : offset + length] == value


@given(NAMES)
def test_the_id_of_a_product_states_its_tile_and_day(name):
    assert parse_id(str(name)) == IdParts(name.tile, name.datatake.date())


@pytest.mark.parametrize(
    ("id", "parts"),
    [
        (f"{OLD_EXAMPLE}_T33TWM", IdParts("33TWM", date(2016, 3, 18))),
        ("S2A_31UFS_20180327_0_L2A", IdParts("31UFS", date(2018, 3, 27))),
        (f"{OLD_EXAMPLE}_T33TWM_2", IdParts("33TWM", date(2016, 3, 18))),
        (f"{OLD_EXAMPLE}_T33TWM_1", None),
        (OLD_EXAMPLE, None),
        ("S2A_5QKB_20180327_0_L2A", None),
        ("S2A_31UFS_20180399_0_L2A", None),
        ("S2A_31UFS_20180327_x_L2A", None),
        ("LC08_L1TP", None),
        ("", None),
    ],
)
def test_an_id_of_another_form_states_nothing(id, parts):
    assert parse_id(id) == parts


@pytest.mark.parametrize("around", ["{}", " {}.SAFE\n", "{}.SAFE/", "{}.zip", "{}.SAFE.zip", "{}.safe"])
def test_a_product_is_found_by_the_name_of_its_folder_or_archive(around):
    assert id_of_file_name(around.format(COMPACT_EXAMPLE)) == COMPACT_EXAMPLE


def test_the_id_of_a_granule_names_its_package_and_its_number():
    for number in (1, 2, MAX_GRANULES):
        id = old_product_id(OLD_EXAMPLE, "33TWM", number)
        assert (package_name(id), granule_number(id)) == (OLD_EXAMPLE, number)
    assert (package_name(COMPACT_EXAMPLE), granule_number(COMPACT_EXAMPLE)) == (COMPACT_EXAMPLE, 1)


def test_a_name_is_compact_or_old():
    assert isinstance(parse_name(COMPACT_EXAMPLE), ProductName)
    assert isinstance(parse_name(f"{OLD_EXAMPLE}.SAFE"), OldProductName)


def test_an_acquisition_id_parses_into_its_parts():
    assert parse_acquisition_id(acquisition_id("S2A", "20220706T085611", "33NZA")) == (
        "S2A",
        "20220706T085611",
        "33NZA",
    )
    assert parse_acquisition_id("S2A_20220706_T33NZA") is None


def test_item_ids_and_datatake_ids_of_catalogs_are_read():
    assert parse_short_id("S2B_5QKB_20200305_1_L2A_extra") is None
    assert parse_short_id("S2B_T5QKB_20200305T101010_L1C-x") == ("S2B", "5QKB")
    assert is_sentinel_2_id("S2A_MSIL2A_20230216T150721_R082_T19PHS_20230217T082924")
    assert not is_sentinel_2_id("LC08_L1TP_044034")
    assert parse_datatake_id(DATATAKE_EXAMPLE) == parse_datatake_id("GS2A_20180327T105019_014427_N0207")
    assert parse_datatake_id("GS2A") is None
