"""The table of spectral indices.

Names, formulas, letters and constants are those of the Awesome Spectral Indices catalogue (Montero et al.
2023, https://doi.org/10.1038/s41597-023-02096-0): `catalogue/` holds unchanged copies of two data files of
the package spyndex, and their licence (MIT). Indices that the catalogue lacks are in `OWN_ROWS`.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

CATALOGUE_VERSION = "spyndex 0.12.0"
"""Where the files in `catalogue/` come from; stated in every receipt."""

BAND_OF = {
    "A": "B01",
    "B": "B02",
    "G": "B03",
    "R": "B04",
    "RE1": "B05",
    "RE2": "B06",
    "RE3": "B07",
    "N": "B08",
    "N2": "B8A",
    "WV": "B09",
    "S1": "B11",
    "S2": "B12",
}
"""Letter in a formula -> band name."""

WAVELENGTHS = {
    "lambdaG": 559.0,
    "lambdaR": 665.0,
    "lambdaN": 833.0,
    "lambdaN2": 864.0,
    "lambdaS1": 1610.4,
    "lambdaS2": 2185.7,
}
"""Central wavelengths in nm, which the catalogue leaves open: those of Sentinel-2B in its band table, as
FORDEAD uses them in CRSWIR. All satellites have the same ones, so that a series has one formula."""

EPSILON = {"WCI1": 1e-10, "WCI2": 1e-10}
"""Value of epsilon that the catalogue's description of the constant asks for, where it is not the default."""

KERNELS = {
    "kNN": "1.0",
    "kGG": "1.0",
    "kNR": "exp(-((N - R) ** 2) / (2 * sigma ** 2))",
    "kNB": "exp(-((N - B) ** 2) / (2 * sigma ** 2))",
    "kNL": "exp(-((N - L) ** 2) / (2 * sigma ** 2))",
    "kGR": "exp(-((G - R) ** 2) / (2 * sigma ** 2))",
    "kGB": "exp(-((G - B) ** 2) / (2 * sigma ** 2))",
}
"""Kernel in a formula -> the radial basis function of two bands, with the length scale sigma."""

OTHER_INSTRUMENTS = {
    "T": "a thermal band",
    "T1": "a thermal band",
    "T2": "a thermal band",
    "VV": "radar",
    "VH": "radar",
    "HV": "radar",
    "HH": "radar",
    "G1": "a second green band",
    "Y": "a yellow band",
}
"""Letter of a formula -> what Sentinel-2 does not have."""


class Row(NamedTuple):
    """A row of the table; the names are those of `Index`."""

    name: str
    long_name: str
    expression: str
    reference: str
    domain: tuple[float | None, float | None]
    meaning: str
    application: str


MEANINGS = {
    "NDVI": "dense green vegetation",
    "NDWI": "open water (McFeeters)",
    "NDMI": "water in leaves (Gao's NDWI)",
    "MNDWI": "open water, kept apart from built-up land",
    "EVI": "green vegetation, also where it is dense",
    "NBR": "unburnt vegetation",
    "NDREI": "chlorophyll",
    "MSAVI": "green vegetation over bare soil",
    "IRECI": "chlorophyll of a canopy",
    "BIXS": "bright ground",
    "CRSWIR": "lack of water in leaves, as of trees that die",
}
"""Meaning of a high value, for the catalogue's indices in most use."""

OWN_ROWS = (
    Row(
        "BIBG",
        "Brightness Index, blue and green",
        "(((B ** 2.0) + (G ** 2.0)) / 2.0) ** 0.5",
        "https://sen2chain.readthedocs.io",
        (0.0, 1.0),
        "bright ground or shallow water",
        "soil",
    ),
    Row(
        "BIRNIR",
        "Brightness Index, red and near infrared",
        "(((R ** 2.0) + (N ** 2.0)) / 2.0) ** 0.5",
        "https://sen2chain.readthedocs.io",
        (0.0, 1.0),
        "bright ground or vegetation",
        "soil",
    ),
    Row(
        "IRECI-NIR",
        "Inverted Red-Edge Chlorophyll Index, near infrared",
        "(N - R) / (RE1 / RE2)",
        "https://sen2chain.readthedocs.io",
        (None, None),
        "chlorophyll of a canopy",
        "vegetation",
    ),
    Row(
        "NDRE1",
        "Normalized Difference Red Edge Index, B06 and B05",
        "(RE2 - RE1) / (RE2 + RE1)",
        "https://doi.org/10.1016/1011-1344(93)06963-4",
        (-1.0, 1.0),
        "chlorophyll",
        "vegetation",
    ),
    Row(
        "NDRE2",
        "Normalized Difference Red Edge Index, B07 and B05",
        "(RE3 - RE1) / (RE3 + RE1)",
        "https://doi.org/10.1016/1011-1344(93)06963-4",
        (-1.0, 1.0),
        "chlorophyll",
        "vegetation",
    ),
)
"""Not in the catalogue: Sen2Chain's, and foresters' red edge indices."""

COMMON = (*MEANINGS, *(row.name for row in OWN_ROWS))
"""Names that a list shows first."""

ALIASES = {
    "NDWIMCF": "NDWI",
    "NDWIGAO": "NDMI",
    "NDRE": "NDREI",
    "BIGR": "BIXS",
    "MSAVI2": "MSAVI",
}
"""Other names in use; the first four are Sen2Chain's. Sen2Chain's IRECI is IRECI-NIR here, since the
catalogue's IRECI has another formula."""

_DIFFERENCE = re.compile(r"\((\w+)-(\w+)\)/\(\1\+\2\)")
"""A normalised difference of two bands, without spaces."""
_FOLDER = Path(__file__).with_name("catalogue")


def rows() -> dict[str, Row]:
    """The rows of all indices that Sentinel-2 can compute, by name; those of `COMMON` come first."""
    return _read_table()[0]


def excluded() -> dict[str, str]:
    """Why the catalogue's other indices are not offered, by name, as a clause."""
    return _read_table()[1]


@cache
def constants() -> dict[str, float]:
    """Constant in a formula -> its value: the catalogue's default, or the wavelength."""
    stated = json.loads((_FOLDER / "constants.json").read_bytes())
    defaults = {name: each["default"] for name, each in stated.items() if each["default"] is not None}
    return {name: float(value) for name, value in defaults.items()} | WAVELENGTHS


def constant(name: str, index: str) -> float:
    """The value of a constant in the formula of an index."""
    return EPSILON.get(index, constants()[name]) if name == "epsilon" else constants()[name]


@cache
def _read_table() -> tuple[dict[str, Row], dict[str, str]]:
    stated = json.loads((_FOLDER / "spectral-indices-dict.json").read_bytes())["SpectralIndices"]
    known = set(BAND_OF) | set(constants()) | set(KERNELS)
    found, left_out = {row.name: row for row in OWN_ROWS}, dict[str, str]()
    for name, each in stated.items():
        if missing := [letter for letter in each["bands"] if letter not in known]:
            needs = dict.fromkeys(
                OTHER_INSTRUMENTS.get(letter, f"a value for {letter}") for letter in missing
            )
            left_out[name] = f"it needs {' and '.join(needs)}"
        else:
            found[name] = _row(name, each)
    return {name: found[name] for name in dict.fromkeys((*COMMON, *sorted(found, key=str.lower)))}, left_out


def _row(name: str, stated: dict[str, Any]) -> Row:
    formula = re.sub(
        r"\bk[A-Z]{2}\b", lambda found: f"({KERNELS[found[0]]})" if found[0] in KERNELS else found[0],
        stated["formula"],
    )  # fmt: skip
    plain = _DIFFERENCE.fullmatch(formula.replace(" ", ""))
    domain = (-1.0, 1.0) if plain and set(plain.groups()) <= set(BAND_OF) else (None, None)
    if name == "BIXS":
        domain = (0.0, 1.0)
    return Row(
        name,
        stated["long_name"],
        formula,
        stated["reference"],
        domain,
        MEANINGS.get(name, ""),
        stated["application_domain"],
    )
