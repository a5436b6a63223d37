"""/recipes: the bands and indices of recipes."""

from typing import Any

from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.domain.bands import BAND_TITLES, BANDS, SPECTRAL_BANDS
from revisit.pixels.indices import Index, index, names


def show(context: RequestContext) -> ResponseReturnValue:
    del context
    return {
        "indices": [_index(index(name)) for name in names()],
        "bands": [
            {
                "name": name,
                "title": BAND_TITLES[name],
                "wavelength_nm": BANDS[name].wavelength_nm,
                "resolution_m": BANDS[name].resolution_m,
            }
            for name in SPECTRAL_BANDS
        ],
    }


def _index(one: Index) -> dict[str, Any]:
    """An index with the band of each letter of its formula."""
    low, high = one.domain
    return {
        "name": one.name,
        "title": one.long_name,
        "formula": one.expression,
        "letters": one.letters,
        "constants": one.constants,
        "bands": list(one.bands),
        "reference": one.reference,
        "meaning": one.meaning,
        "domain": [low, high],
    }


ROUTES = (Route("GET", "/recipes", show),)
