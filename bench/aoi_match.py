"""Match of one product with 10,000 subscriptions on its tile, as the function `notify` does it.

    .venv/bin/python -m bench.aoi_match [--quick] [--subscriptions N]

AOIs are polygons of 12 vertices, 0.4 to 2 km wide. The peer builds a shapely STRtree of the AOIs for each
product, since a function starts without one.
"""

import math
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from bench.common import DATA, arguments, figure, rounds, table
from revisit.adapters.local.backend import local_backend
from revisit.domain.aoi import AOI
from revisit.domain.aoi_match import match_aois
from revisit.domain.footprint import product_footprint
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend
from revisit.ports.pagination import find_all

TILE = "32TNR"
WEST, SOUTH, EAST, NORTH = 8.95, 44.2, 10.3, 45.1
NOW = datetime(2024, 6, 1, tzinfo=UTC)
PRODUCT = Product(
    "p", "bench", "L2A", "S2A", TILE, NOW, "20240601T000000", west=8.9, south=44.1, east=9.6, north=45.2
)
"""A product whose swath ends in the middle of the tile."""


def field(chance: random.Random) -> dict[str, Any]:
    """A polygon of 12 vertices within the tile."""
    lon, lat, radius = chance.uniform(WEST, EAST), chance.uniform(SOUTH, NORTH), chance.uniform(0.002, 0.01)
    ring = []
    for number in range(12):
        angle, reach = number * math.pi / 6, radius * chance.uniform(0.7, 1)
        ring.append([round(lon + reach * math.cos(angle), 7), round(lat + reach * math.sin(angle), 7)])
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def fill(backend: Backend, count: int) -> None:
    """Write subscriptions that all lie on one tile."""
    chance = random.Random(1)
    for first in range(0, count, 500):
        batch = [
            Subscription(f"sub_{number:06d}", "Field", field(chance), (TILE,), Recipe(indices=("NDVI",)), NOW)
            for number in range(first, min(first + 500, count))
        ]
        backend.records.transact(lambda transaction, batch=batch: [transaction.put(each) for each in batch])


def candidates(backend: Backend) -> dict[str, Subscription]:
    """The subscriptions that `notify` compares with a product."""
    found = find_all(backend.records, Subscription, tiles=TILE, state="active")
    return {each.id: each for each in found if not each.rejection_reason(PRODUCT)}


def main() -> None:
    options = arguments(__doc__, subscriptions={"type": int, "default": 10_000})
    with tempfile.TemporaryDirectory(dir=DATA) as folder:
        backend = local_backend(Path(folder))
        fill(backend, options.subscriptions)
        start = time.process_time()
        subscriptions = candidates(backend)
        read_s = time.process_time() - start

        def aois() -> dict[str, AOI]:
            return {id: AOI.from_normalized(each.aoi) for id, each in subscriptions.items()}

        def linear() -> list[str]:
            return match_aois(PRODUCT, aois())

        def tree() -> list[str]:
            shapes = {id: aoi.shape for id, aoi in aois().items()}
            index = shapely.STRtree(np.array(list(shapes.values()), dtype=object))
            ids = list(shapes)
            return sorted(
                ids[number] for number in index.query(product_footprint(PRODUCT), predicate="intersects")
            )

        same = linear() == tree()
        seconds = rounds(
            {"STRtree built per product": tree, "match_aois": linear},
            3 if options.quick else 10,
            clock=time.process_time,
        )
        ratio = table(seconds)["match_aois"]
        match_s = min(seconds["match_aois"])
        print(f"  reading {options.subscriptions:,} subscriptions page by page: {read_s * 1e3:.0f} ms")
        figure(
            "matching on one tile",
            f"{match_s * 1e3:.0f} ms for {options.subscriptions:,} AOIs, {ratio:.2f} x an STRtree built per "
            "product, "
            f"ids {'equal' if same else 'DIFFERENT'}; reading their records {read_s * 1e3:.0f} ms",
            "equal; less than reading the records, <= 1.2 x STRtree",
            same and match_s < read_s and ratio <= 1.2,
        )


if __name__ == "__main__":
    main()
