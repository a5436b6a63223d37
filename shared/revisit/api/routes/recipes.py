"""/recipes and /indices: the bands and indices of recipes."""

from flask import request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.domain.bands import BAND_TITLES, BANDS, SPECTRAL_BANDS
from revisit.presenters import spectral_indices
from revisit.services.orders.resolve_recipe import find_index, read_formula


def show(context: RequestContext) -> ResponseReturnValue:
    del context
    return {
        "indices": spectral_indices.documents(),
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


def list_indices(context: RequestContext) -> ResponseReturnValue:
    """The indices that match a search, or the one that a formula defines."""
    del context
    if formula := request.args.get("formula", ""):
        return {"indices": [spectral_indices.document(read_formula(formula))]}
    return {"indices": spectral_indices.documents(request.args.get("search", ""))}


def show_index(context: RequestContext, name: str) -> ResponseReturnValue:
    del context
    return spectral_indices.document(find_index(name))


ROUTES = (
    Route("GET", "/recipes", show),
    Route("GET", "/indices", list_indices),
    Route("GET", "/indices/<name>", show_index),
)
