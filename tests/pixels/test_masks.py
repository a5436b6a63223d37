"""Valid and clear pixels by the scene classification."""

import numpy as np
import pytest

from revisit.domain.job import Cover
from revisit.errors import InvalidInputError
from revisit.pixels.masks import (
    CLASSES,
    CLEAR_TABLE,
    clear_mask,
    count_cover,
    counted_mask,
    has_data,
    is_clear,
    is_saturated,
    seen_masks,
    valid_mask,
)

ALL = np.arange(12, dtype=np.uint8).reshape(3, 4)
INSIDE = np.ones((3, 4), np.bool_)


def test_one_pixel_of_every_class_is_counted_once():
    assert count_cover(ALL, INSIDE) == Cover(
        aoi=12, valid=11, clear=5, cloud=3, shadow=2, snow=1, saturated=1
    )


def test_every_class_counts_for_its_own_kind_of_cover():
    # Class k has 2^k pixels, so that each sum stands for one set of classes.
    scl = np.repeat(np.arange(12, dtype=np.uint8), 2 ** np.arange(12))
    assert count_cover(scl, np.ones(scl.shape, np.bool_)) == Cover(
        aoi=0b1111_1111_1111,
        valid=0b1111_1111_1110,
        clear=0b1000_1111_0000,
        cloud=0b0111_0000_0000,
        shadow=0b0000_0000_1100,
        snow=0b1000_0000_0000,
        saturated=0b0000_0000_0010,
    )


def test_vegetation_bare_water_unclassified_and_snow_are_clear():
    assert [CLASSES[number] for number in ALL[clear_mask(ALL, INSIDE)]] == [
        "vegetation",
        "bare",
        "water",
        "unclassified",
        "snow or ice",
    ]


def test_pixels_outside_the_aoi_do_not_count():
    inside = INSIDE.copy()
    inside[1] = False  # classes 4 to 7
    assert count_cover(ALL, inside) == Cover(aoi=8, valid=7, clear=1, cloud=3, shadow=2, snow=1, saturated=1)


def test_pixels_without_data_in_a_band_are_not_valid():
    data = has_data(
        {
            "B04": np.where(ALL == 4, 0, 500).astype(np.uint16),
            "B08": np.where(ALL == 9, 0, 500).astype(np.uint16),
        }
    )
    assert count_cover(ALL, INSIDE, data) == Cover(
        aoi=12, valid=9, clear=4, cloud=2, shadow=2, snow=1, saturated=1
    )


def test_nodata_may_differ_between_bands():
    dn = {"B04": np.array([0, 1, 2], np.uint16), "B08": np.array([0, 1, 2], np.uint16)}
    assert has_data(dn).tolist() == [False, True, True]
    assert has_data(dn, {"B04": 2, "B08": 1}).tolist() == [True, False, False]


def test_comparisons_and_table_agree_on_every_value():
    every = np.arange(256, dtype=np.uint8)
    assert (is_clear(every) == CLEAR_TABLE).all()


def by_hand(values):
    """Whether each value counts, as clear and as seen, by plain Python."""
    return [value in (4, 5, 6, 7, 11) for value in values], [1 <= value <= 11 for value in values]


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", ">i2"]
)
def test_a_classification_of_any_integer_type_masks_alike(dtype):
    limits = np.iinfo(dtype)
    values = [v for v in (*range(-300, 600), 65535, 2**31 - 1, 2**63) if limits.min <= v <= limits.max]
    scl = np.array([values], dtype)
    everywhere = np.ones(scl.shape, np.bool_)
    clear, seen = by_hand(values)
    assert is_clear(scl)[0].tolist() == clear_mask(scl, everywhere)[0].tolist() == clear
    assert valid_mask(scl, everywhere)[0].tolist() == seen
    cover = count_cover(scl, everywhere)
    assert (cover.valid, cover.clear, cover.saturated) == (11, 5, 1)


def test_what_is_seen_is_clear_cloud_shadow_or_saturated():
    random = np.random.default_rng(4)
    scl, inside = random.integers(0, 14, (60, 50)).astype(np.uint8), random.random((60, 50)) < 0.8
    data, saturated = random.random((60, 50)) < 0.9, random.random((60, 50)) < 0.1
    for classes in (scl, None):
        cover = count_cover(classes, inside, data, saturated & data)
        assert cover.valid == cover.clear + cover.cloud + cover.shadow + cover.saturated
        assert 0 < cover.snow < cover.clear or classes is None


def test_an_index_counts_by_its_own_bands_and_a_pixel_is_seen_if_any_of_them_is():
    red = np.array([[500, 500, 500, 0, 65535, 500]], np.uint16)
    nir = np.array([[3000, 3000, 0, 3000, 3000, 3000]], np.uint16)
    swir = np.array([[2000, 0, 2000, 2000, 2000, 65535]], np.uint16)
    dn, inside = {"B04": red, "B08": nir, "B11": swir}, np.ones((1, 6), np.bool_)
    ndvi, ndmi = ("B08", "B04"), ("B08", "B11")
    assert counted_mask(dn, ndvi, None, inside)[0].tolist() == [True, True, False, False, False, True]
    assert counted_mask(dn, ndmi, None, inside)[0].tolist() == [True, False, False, True, True, False]
    alone, both = (count_cover(None, inside, *seen_masks(dn, layers)) for layers in ([ndvi], [ndvi, ndmi]))
    assert alone == Cover(6, valid=4, clear=3, mask="none", saturated=1)
    assert both == Cover(6, valid=5, clear=5, mask="none")
    with pytest.raises(InvalidInputError, match="no index or band"):
        seen_masks(dn, [])


def test_a_saturated_dn_counts_in_bands_of_16_bits_only():
    dn = np.array([[1, 65535]], np.uint16)
    assert is_saturated(dn).tolist() == [[False, True]]
    assert not is_saturated(np.array([[255]], np.uint8)).any()
    assert not is_saturated(np.array([[-1, 32767]], np.int16)).any()


def test_without_a_classification_every_valid_pixel_is_clear():
    data = ALL > 2
    assert count_cover(None, INSIDE, data) == Cover(aoi=12, valid=9, clear=9, mask="none")
    assert (clear_mask(None, INSIDE, data) == data).all()


def test_a_value_that_is_no_class_is_neither_valid_nor_clear():
    unknown = np.arange(12, 256, dtype=np.uint8)
    assert not valid_mask(unknown, np.ones(unknown.shape, np.bool_)).any()
    assert not CLEAR_TABLE[12:].any()


def test_an_aoi_without_a_pixel_has_no_coverage():
    empty = count_cover(ALL, np.zeros((3, 4), np.bool_))
    assert (empty.aoi, empty.coverage, empty.clear_fraction) == (0, 0.0, 0.0)


def test_input_layers_are_not_modified():
    clear_mask(ALL, INSIDE, INSIDE)
    assert INSIDE.all()


def test_layers_of_different_shapes_are_refused():
    with pytest.raises(InvalidInputError, match=r"on one grid.*\(2, 2\).*\(3, 4\)"):
        count_cover(ALL, np.ones((2, 2), np.bool_))
    with pytest.raises(InvalidInputError, match="no band"):
        has_data({})


def test_bands_of_different_shapes_are_refused_although_they_broadcast():
    with pytest.raises(InvalidInputError, match=r"on one grid.*\(1, 4\).*\(3, 4\)"):
        has_data({"B04": np.ones((3, 4), np.uint16), "B08": np.ones((1, 4), np.uint16)})
