"""Shapes as people send them, and what is said of those that are no AOI."""

import pytest

from revisit.domain.aoi import AOI
from revisit.errors import InvalidInputError

NO_AREA_LIMIT_KM2 = 1e9
"""An area limit that holds the Earth, km2."""


def polygon(*rings):
    return {"type": "Polygon", "coordinates": [[list(at) for at in ring] for ring in rings]}


def collection(*geometries):
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": each} for each in geometries],
    }


def box(west, south, east, north):
    return polygon([(west, south), (east, south), (east, north), (west, north), (west, south)])


def parse_error(document, **limits):
    with pytest.raises(InvalidInputError) as failure:
        AOI.parse(document, **limits)
    sentence = str(failure.value)
    assert "\n" not in sentence
    assert len(sentence) < 300
    return sentence
