"""Formulas that users write, through the chain: files, statistics, receipt, series and notes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from chain_runner import drain
from item_samples import field, inner_aoi, write_item
from order_samples import order_acquisitions
from revisit.adapters.local.backend import local_backend
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe
from revisit.errors import InvalidInputError
from revisit.presenters import documents
from revisit.services.orders.resolve_recipe import resolve_recipe
from revisit.services.subscriptions.results import get_series


def test_a_formula_is_computed_stored_and_listed_under_its_name(tmp_path):
    write_item(tmp_path, "S2A_35MNM_20250601_0_L2A", {"B04": field(1500), "B08": field(4000)})
    source = f"folder:{tmp_path}"
    backend = local_backend(tmp_path / "data", (source,))
    recipe = Recipe(indices=("NDVI", "Ratio_2 = nir/red", "MSAVI", "dry=min(B12,B08)"))
    order = order_acquisitions(backend, inner_aoi(), recipe, source)
    drain(backend)
    (job,) = backend.records.find(Job, orders=order.id)
    assert job.recipe.indices == ("NDVI", "Ratio_2=B08 / B04", "MSAVI", "dry=min(B12, B08)")
    assert (job.state, set(job.indices)) == ("done", {"NDVI", "Ratio_2", "MSAVI"})
    assert job.notes == ("B12 is not in the product", "dry is not computed, for lack of B12")
    assert job.indices["Ratio_2"].mean == pytest.approx(0.3 / 0.05, rel=1e-9)
    with rasterio.open(backend.assets.locate(job.asset("Ratio_2").path)) as file:
        assert file.descriptions == ("Ratio_2",)
        assert np.nanmax(file.read(1)) == pytest.approx(6.0)
    item = json.loads(backend.assets.read(job.asset("item").path))
    assert item["assets"]["Ratio_2"]["processing:expression"] == {
        "format": "revisit-formula",
        "expression": "B08 / B04",
    }
    assert item["properties"]["title"].startswith("NDVI, Ratio_2, MSAVI, dry of 35MNM")
    assert item["properties"]["revisit:receipt"]["formulas"]["Ratio_2"] == "B08 / B04"
    (seen,) = get_series(backend, order.id, "ratio_2")
    assert seen.statistics == job.indices["Ratio_2"]
    assert documents.observation(seen)["reflectance"] == "surface"
    with pytest.raises(InvalidInputError, match="has no EVI; its recipe holds NDVI, Ratio_2, MSAVI, dry"):
        get_series(backend, order.id, "EVI")
    # The result of an L1C product says so.
    first = replace(job, product=replace(job.product, level="L1C"))
    assert documents.job(first)["reflectance"] == "top-of-atmosphere"


def test_two_formulas_of_one_name_and_more_than_twenty_are_refused():
    with pytest.raises(InvalidInputError, match="2 formulas are named 'wet'"):
        resolve_recipe(Recipe(indices=("wet=B08", "WET=B04")))
    twice = resolve_recipe(Recipe(indices=("wet=B08-B04", "wet = B8 - B4")))
    assert twice.indices == ("wet=B08 - B04",)
    with pytest.raises(InvalidInputError, match="at most 20 formulas of its own, not 21"):
        resolve_recipe(Recipe(indices=tuple(f"x{number}=B08" for number in range(21))))
    with pytest.raises(InvalidInputError, match="has a name too, as in ratio=B08/B04"):
        Recipe(indices=("B08/B04",))
