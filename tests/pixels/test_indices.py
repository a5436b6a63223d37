"""Spectral indices against another program's files and hand-computed values."""

import math
import subprocess
import sys

import numpy as np
import pytest

from data import shared_data
from revisit.errors import InvalidInputError
from revisit.pixels.indices import compute_masked, index, names, reflectance, resolve
from revisit.pixels.indices.awesome_indices import COMMON
from revisit.pixels.indices.expression import parse_expression

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
BARBELLINO = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def some_reflectance(seed: int, shape: tuple[int, ...] = (40, 50)) -> dict[str, np.ndarray]:
    """Random reflectance, some of it slightly negative."""
    random = np.random.default_rng(seed)
    return {band: random.uniform(-0.02, 1.1, shape) for band in BANDS}


def read(*path: str) -> np.ndarray:
    import rasterio

    with rasterio.open(shared_data("reference", "sen2r_barbellino", *path)) as dataset:
        return dataset.read()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_vanishing_red_edge_gives_an_ireci_of_zero_in_the_statistics_and_in_the_map(kind):
    dn = {
        "B04": np.array([[1500, 1500, 1500]], np.uint16),
        "B05": np.array([[2000, 1000, 2000]], np.uint16),
        "B06": np.array([[1000, 1000, 3000]], np.uint16),
        "B07": np.array([[4000, 4000, 4000]], np.uint16),
    }
    scaling = dict.fromkeys(dn, (1e-4, -0.1))
    expected = [[0.0, math.nan, (0.3 - 0.05) / (0.1 / 0.2)]]  # RE2 = 0; RE1 = RE2 = 0; neither
    found = index("IRECI").compute({band: reflectance(layer, 1e-4, -0.1) for band, layer in dn.items()})
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(
        compute_masked(index("IRECI"), dn, scaling, precision=kind), expected, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NDVI", (0.4 - 0.05) / (0.4 + 0.05)),
        ("NDWI", (0.08 - 0.4) / (0.08 + 0.4)),
        ("NDMI", (0.4 - 0.2) / (0.4 + 0.2)),
        ("MNDWI", (0.08 - 0.2) / (0.08 + 0.2)),
        ("EVI", 2.5 * 0.35 / (0.4 + 0.3 - 0.3 + 1)),
        ("NBR", (0.4 - 0.1) / (0.4 + 0.1)),
        ("NDREI", (0.4 - 0.12) / (0.4 + 0.12)),
        ("MSAVI", (1.8 - math.sqrt(1.8**2 - 8 * 0.35)) / 2),
        ("IRECI", (0.35 - 0.05) / (0.12 / 0.24)),
        ("IRECI-NIR", (0.4 - 0.05) / (0.12 / 0.24)),
        ("BIXS", math.sqrt((0.08**2 + 0.05**2) / 2)),
        ("BIBG", math.sqrt((0.04**2 + 0.08**2) / 2)),
        ("BIRNIR", math.sqrt((0.05**2 + 0.4**2) / 2)),
        ("NDRE1", (0.24 - 0.12) / (0.24 + 0.12)),
        ("NDRE2", (0.35 - 0.12) / (0.35 + 0.12)),
        # FORDEAD's own formula, with its wavelengths.
        ("CRSWIR", 0.2 / (0.38 + ((0.1 - 0.38) / (2185.7 - 864)) * (1610.4 - 864))),
        # Camps-Valls et al. 2021 with a length scale of 0.5: tanh of half the squared difference over it.
        ("kNDVI", math.tanh(((0.4 - 0.05) / (2 * 0.5)) ** 2)),
        # The catalogue has epsilon = 1 for EBI, and 1e-10 for WCI1.
        ("EBI", (0.05 + 0.08 + 0.04) / ((0.08 / 0.04) * (0.05 - 0.04 + 1))),
        ("WCI1", -((0.04 - 0.05 + 0.12) / (0.04 + 0.05 + 0.12)) * ((0.08 + 0.05) / (0.04 + 0.4))),
    ],
)
def test_an_index_of_a_green_field_equals_the_value_by_hand(name, expected):
    field = {
        "B02": 0.04,
        "B03": 0.08,
        "B04": 0.05,
        "B05": 0.12,
        "B06": 0.24,
        "B07": 0.35,
        "B08": 0.4,
        "B8A": 0.38,
        "B11": 0.2,
        "B12": 0.1,
    }
    value = index(name).compute({band: np.array([number]) for band, number in field.items()})
    assert value == pytest.approx([expected], rel=1e-9)


def test_every_index_that_the_catalogue_lacks_has_a_value_by_hand():
    marks = test_an_index_of_a_green_field_equals_the_value_by_hand.pytestmark
    assert {case[0] for case in marks[0].args[1]} >= set(COMMON)


@pytest.mark.parametrize(("name", "file"), [("NDVI", "NDVI"), ("MSAVI2", "MSAVI2")])
def test_an_index_of_a_real_product_equals_another_programs(name, file):
    dn = read("S2A2A_20170703_022_Barbellino_BOA_10.tif")
    expected = read(f"S2A2A_20170703_022_Barbellino_{file}_10.tif")[0]
    known = expected != np.iinfo(expected.dtype).min
    computed = index(name).compute(
        {band: layer * 1e-4 for band, layer in zip(BARBELLINO, dn.astype(float), strict=True)}
    )
    assert known.sum() > 500
    assert (np.rint(computed[known] * 10_000) == expected[known]).all()


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("ndvi", "NDVI"),
        (" Evi ", "EVI"),
        ("NDWIMCF", "NDWI"),
        ("NDWIGAO", "NDMI"),
        ("NDRE", "NDREI"),
        ("BIGR", "BIXS"),
    ],
)
def test_an_index_is_found_by_its_aliases(alias, name):
    assert resolve(alias) == name
    assert index(alias).name == name


@pytest.mark.parametrize(("wrong", "close"), [("NDVII", "NDVI"), ("MNDW", "MNDWI"), ("EVI2X", "EVI2")])
def test_an_unknown_index_is_refused_with_similar_names(wrong, close):
    with pytest.raises(
        InvalidInputError, match=f"there is no spectral index '{wrong}'; did you mean .*{close}"
    ):
        index(wrong)


def test_an_unknown_index_without_similar_names_is_refused_with_the_way_to_the_list():
    with pytest.raises(InvalidInputError, match="`revisit indices` lists all 249, such as NDVI, NDWI"):
        index("zzzzzzz")


def test_bands_have_the_products_names_in_the_order_of_the_formula():
    assert index("EVI").bands == ("B08", "B04", "B02")
    assert index("NBR").bands == ("B08", "B12")


def test_a_missing_band_and_unequal_shapes_are_refused():
    with pytest.raises(InvalidInputError, match="NDVI needs band B08; the bands given are B04"):
        index("NDVI").compute({"B04": np.ones(2)})
    with pytest.raises(InvalidInputError, match="of one shape"):
        index("NDVI").compute({"B04": np.ones(2), "B08": np.ones(3)})


def test_division_by_zero_gives_nan_and_nothing_is_clipped():
    values = index("NDVI").compute({"B08": np.array([0.1, 0.0, 0.3]), "B04": np.array([-0.1, 0.0, -0.1])})
    assert np.isnan(values[:2]).all()
    assert values[2] == pytest.approx(2.0)


def test_input_arrays_are_not_modified():
    bands = some_reflectance(5)
    before = {band: layer.copy() for band, layer in bands.items()}
    bands["B04"][0] = before["B04"][0] = -bands["B08"][0]  # divisions by zero
    for name in names():
        index(name).compute(bands)
    assert all((bands[band] == before[band]).all() for band in BANDS)


# formulas


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / (1 / N)", [0.0, 2.0]),
        ("1 / N", [math.nan, 0.5]),
        ("N / N", [math.nan, 1.0]),
        ("N ** -1", [math.nan, 0.5]),
        ("N ** -R", [math.nan, 0.125]),
        ("(N - 1) ** 0.5", [math.nan, 1.0]),
        ("log(N - 1)", [math.nan, 0.0]),
        ("-N ** 2 + +max(N, 1) - min(N, 1) * abs(-3) + exp(0)", [2.0, -4.0 + 2 - 3 + 1]),
        ("sqrt(N * 8) / 4 * 4", [0.0, 4.0]),
        ("2 * 3 ** 2", 18.0),
    ],
)
def test_a_formula_is_computed(text, expected):
    values = {"N": np.array([0.0, 2.0]), "R": np.array([1.0, 3.0])}
    np.testing.assert_allclose(parse_expression(text)(values), expected, equal_nan=True)
    assert values["N"].tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "N -",
        "N.real",
        "N[0]",
        "N if R else B",
        "lambda: 1",
        "True",
        "'N'",
        "1j",
        "N // R",
        "N % R",
        "N @ R",
        "~N",
        "not N",
        "N < R",
        "N and R",
        "[N]",
        "sqrt",
        "sqrt(N, R)",
        "sqrt(x=N)",
        "min(*N)",
        "open('x')",
        "__import__('os')",
        "().__class__",
        "N := 1",
        "N; R",
        "1e999",
        "9" * 500,
        "-" * 61 + "N",
        "(" * 400 + "N" + ")" * 400,
        "N+" * 600 + "N",
        "N\x00",
        "f'{N}'",
    ],
)
def test_text_that_is_not_plain_arithmetic_is_refused(text):
    with pytest.raises(InvalidInputError, match="formula"):
        parse_expression(text)


# whole scenes


def noisy_scene() -> tuple[dict[str, np.ndarray], dict[str, tuple[float, float]], np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    shape = (101, 90)
    dn = {band: random.integers(1, 9000, shape).astype(np.uint16) for band in ("B02", "B04", "B08")}
    dn["B04"][:7, :5] = 0
    scaling = {"B02": (1e-4, -0.1), "B04": (1e-4, -0.1), "B08": (1e-4, 0.0)}
    return dn, scaling, random.random(shape) < 0.8, random.integers(0, 14, shape).astype(np.uint8)


@pytest.mark.parametrize("threads", [1, 2, 3, None])
def test_a_scene_computed_in_blocks_equals_the_whole(threads, monkeypatch):
    monkeypatch.setattr("revisit.pixels.indices.blocks.BLOCK_PIXELS", 500)
    dn, scaling, keep, scl = noisy_scene()
    masked = compute_masked(index("EVI"), dn, scaling, keep, scl, threads)
    whole = index("EVI").compute(
        {band: layer * scaling[band][0] + scaling[band][1] for band, layer in dn.items()}
    )
    clear = keep & np.isin(scl, [4, 5, 6, 7, 11]) & (dn["B04"] != 0)
    assert masked.dtype == np.float32
    np.testing.assert_allclose(masked[clear], whole[clear].astype(np.float32), rtol=1e-6)
    assert np.isnan(masked[~clear]).all()


@pytest.mark.parametrize("name", ["NDVI", "BIRNIR"])
def test_single_precision_is_within_one_millionth(name):
    dn, scaling, _, _ = noisy_scene()
    exact, quick = (
        compute_masked(index(name), dn, scaling, precision=kind) for kind in (np.float64, np.float32)
    )
    bright = (dn["B04"].astype(int) + dn["B08"]) > 2000  # reflectances that add up to more than 0.1
    np.testing.assert_allclose(quick[bright], exact[bright], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_reflectances_that_cancel_each_other_give_nan(kind):
    dn = {
        "B04": np.array([[900, 993, 400]], np.uint16),
        "B08": np.array([[1100, 1007, 1600]], np.uint16),
    }  # -0.01 and 0.01, ...
    assert np.isnan(compute_masked(index("NDVI"), dn, dict.fromkeys(dn, (1e-4, -0.1)), precision=kind)).all()


def test_an_offset_that_is_no_whole_number_of_dn_is_exact():
    assert reflectance(np.array([0, 1000], np.uint16), 0.001, -0.00035).tolist() == pytest.approx(
        [-0.00035, 0.99965], rel=1e-12
    )


def test_a_scene_with_a_band_of_another_shape_is_refused():
    dn = {"B04": np.ones((4, 4), np.uint16), "B08": np.ones((2, 2), np.uint16)}
    scaling = dict.fromkeys(dn, (1e-4, 0.0))
    with pytest.raises(InvalidInputError, match="of one shape"):
        compute_masked(index("NDVI"), dn, scaling)
    with pytest.raises(InvalidInputError, match="needs band B11"):
        compute_masked(index("NDMI"), dn, scaling)


def test_the_indices_import_no_large_library_but_numpy():
    code = "import sys, revisit.pixels.indices; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"rasterio", "shapely", "pyarrow", "scipy", "duckdb", "xarray"} & set(loaded)
