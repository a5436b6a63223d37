"""Which AOIs a product touches: by tile first, then exactly by the footprint of its valid pixels.

AOIs are found through the tiles they may lie under. A footprint that holds the whole core of its tile matches
every AOI that
reaches into the core without a test; geometry is only compared where a footprint is cut, and along the tile's
rim.
"""

from array import array
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from revisit.domain.aoi import AOI
from revisit.domain.footprint import RIM_MARGIN, product_footprint
from revisit.domain.product import Product
from revisit.geo.mgrs_tile import Tile, tile_ids, tile_outlines
from revisit.geo.polygon_store import UNITS_PER_DEGREE, PolygonStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from shapely import STRtree

_MAX_DIRECT_TESTS = 12
"""AOIs under a tile."""
_ENTRY_LENGTH = 7
"""Integers that a tile keeps of an AOI: its slot, inverted (~) where it reaches into the tile's core; its
west, south, east and
north; lon and lat of one of its vertices; all in 1e-7 degrees. Beside one another, so that a tile is read in
one piece."""


def match_aois(product: Product, aois: dict[str, AOI]) -> list[str]:
    """Ids of those AOIs that a product's footprint touches, sorted."""
    import shapely

    seen = product_footprint(product)
    shapely.prepare(seen)
    return sorted(id for id, aoi in aois.items() if seen.intersects(aoi.shape))


class AoiIndex:
    """AOIs in memory, to be matched with products as they come."""

    def __init__(self) -> None:
        self._store = PolygonStore()
        self._ids: list[str] = []
        self._slots: dict[str, int] = {}
        self._entries_by_tile: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, id: str, aoi: AOI) -> None:
        """Match this AOI from now on; one that had the id before is replaced."""
        import numpy as np

        shapes = np.empty(1, dtype=object)
        shapes[0] = aoi.shape
        self.add_all([id], shapes)

    def add_all(self, ids: Sequence[str], shapes: "NDArray[np.object_]") -> None:
        """Add many at once, ids all different: shapely geometries as `AOI` normalises them."""
        import numpy as np
        import shapely

        for id in ids:
            if id in self._slots:
                self.remove(id)
        slots = self._store.put(shapes)
        for id, slot in zip(ids, slots.tolist(), strict=True):
            if slot == len(self._ids):
                self._ids.append(id)
            else:
                self._ids[slot] = id
            self._slots[id] = slot
        shapes = self._store.shapes(slots)
        which, numbers = _candidate_tiles(shapes)
        order = np.argsort(numbers, kind="stable")
        which, numbers = which[order], numbers[order]
        entries = np.empty((len(which), _ENTRY_LENGTH), np.int32)
        cores = shapely.intersects(shapes[which], _tile_cores()[numbers])
        entries[:, 0] = np.where(cores, ~slots[which], slots[which])
        entries[:, 1:5] = np.rint(shapely.bounds(shapes) * UNITS_PER_DEGREE)[which]
        coordinates, owner = shapely.get_coordinates(shapes, return_index=True)
        entries[:, 5:] = np.rint(coordinates[np.flatnonzero(np.diff(owner, prepend=-1))] * UNITS_PER_DEGREE)[
            which
        ]
        firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
        for number, group in zip(numbers[firsts].tolist(), np.split(entries, firsts[1:]), strict=False):
            self._entries_by_tile.setdefault(number, array("i")).frombytes(group.tobytes())

    def remove(self, id: str) -> None:
        """Match this AOI no more; unknown ids are let be."""
        import numpy as np

        slot = self._slots.pop(id, None)
        if slot is None:
            return
        for number in _candidate_tiles(self._store.shapes(np.array([slot])))[1].tolist():
            entries = self._entries_by_tile[number]
            at = _ENTRY_LENGTH * int(np.flatnonzero(_slots_of(_entry_rows(entries)) == slot)[0])
            entries[at : at + _ENTRY_LENGTH] = entries[-_ENTRY_LENGTH:]
            del entries[-_ENTRY_LENGTH:]
        self._store.drop(slot)
        self._ids[slot] = ""

    def match(self, product: Product) -> list[str]:
        """Ids of the AOIs that a product touches, sorted: those that `match_aois` would find among all."""
        return sorted(map(self._ids.__getitem__, self._match_slots(product.tile, product_footprint(product))))

    def match_many(self, products: Sequence[Product]) -> list[list[str]]:
        """`match` of each."""
        import numpy as np

        seen = np.empty(len(products), dtype=object)
        seen[:] = [product_footprint(product) for product in products]
        which, slots = self.match_pairs([product.tile for product in products], seen)
        found: list[list[str]] = [[] for _ in products]
        for at, slot in zip(which.tolist(), slots.tolist(), strict=True):
            found[at].append(self._ids[slot])
        return [sorted(ids) for ids in found]

    def match_pairs(
        self, tiles: Sequence[str], footprints: "NDArray[np.object_]"
    ) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """Which footprint touches which AOI.

        Args:
            tiles: The tile of each footprint.
            footprints: Shapely geometries as `footprint` gives them.

        Returns:
            Indices of footprints and slots of AOIs, in pairs, in no order; `id_of` names the slots.
        """
        import numpy as np
        import shapely

        numbers = _numbers_of_tiles(tiles)
        nothing = array("i")
        under = [self._entries_by_tile.get(number, nothing) for number in numbers]
        counts = np.array([len(entries) for entries in under], dtype=np.int64) // _ENTRY_LENGTH
        if not counts.any():
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        which = np.repeat(np.arange(len(footprints)), counts)
        rows = np.frombuffer(b"".join(under), np.int32).reshape(-1, _ENTRY_LENGTH)
        shapely.prepare(footprints)
        # Of few AOIs each is tested sooner than whether the tile is whole.
        whole = counts > _MAX_DIRECT_TESTS
        whole[whole] = shapely.contains_properly(footprints[whole], _tile_cores()[np.array(numbers)[whole]])
        touch = whole[which] & (rows[:, 0] < 0)
        rest = np.flatnonzero(~touch)
        touch[rest] = self._intersects(footprints, which[rest], rows[rest])
        return which[touch], _slots_of(rows[touch])

    def _match_slots(self, tile: str, footprint: Any) -> list[int]:
        """`pairs` of one footprint, without what many need."""
        import numpy as np
        import shapely

        (number,) = _numbers_of_tiles([tile])
        entries = self._entries_by_tile.get(number)
        if not entries:
            return []
        rows = np.frombuffer(entries, np.int32).reshape(-1, _ENTRY_LENGTH)
        shapely.prepare(footprint)
        touched: list[int] = []
        if len(rows) > _MAX_DIRECT_TESTS and footprint.contains_properly(_tile_cores()[number]):
            sure = rows[:, 0] < 0
            touched, rows = (~rows[sure, 0]).tolist(), rows[~sure]
        if len(rows) > _MAX_DIRECT_TESTS:
            west, south, east, north = (at * UNITS_PER_DEGREE for at in footprint.bounds)
            rows = rows[
                (rows[:, 1] <= east + 1)
                & (rows[:, 3] >= west - 1)
                & (rows[:, 2] <= north + 1)
                & (rows[:, 4] >= south - 1)
            ]
        if len(rows):
            held = shapely.contains_xy(
                footprint, rows[:, 5] / UNITS_PER_DEGREE, rows[:, 6] / UNITS_PER_DEGREE
            )
            touched += _slots_of(rows[held]).tolist()
            slots = _slots_of(rows[~held])
            if len(slots):
                touched += slots[shapely.intersects(footprint, self._store.shapes(slots))].tolist()
        return touched

    def id_of(self, slot: int) -> str:
        """The id of the AOI in a slot that `pairs` named."""
        return self._ids[slot]

    def _intersects(
        self,
        footprints: "NDArray[np.object_]",
        footprint_indices: "NDArray[np.int64]",
        rows: "NDArray[np.int32]",
    ) -> "NDArray[np.bool_]":
        """Whether each pair of a prepared footprint and an AOI truly intersects: by bounds, by a vertex, or
        else exactly."""
        import numpy as np
        import shapely

        around = np.round(shapely.bounds(footprints) * UNITS_PER_DEGREE) + np.array([-1, -1, 1, 1])
        west, south, east, north = around[footprint_indices].T
        touch: NDArray[np.bool_] = (
            (rows[:, 1] <= east) & (rows[:, 3] >= west) & (rows[:, 2] <= north) & (rows[:, 4] >= south)
        )
        near = np.flatnonzero(touch)
        lon, lat = (rows[near, 5:] / UNITS_PER_DEGREE).T
        undecided = near[~shapely.contains_xy(footprints[footprint_indices[near]], lon, lat)]
        touch[undecided] = shapely.intersects(
            footprints[footprint_indices[undecided]], self._store.shapes(_slots_of(rows[undecided]))
        )
        return touch


def _entry_rows(entries: "array[int]") -> "NDArray[np.int32]":
    """What a tile keeps, an AOI a row; not to be held while others are added."""
    import numpy as np

    return np.frombuffer(entries, np.int32).reshape(-1, _ENTRY_LENGTH)


def _slots_of(rows: "NDArray[np.int32]") -> "NDArray[np.int64]":
    import numpy as np

    return np.where(rows[:, 0] < 0, ~rows[:, 0], rows[:, 0]).astype(np.int64)


@cache
def _tile_numbers() -> dict[str, int]:
    """The index in `tile_ids` of each tile."""
    return {id: number for number, id in enumerate(tile_ids())}


def _numbers_of_tiles(tiles: Sequence[str]) -> list[int]:
    numbers = _tile_numbers()
    try:
        return [numbers[tile] for tile in tiles]
    except KeyError:
        return [numbers[Tile.parse(tile).id] for tile in tiles]  # says which is none


@cache
def _tile_hulls() -> "tuple[NDArray[np.object_], NDArray[np.int64], STRtree]":
    """Convex outlines around all tiles and their rims, the tile each is of, and a tree of them."""
    import shapely

    rings, owners = tile_outlines(RIM_MARGIN)
    hulls = shapely.convex_hull(shapely.polygons(rings))
    return hulls, owners, shapely.STRtree(hulls)


def _candidate_tiles(shapes: "NDArray[np.object_]") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Pairs of a geometry and a tile within whose rim it lies: indices of both."""
    import numpy as np

    _, owners, tree = _tile_hulls()
    which, hit = tree.query(shapes, predicate="intersects")
    numbers = owners[hit]
    if (hit >= len(tile_ids())).any():  # tiles drawn on either side of the antimeridian
        which, numbers = np.divmod(np.unique(which * len(owners) + numbers), len(owners))
    return which, numbers


@cache
def _tile_cores() -> "NDArray[np.object_]":
    """The inner part of each tile, which every footprint of a whole tile holds."""
    import shapely

    rings, owners = tile_outlines(-RIM_MARGIN)
    cores: NDArray[np.object_] = shapely.polygons(rings[: len(tile_ids())])
    # Over the antimeridian there is no core: its tiles are few, and compared exactly.
    cores[owners[len(tile_ids()) :]] = shapely.Polygon()
    return cores
