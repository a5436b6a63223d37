"""The table of spectral indices.

Names, formulas, letters and constants are those of the Awesome Spectral Indices catalogue (Montero et al.
2023, https://doi.org/10.1038/s41597-023-02096-0). For an index that it lacks, the reference documents the
formula.
"""

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

CONSTANTS = {"g": 2.5, "C1": 6.0, "C2": 7.5, "L": 1.0}
"""Constant in a formula -> the catalogue's default value."""

type Row = tuple[str, str, str, str, tuple[float | None, float | None], str]

ROWS: dict[str, Row] = {
    row[0]: row
    for row in (
        # name, long name, formula, reference, domain, meaning of a high value
        (
            "NDVI",
            "Normalized Difference Vegetation Index",
            "(N - R) / (N + R)",
            "https://ntrs.nasa.gov/citations/19740022614",
            (-1.0, 1.0),
            "dense green vegetation",
        ),
        (
            "NDWI",
            "Normalized Difference Water Index",
            "(G - N) / (G + N)",
            "https://doi.org/10.1080/01431169608948714",
            (-1.0, 1.0),
            "open water (McFeeters)",
        ),
        (
            "NDMI",
            "Normalized Difference Moisture Index",
            "(N - S1) / (N + S1)",
            "https://doi.org/10.1016/S0034-4257(01)00318-2",
            (-1.0, 1.0),
            "water in leaves (Gao's NDWI)",
        ),
        (
            "MNDWI",
            "Modified Normalized Difference Water Index",
            "(G - S1) / (G + S1)",
            "https://doi.org/10.1080/01431160600589179",
            (-1.0, 1.0),
            "open water, kept apart from built-up land",
        ),
        (
            "EVI",
            "Enhanced Vegetation Index",
            "g * (N - R) / (N + C1 * R - C2 * B + L)",
            "https://doi.org/10.1016/S0034-4257(96)00112-5",
            (None, None),
            "green vegetation, also where it is dense",
        ),
        (
            "NBR",
            "Normalized Burn Ratio",
            "(N - S2) / (N + S2)",
            "https://doi.org/10.3133/ofr0211",
            (-1.0, 1.0),
            "unburnt vegetation",
        ),
        (
            "NDREI",
            "Normalized Difference Red Edge Index",
            "(N - RE1) / (N + RE1)",
            "https://doi.org/10.1016/1011-1344(93)06963-4",
            (-1.0, 1.0),
            "chlorophyll",
        ),
        (
            "MSAVI",
            "Modified Soil-Adjusted Vegetation Index",
            "0.5 * (2.0 * N + 1 - (((2 * N + 1) ** 2) - 8 * (N - R)) ** 0.5)",
            "https://doi.org/10.1016/0034-4257(94)90134-1",
            (-1.0, 1.0),
            "green vegetation over bare soil",
        ),
        (
            "IRECI",
            "Inverted Red-Edge Chlorophyll Index",
            "(RE3 - R) / (RE1 / RE2)",
            "https://doi.org/10.1016/j.isprsjprs.2013.04.007",
            (None, None),
            "chlorophyll of a canopy",
        ),
        (
            "BIXS",
            "SPOT HRV XS-based Brightness Index",
            "(((G ** 2.0) + (R ** 2.0)) / 2.0) ** 0.5",
            "https://doi.org/10.1016/S0034-4257(98)00030-3",
            (0.0, 1.0),
            "bright ground",
        ),
        # Not in the catalogue; documented by Sen2Chain.
        (
            "BIBG",
            "Brightness Index, blue and green",
            "(((B ** 2.0) + (G ** 2.0)) / 2.0) ** 0.5",
            "https://sen2chain.readthedocs.io",
            (0.0, 1.0),
            "bright ground or shallow water",
        ),
        (
            "BIRNIR",
            "Brightness Index, red and near infrared",
            "(((R ** 2.0) + (N ** 2.0)) / 2.0) ** 0.5",
            "https://sen2chain.readthedocs.io",
            (0.0, 1.0),
            "bright ground or vegetation",
        ),
        (
            "IRECI-NIR",
            "Inverted Red-Edge Chlorophyll Index, near infrared",
            "(N - R) / (RE1 / RE2)",
            "https://sen2chain.readthedocs.io",
            (None, None),
            "chlorophyll of a canopy",
        ),
    )
}

ALIASES = {
    "NDWIMCF": "NDWI",
    "NDWIGAO": "NDMI",
    "NDRE": "NDREI",
    "BIGR": "BIXS",
    "MSAVI2": "MSAVI",
}
"""Other names in use; the first four are Sen2Chain's. Sen2Chain's IRECI is IRECI-NIR here, since the
catalogue's IRECI has another formula."""
