"""Valid and clear pixels by the scene classification."""

import numpy as np
import pytest

from revisit.domain.job import Cover
from revisit.errors import InvalidInputError
from revisit.pixels.masks import CLASSES, CLEAR_TABLE, clear_mask, count_cover, has_data, is_clear, valid_mask

ALL = np.arange(12, dtype=np.uint8).reshape(3, 4)
INSIDE = np.ones((3, 4), np.bool_)


def test_one_pixel_of_every_class_is_counted_once():
    assert count_cover(ALL, INSIDE) == Cover(aoi=12, valid=10, clear=5, cloud=3, shadow=2, snow=1)


def test_every_class_counts_for_its_own_kind_of_cover():
    # Class k has 2^k pixels, so that each sum stands for one set of classes.
    scl = np.repeat(np.arange(12, dtype=np.uint8), 2 ** np.arange(12))
    assert count_cover(scl, np.ones(scl.shape, np.bool_)) == Cover(
        aoi=0b1111_1111_1111,
        valid=0b1111_1111_1100,
        clear=0b1000_1111_0000,
        cloud=0b0111_0000_0000,
        shadow=0b0000_0000_1100,
        snow=0b1000_0000_0000,
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
    assert count_cover(ALL, inside) == Cover(aoi=8, valid=6, clear=1, cloud=3, shadow=2, snow=1)


def test_pixels_without_data_in_a_band_are_not_valid():
    data = has_data(
        {
            "B04": np.where(ALL == 4, 0, 500).astype(np.uint16),
            "B08": np.where(ALL == 9, 0, 500).astype(np.uint16),
        }
    )
    assert count_cover(ALL, INSIDE, data) == Cover(aoi=12, valid=8, clear=4, cloud=2, shadow=2, snow=1)


def test_nodata_may_differ_between_bands():
    dn = {"B04": np.array([0, 1, 2], np.uint16), "B08": np.array([0, 1, 2], np.uint16)}
    assert has_data(dn).tolist() == [False, True, True]
    assert has_data(dn, {"B04": 2, "B08": 1}).tolist() == [True, False, False]


def test_comparisons_and_table_agree_on_every_value():
    every = np.arange(256, dtype=np.uint8)
    assert (is_clear(every) == CLEAR_TABLE).all()


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
