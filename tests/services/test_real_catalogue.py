"""Orders of five years of one tile under cloud limits, against a choice by name and areas by shapely."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import pytest
import shapely

from catalog_samples import real_products
from figures import figure
from products import NOW
from revisit.adapters.local.backend import local_backend
from revisit.domain.footprint import product_footprint
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.geo.mgrs_tile import Tile
from revisit.ports.catalog_schema import to_table
from revisit.services.orders.selection import OrderRequest, select_products, validate_request

TILE = "31UFS"


def version(product: Product) -> tuple[str, bool, str]:
    """Sort key of level and baseline as a name spells them; interim baselines come below all numbers."""
    _, level, _, baseline, *_ = product.id.split("_")
    return level[3:], baseline != "N9999", baseline


@pytest.fixture(scope="module")
def known():
    return [one for one in real_products() if one.tile == TILE]


@pytest.fixture(scope="module")
def backend(tmp_path_factory, known):
    backend = local_backend(tmp_path_factory.mktemp("data"), (), lambda: NOW)
    backend.catalog().add(to_table(known))
    return backend


@dataclass(frozen=True)
class Best:
    """What a pass of the tile should be taken of, by its products' names and footprints."""

    version: tuple[str, bool, str]
    judged: Product
    """The newest of those that cover most."""
    shapes: dict[str, Any]
    """Footprints of the best version by product id."""
    share: float
    """Of the tile, that the best version covers together."""
    is_split: bool


@pytest.fixture(scope="module")
def bests(known):
    passes, tile, found = defaultdict(list), Tile.parse(TILE).footprint, {}
    for one in known:
        passes[one.platform, one.id.split("_")[2]].append(one)
    for key, products in passes.items():
        best = max(map(version, products))
        candidates = [one for one in products if version(one) == best]
        shapes = {one.id: product_footprint(one).intersection(tile) for one in candidates}
        most = max(shape.area for shape in shapes.values())
        leading = [one for one in candidates if shapes[one.id].area > most - 0.01 * tile.area]
        judged = max(leading, key=lambda one: one.id.split("_")[6])
        together = shapely.union_all(list(shapes.values())).area if len(shapes) > 1 else most
        found[key] = Best(best, judged, shapes, together / tile.area, together > most + 0.005 * tile.area)
    return found


def select(backend, level, limit):
    wanted = OrderRequest(Recipe(indices=("NDVI",)), tile=TILE, level=level, max_cloud=limit)
    return select_products(backend, validate_request(backend, wanted))


@pytest.mark.parametrize("limit", [10, 20, 50, None])
def test_the_best_product_of_each_pass_is_judged_and_no_other_takes_its_place(backend, bests, limit):
    chosen = select(backend, "any", limit)
    rows = {(one.product.platform, one.product.id.split("_")[2]): one for one in chosen.passes}
    assert len(rows) == len(chosen.passes), "two rows of one pass"
    assert rows.keys() == {
        key for key, best in bests.items() if limit is None or best.judged.cloud_cover <= limit
    }
    wrong, split, area = Counter(), 0, Tile.parse(TILE).footprint.area
    for key, row in rows.items():
        best, taken = bests[key], row.products
        wrong["L1C beside a known L2A"] += any(one.level != best.version[0] for one in taken)
        wrong["superseded baselines"] += any(version(one) < best.version for one in taken)
        wrong["N9999 over a number"] += any(one.baseline == "9999" and best.version[1] for one in taken)
        if best.is_split:
            together = shapely.union_all([best.shapes[one.id] for one in taken]).area / area
            wrong["split acquisitions below their union"] += abs(together - best.share) > 1e-4
            split += 1
    assert not +wrong, wrong
    counts = ", ".join(f"{name} {count}" for name, count in wrong.items())
    figure(
        f"real catalogue, cloud limit {limit}",
        f"{len(rows)} rows of {len(bests)} passes, {split} of them split; {counts}",
    )


@pytest.mark.parametrize("limit", [20, 80, None])
def test_an_order_takes_one_level_and_says_what_it_left_out(backend, bests, limit):
    mixed, one_level = select(backend, "any", limit), select(backend, None, limit)
    of_l2a = [one for one in mixed.passes if one.product.level == "L2A"]
    assert [one.products for one in one_level.passes] == [one.products for one in of_l2a]
    l1c_only = [best.judged.cloud_cover for best in bests.values() if best.version[0] == "L1C"]
    left_out = sum(limit is None or cloud <= limit for cloud in l1c_only)
    assert len(mixed.passes) == len(one_level.passes) + left_out
    count = "1 pass is" if left_out == 1 else f"{left_out} passes are"
    note = f"{count} left out, known as L1C only; level L1C or any takes L1C"
    assert one_level.notes == ((note,) if left_out else ())
    assert bool(left_out) == (limit != 20)
