"""Limits on coverage and clear share: what they refuse, and the sentences that say it."""

from itertools import product

import pytest

from products import product as a_product
from revisit.domain.conditions import (
    describe_cover,
    percent_below,
    skip_reason,
    unjudged_reason,
    whole_percent,
)
from revisit.domain.job import Cover, Job
from revisit.domain.recipe import Recipe
from samples import NOON, SQUARE_AOI

SLIVER = Cover(aoi=414, valid=15, clear=15)
"""An acquisition of openEO's field in 2019: 15 of 414 pixels seen, all clear."""


def limited(**limits) -> Job:
    return Job("job_1", a_product(1), SQUARE_AOI, Recipe(indices=("NDVI",)), NOON, **limits)


WHOLE, HAZY, OVERCAST = Cover(1000, 1000, 159), Cover(1000, 804, 410), Cover(1000, 900, 0)
CASES = [
    ({"min_clear": 90, "min_clear_of": "seen"}, SLIVER, ""),
    (
        {"min_clear": 90, "min_clear_of": "aoi"},
        SLIVER,
        "3.6 % of the AOI is clear (100 % of the seen part), less than 90 %",
    ),
    ({"min_coverage": 50}, SLIVER, "3.6 % of the AOI was seen, less than 50 %"),
    ({"min_coverage": 3.5}, SLIVER, ""),
    (
        {"min_clear": 60, "min_clear_of": "aoi"},
        HAZY,
        "41.0 % of the AOI is clear (51 % of the seen part), less than 60 %",
    ),
    (
        {"min_clear": 60, "min_clear_of": "seen"},
        HAZY,
        "51.0 % of the seen part of the AOI is clear, less than 60 %",
    ),
    ({"min_clear": 50, "min_clear_of": "aoi"}, WHOLE, "15.9 % of the AOI is clear, less than 50 %"),
    ({}, OVERCAST, "no pixel of the AOI is clear"),
    ({"min_clear": 0}, OVERCAST, "no pixel of the AOI is clear"),
    ({"min_clear": 1}, Cover(900, 900, 0), "0.0 % of the AOI is clear, less than 1 %"),
    ({"min_coverage": 95}, OVERCAST, "90.0 % of the AOI was seen, less than 95 %"),
    ({}, Cover(1000, 0, 0), "the product has no data over the AOI"),
    ({}, Cover(0, 0, 0), "the AOI contains no pixel centre: it is smaller than the pixels"),
    (
        {"min_coverage": 50, "min_clear": 90},
        Cover(10, 4, 4, mask="none"),
        "40.0 % of the AOI was seen, less than 50 %",
    ),
    ({"min_clear": 90}, Cover(10, 4, 4, mask="none"), ""),
    ({}, Cover(10, 4, 0, mask="none", saturated=4), "every seen pixel of the AOI is saturated"),
]


@pytest.mark.parametrize(("limits", "cover", "reason"), CASES)
def test_a_job_is_skipped_with_the_reason_that_names_the_share_and_the_limit(limits, cover, reason):
    assert skip_reason(limited(**limits), cover) == reason


def test_a_share_that_equals_its_limit_passes_whatever_floats_make_of_it():
    """0.29 * 100 is 28.999999999999996 in binary floating point."""
    for count, total in product(range(1, 101), (100, 200, 1000)):
        whole = Cover(total, total * count // 100, total * count // 100)
        assert not skip_reason(limited(min_coverage=float(count), min_clear=float(count)), whole)
        one_less = Cover(total, whole.valid - 1, whole.valid - 1)
        if one_less.valid:
            assert skip_reason(limited(min_coverage=float(count)), one_less)
            assert skip_reason(limited(min_clear=float(count), min_clear_of="aoi"), one_less)


def test_a_reason_never_rounds_a_share_up_to_the_limit_that_it_missed():
    assert percent_below(499_999, 1_000_000, 50) == "49.9999 %"
    assert percent_below(4996, 10_000, 50) == "49.96 %"
    assert percent_below(362, 1000, 50) == "36.2 %"


def test_a_limit_that_needs_a_mask_is_noted_where_there_is_none():
    masked, unmasked = Cover(10, 10, 5), Cover(10, 10, 10, mask="none")
    assert unjudged_reason(limited(min_clear=80), masked) == ""
    assert unjudged_reason(limited(min_coverage=80), unmasked) == ""
    assert unjudged_reason(limited(min_clear=80), unmasked).endswith("80 % is clear could not be judged")


@pytest.mark.parametrize(
    ("cover", "sentence"),
    [
        (Cover(1000, 360, 353), "36 % of your area was seen, 98 % of that clear"),
        (Cover(1000, 1000, 0), "100 % of your area was seen, 0 % of that clear"),
        (Cover(1000, 999, 998), "more than 99 % of your area was seen, more than 99 % of that clear"),
        (Cover(1000, 1, 1, mask="none"), "less than 1 % of your area was seen, without a cloud mask"),
        (Cover(1000, 0, 0), "nothing of your area was seen"),
    ],
)
def test_a_sentence_says_coverage_and_clear_share_side_by_side(cover, sentence):
    assert describe_cover(cover) == sentence


def test_whole_percentages_say_0_and_100_only_where_it_is_so():
    assert [whole_percent(count, 1000) for count in (0, 4, 5, 6, 994, 995, 1000)] == [
        "0 %", "less than 1 %", "less than 1 %", "1 %", "99 %", "more than 99 %", "100 %"
    ]  # fmt: skip
