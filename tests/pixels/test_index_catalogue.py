"""Every formula of the catalogue against spyndex over real pixels, and the catalogue's files themselves."""

import json
import re
from functools import cache
from importlib.metadata import distribution, version
from pathlib import Path

import numpy as np
import pytest
import spyndex

from data import shared_data
from deploy.function_archive import vendored_files
from figures import figure
from import_graph import SHARED
from revisit.errors import InvalidInputError
from revisit.pixels.indices import CATALOGUE_VERSION, awesome_indices, find_indices, index, names, resolve
from revisit.pixels.indices.awesome_indices import ALIASES, BAND_OF, OWN_ROWS, excluded

STATED = json.loads((Path(spyndex.__file__).parent / "data" / "spectral-indices-dict.json").read_bytes())
CATALOGUE = [name for name in names() if name not in {row.name for row in OWN_ROWS}]
KERNELS = {"kNN": "NN", "kNR": "NR", "kNB": "NB", "kNL": "NL", "kGG": "GG", "kGR": "GR", "kGB": "GB"}
SIZES = {"B01": 1, "B05": 3, "B06": 3, "B07": 3, "B8A": 3, "B09": 1, "B11": 3, "B12": 3}
"""Pixels of a band along one of 60 m; 6 for the others."""


@cache
def real_bands() -> dict[str, np.ndarray]:
    """Reflectance of a real L2A product at 60 m: the upper left pixel of 60 rows of cells."""
    import rasterio

    (folder,) = shared_data("pixels").glob("majortom_S2A_MSIL2A*")
    bands = {}
    for band in BAND_OF.values():
        with rasterio.open(folder / f"{band}.tif") as dataset:
            step = SIZES.get(band, 6)
            bands[band] = (dataset.read(1)[: 60 * step : step, ::step].astype(float) - 1000) / 10_000
    return bands


def by_letter(bands: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {letter: bands[band] for letter, band in BAND_OF.items()}


def computed_by_spyndex(letters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every index as spyndex computes it of arrays by band letter, with the constants of Revisit."""
    found: dict[str, np.ndarray] = {}
    for epsilon in (1.0, 1e-10):
        chosen = [name for name in CATALOGUE if index(name).constants.get("epsilon", 1.0) == epsilon]
        values = {**letters, **awesome_indices.constants(), "epsilon": epsilon}
        for kernel, (one, other) in KERNELS.items():
            values[kernel] = spyndex.computeKernel(
                "RBF", a=values[one], b=values[other], sigma=values["sigma"]
            )
        with np.errstate(all="ignore"):
            arrays = [np.asarray(each, float) for each in spyndex.computeIndex(chosen, values)]
        found |= {
            name: np.where(np.isfinite(array), array, np.nan)
            for name, array in zip(chosen, arrays, strict=True)
        }
    return found


def test_every_formula_gives_what_spyndex_gives_over_the_pixels_of_a_real_product():
    bands = real_bands()
    worst = {}
    for name, expected in computed_by_spyndex(by_letter(bands)).items():
        found = index(name).compute(bands)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), name)
        known = ~np.isnan(expected)
        np.testing.assert_allclose(found[known], expected[known], rtol=1e-9, atol=1e-12, err_msg=name)
        worst[name] = np.max(
            np.abs(found[known] - expected[known]) / np.maximum(np.abs(expected[known]), 1e-9)
        )
    assert len(worst) == len(CATALOGUE) == 244
    name = max(worst, key=worst.__getitem__)
    figure("formulas against spyndex", f"{len(worst)}, worst relative error {worst[name]:.1e} ({name})")


def test_every_formula_gives_what_spyndex_gives_where_any_of_its_terms_vanishes():
    random = np.random.default_rng(4)
    bands = {band: random.choice([-0.1, 0.0, 0.1, 0.2], 20_000) for band in BAND_OF.values()}
    for name, expected in computed_by_spyndex(by_letter(bands)).items():
        np.testing.assert_allclose(index(name).compute(bands), expected, rtol=1e-12, atol=1e-12, err_msg=name)


def test_the_catalogue_is_the_file_of_the_version_that_receipts_name():
    folder = Path(awesome_indices.__file__).with_name("catalogue")
    for file in ("spectral-indices-dict.json", "constants.json"):
        assert (folder / file).read_bytes() == (Path(spyndex.__file__).parent / "data" / file).read_bytes()
    assert f"spyndex {version('spyndex')}" == CATALOGUE_VERSION
    licences = [file for file in distribution("spyndex").files or () if file.name == "LICENSE"]
    assert (folder / "LICENSE").read_text() == licences[0].read_text()


def test_an_index_is_left_out_only_for_what_sentinel_2_does_not_measure():
    stated = {name: each["platforms"] for name, each in STATED["SpectralIndices"].items()}
    assert set(excluded()) | set(CATALOGUE) == set(stated)
    assert {name for name in excluded() if "Sentinel-2" in stated[name]} == {"NIRvP"}  # needs measured light
    assert {name for name in CATALOGUE if "Sentinel-2" not in stated[name]} == set()
    with pytest.raises(InvalidInputError, match="EBBI is not for Sentinel-2: it needs a thermal band"):
        index("ebbi")


def test_constants_are_the_catalogues_defaults_and_the_wavelengths_of_its_bands():
    platform = {letter: spyndex.bands[letter].sentinel2b for letter in ("G", "R", "N", "N2", "S1", "S2")}
    for name, value in awesome_indices.constants().items():
        default = spyndex.constants[name].default
        assert value == (platform[name.removeprefix("lambda")].wavelength if default is None else default)
    assert "For WCx indices use epsilon = 1e-10" in spyndex.constants["epsilon"].description
    assert {name for name in CATALOGUE if index(name).constants.get("epsilon") == 1e-10} == {"WCI1", "WCI2"}


def test_names_are_unique_can_name_files_and_need_their_case_only_where_it_tells_them_apart():
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_\-]{0,31}", name) for name in names())
    keys = [name.upper() for name in (*names(), *ALIASES)]
    same = {key for key in keys if keys.count(key) > 1}
    assert same == {"BAI", "MSR705"}
    for name in names():
        assert resolve(name) == name
        if name.upper() not in same:
            assert resolve(f" {name.lower()} ") == name
    with pytest.raises(InvalidInputError, match="'bai' may be the spectral index BAI or BaI"):
        resolve("bai")


def test_a_search_finds_an_index_by_use_title_band_and_other_names():
    assert {one.name for one in find_indices("BURN b8a")} >= {"BAIS2"}
    assert [one.name for one in find_indices("ndwigao")] == ["NDMI"]
    assert [one.name for one in find_indices("b8a leaves")] == ["CRSWIR"]
    assert not find_indices("no such index")
    assert [one.name for one in find_indices()] == list(names())


def test_every_function_is_deployed_with_the_catalogue():
    folder = Path(awesome_indices.__file__).with_name("catalogue")
    assert {str(file.relative_to(SHARED)) for file in folder.iterdir()} <= vendored_files()
