"""Resampled pixels against hand-computed values, and their independence of the window."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revisit.pixels.raster.area_sums import span_sums
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.resample import ClearMasks, resample_pixels, source_window


def grid(resolution, width, height, west=0.0, north=0.0):
    return Grid("EPSG:32631", (resolution, 0.0, west, 0.0, -resolution, north), width, height)


def test_interpolated_values_lie_between_the_centres_by_quarters():
    row = np.array([[100, 200]], np.uint16)
    # Centres at 10 and 30 m; 10 m pixels have theirs at 5, 15, 25, 35 m; beyond the outermost centre the
    # value stays.
    out = resample_pixels(row, grid(20, 2, 1), grid(10, 4, 2), 0, "bilinear")
    assert out.dtype == np.uint16
    assert out.tolist() == [[100, 125, 175, 200]] * 2


def test_interpolation_mixes_four_neighbours():
    square = np.array([[0, 160], [320, 480]], np.uint16) + 1
    out = resample_pixels(square, grid(20, 2, 2), grid(10, 4, 4), 0, "bilinear")
    # At a quarter of the way in both directions: 9/16 of 1, 3/16 of 161, 3/16 of 321, 1/16 of 481.
    assert out[1, 1] == round((9 * 1 + 3 * 161 + 3 * 321 + 481) / 16)


@pytest.mark.parametrize("fine", [10, 20])
def test_60_m_pixels_are_interpolated_by_exact_twelfths(fine):
    """Against rational numbers; DN differ by multiples of 72, so that many means are midway between two."""
    pixels = (np.random.default_rng(4).integers(0, 140, (5, 6)) * 72 + 1).astype(np.uint16)
    clear = np.random.default_rng(5).random((5, 6)) < 0.7
    target = grid(fine, 360 // fine, 300 // fine)
    masks = ClearMasks(clear, np.ones(target.shape, bool))
    found = resample_pixels(pixels, grid(60, 6, 5), target, 0, "bilinear")
    masked = resample_pixels(pixels, grid(60, 6, 5), target, 0, "bilinear", masks)

    def neighbours(index, size):
        position = (Fraction(2 * index + 1) * fine / 60 - 1) / 2
        first = position.numerator // position.denominator
        return [(min(max(at, 0), size - 1), 1 - abs(position - at)) for at in (first, first + 1)]

    ties = 0
    for row in range(target.height):
        for column in range(target.width):
            parts = [
                ((i, j), down * across)
                for i, down in neighbours(row, 5)
                for j, across in neighbours(column, 6)
            ]
            mean = sum(int(pixels[at]) * weight for at, weight in parts)
            ties += mean.denominator == 2
            assert found[row, column] == round(mean)
            if weights := sum(weight for at, weight in parts if clear[at]):
                mean = sum(int(pixels[at]) * weight for at, weight in parts if clear[at]) / weights
                assert masked[row, column] == round(mean)
    assert ties > 10 or fine == 20  # from 60 to 20 m, ninths are never midway


@pytest.mark.parametrize("step", [1.5, 2.0, 2.5, 6.0, 300.0])
@pytest.mark.parametrize("dtype", ["bool", "uint16", "int16"])
def test_sums_over_coarser_pixels_are_weighted_by_shared_area(step, dtype):
    """Against a product of matrices of lengths; the target begins before the source and ends behind it."""
    random = np.random.default_rng(6)
    values = random.integers(0, 2, (30, 40)) if dtype == "bool" else random.integers(-32768, 32768, (30, 40))
    values = (values % 65536 if dtype == "uint16" else values).astype(dtype)
    target = grid(10 * step, 40, 30, west=-2 * 10.0, north=3 * 10.0)

    def lengths(start, count, size):
        low, high = start + np.arange(count) * step, start + (np.arange(count) + 1) * step
        pixel = np.arange(size)
        return (np.minimum(high[:, None], pixel + 1) - np.maximum(low[:, None], pixel)).clip(0)

    right = lengths(-3, 30, 30) @ values.astype(float) @ lengths(-2, 40, 40).T
    assert (span_sums(values, grid(10, 40, 30), target) == right).all()


def test_no_data_is_never_mixed_in_and_never_spreads():
    row = np.array([[100, 0, 300]], np.uint16)
    out = resample_pixels(row, grid(20, 3, 1), grid(10, 6, 2), 0, "bilinear")
    assert out[0].tolist() == [100, 100, 0, 0, 300, 300]


def test_a_mean_that_equals_nodata_is_changed_by_one():
    out = resample_pixels(
        np.array([[-100, 100, -100]], np.int16), grid(20, 3, 1), grid(60, 1, 1, north=20.0), -33, "average"
    )
    assert out.tolist() == [[-33]]  # a third of the target's area has data: less than half
    out = resample_pixels(np.array([[-1, 0, 1]] * 3, np.int16), grid(20, 3, 3), grid(60, 1, 1), 0, "average")
    assert out.tolist() == [[1]]


def test_saturated_pixels_are_not_mixed_and_stay_saturated():
    row = np.array([[100, 65535, 300]], np.uint16)
    out = resample_pixels(row, grid(20, 3, 1), grid(10, 6, 2), 0, "bilinear")
    assert out[0].tolist() == [100, 100, 65535, 65535, 300, 300]
    pair = np.array([[100, 65535, 65535, 65535]] * 2, np.uint16)
    assert resample_pixels(pair, grid(10, 4, 2), grid(20, 2, 1), 0, "average").tolist() == [[100, 65535]]


def test_nearest_takes_the_pixel_that_contains_the_centre():
    square = np.arange(1, 10, dtype=np.uint8).reshape(3, 3)
    assert (
        resample_pixels(square, grid(20, 3, 3), grid(10, 6, 6), 0, "nearest").tolist()
        == np.kron(square, np.ones((2, 2), int)).tolist()
    )
    assert resample_pixels(square, grid(20, 3, 3), grid(60, 1, 1), 0, "nearest").tolist() == [[5]]


def test_averages_are_weighted_by_shared_area():
    row = np.array([[10, 20, 30, 40]] * 4, np.uint16)
    assert resample_pixels(row, grid(10, 4, 4), grid(20, 2, 2), 0, "average").tolist() == [[15, 35]] * 2
    # 15 m pixels: all of 10 and half of 20; half of 20 and all of 30.
    assert (
        resample_pixels(row, grid(10, 4, 4), grid(15, 2, 2), 0, "average").tolist()
        == [[round(200 / 15), round(400 / 15)]] * 2
    )


def test_an_average_needs_data_on_half_of_the_area():
    pixels = np.array([[0, 50], [0, 70]], np.uint16)
    assert resample_pixels(pixels, grid(10, 2, 2), grid(20, 1, 1), 0, "average").tolist() == [[60]]
    pixels[0, 1] = 0
    assert resample_pixels(pixels, grid(10, 2, 2), grid(20, 1, 1), 0, "average").tolist() == [[0]]


def test_beyond_the_source_there_is_no_data():
    ones = np.ones((2, 2), np.uint16)
    out = resample_pixels(ones, grid(20, 2, 2), grid(10, 6, 4, west=-10.0), 0, "bilinear")
    assert out.tolist() == [[0, 1, 1, 1, 1, 0]] * 4


@pytest.mark.parametrize(
    ("fine", "coarse", "how"),
    [
        (10, 20, "bilinear"),
        (10, 60, "bilinear"),
        (70, 10, "average"),
        (20, 10, "average"),
        (10, 60, "nearest"),
    ],
)
def test_pixels_do_not_depend_on_the_window_they_are_read_in(fine, coarse, how):
    source = grid(coarse, 90, 90)
    pixels = np.random.default_rng(3).integers(0, 5, (90, 90)).astype(np.uint16) * 9973
    target = grid(fine, int(90 * coarse / fine), int(90 * coarse / fine))
    whole = resample_pixels(pixels, source, target, 0, how)

    @given(st.tuples(*[st.integers(0, min(target.shape) - 1)] * 4))
    def check(corners):
        top, bottom = sorted(corners[:2])
        left, right = sorted(corners[2:])
        window = grid(fine, right - left + 1, bottom - top + 1, left * fine, -top * fine)
        rows, columns = source_window(source, window)
        read = grid(
            coarse,
            columns.stop - columns.start,
            rows.stop - rows.start,
            columns.start * coarse,
            -rows.start * coarse,
        )
        part = resample_pixels(pixels[rows, columns], read, window, 0, how)
        assert (part == whole[top : bottom + 1, left : right + 1]).all()

    check()


def test_long_targets_have_no_seams_between_strips():
    ramp = np.repeat(np.arange(1, 401, dtype=np.uint16)[:, None] * 100, 3, axis=1)
    out = resample_pixels(ramp, grid(20, 3, 400), grid(10, 6, 800), 0, "bilinear")
    assert (np.diff(out[1:-1, 0].astype(int)) == 50).all()
    assert resample_pixels(ramp, grid(10, 3, 400), grid(15, 2, 267), 0, "average").shape == (267, 2)
